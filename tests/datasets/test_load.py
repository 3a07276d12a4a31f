"""Data sets: tables and genotypes together, sex from either, faults of all files at once."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fedstats.planning.panel_files import read_panel
from node_agent.datasets.faults import DatasetFaults
from node_agent.datasets.load import DatasetFiles, RegisteredDataset, load_dataset, register_dataset

from .filesets import BIM, DATA, DOSAGES, FAM, write_fileset


def files(folder: Path, pheno: str = "", covar: str = "", **changed: str) -> DatasetFiles:
    bed = write_fileset(folder, **changed)  # type: ignore[arg-type]  # bim and fam are text
    paths: list[Path | None] = []
    for name, text in (("pheno.tsv", pheno), ("covar.tsv", covar)):
        (folder / name).write_text(text)
        paths.append(folder / name if text else None)
    return DatasetFiles(bed, *paths)


def with_sex(folder: Path, values: str, name: str = "sex") -> RegisteredDataset:
    rows = "".join(f"P{i + 1}\t{value}\n" for i, value in enumerate(values.split(",")))
    return register_dataset(files(folder, covar=f"IID\t{name}\n{rows}"))


def codes(folder: Path, *args: object, **changed: object) -> list[str]:
    with pytest.raises(DatasetFaults) as caught:
        register_dataset(files(folder, *args, **changed))  # type: ignore[arg-type]  # passed through
    return [fault.code for fault in caught.value.found]


def test_data_set_has_columns_of_both_tables_and_genotypes(tmp_path: Path) -> None:
    where = files(tmp_path, "IID q\nP1 1\nP2 2\n", "IID age\nP2 50\nP5 60\n")

    loaded = load_dataset(where, read_panel(where.genotypes.with_suffix(".bim")))

    assert list(loaded.dataset.columns) == ["q", "age", "sex"]
    assert np.array_equal(loaded.dataset.genotypes.block(np.arange(3)).dosages(), DOSAGES)
    assert loaded.availability.counts()["present"] == 3
    assert loaded.dataset.people == 5


def test_one_file_may_be_both_tables(tmp_path: Path) -> None:
    where = files(tmp_path, "IID q\nP1 1\n")

    found = register_dataset(DatasetFiles(where.genotypes, where.phenotypes, where.phenotypes))

    assert found.columns["q"].text.tolist() == ["1", "", "", "", ""]


def test_column_in_both_tables_must_be_the_same(tmp_path: Path) -> None:
    same = register_dataset(files(tmp_path, "IID q\nP1 1\n", "IID q\nP1 1.0\n"))

    assert same.columns["q"].numbers is not None
    assert codes(tmp_path, "IID q\nP1 1\n", "IID q\nP1 2\n") == ["COLUMNS_DIFFER"]


@pytest.mark.parametrize("values", ["1,2,1,1,2", "M,F,M,M,F", "male,female,Male,m,f", "1.0,2,1,0,NA"])
def test_sex_is_read_in_every_coding(tmp_path: Path, values: str) -> None:
    found = with_sex(tmp_path, values)

    assert found.sex.tolist() == [1, 2, 1, 1, 2]
    assert found.columns["sex"].text.tolist() == ["1", "2", "1", "1", "2"]


def test_sex_of_the_fam_file_is_a_column_without_a_table(tmp_path: Path) -> None:
    found = register_dataset(files(tmp_path))

    assert found.sex.tolist() == [1, 2, 0, 1, 2]
    np.testing.assert_array_equal(found.columns["sex"].numbers, [1, 2, np.nan, 1, 2])


def test_no_column_sex_where_nobodys_is_known(tmp_path: Path) -> None:
    assert (
        "sex"
        not in register_dataset(files(tmp_path, fam=FAM.replace("0 0 1", "0 0 0").replace("0 0 2", "0 0 0"))).columns
    )


def test_contradicted_sex_is_a_fault_with_a_count_and_no_names(tmp_path: Path) -> None:
    with pytest.raises(DatasetFaults, match=r"contradicts the \.fam file for 2 people") as caught:
        with_sex(tmp_path, "2,1,1,1,2", "SEX")

    assert caught.value.public_faults == ("covariates: SEX_CONTRADICTED (2)",)


def test_sex_that_is_no_sex_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(DatasetFaults, match="2 values that are none of"):
        with_sex(tmp_path, "1,2,3,x,2")


def test_two_columns_of_sex_are_a_fault(tmp_path: Path) -> None:
    assert codes(tmp_path, "IID sex\nP1 1\n", "IID SEX\nP1 1\n") == ["DUPLICATE_COLUMNS"]


def test_sex_of_zero_and_one_is_pointed_out(tmp_path: Path) -> None:
    assert any("0 is read as unknown" in warning for warning in with_sex(tmp_path, "1,0,1,1,0").warnings)


def test_faults_of_genotypes_and_tables_come_together(tmp_path: Path) -> None:
    found = codes(tmp_path, "IID q\nP1 1\nP1 2\n", "q\n1\n", bim=BIM.replace("100", "x"))

    assert found == ["BAD_POSITION", "DUPLICATE_PEOPLE", "NO_IID"]


def test_faulty_fam_file_ends_the_search(tmp_path: Path) -> None:
    assert codes(tmp_path, "q\n1\n", fam=FAM + FAM) == ["DUPLICATE_PEOPLE"]


@pytest.mark.skipif(not DATA.exists(), reason="the folder with real genotypes is not beside this checkout")
def test_real_tables_are_what_polars_reads() -> None:
    where = DatasetFiles(DATA / "hm3.bed", DATA / "pheno.tsv", DATA / "covar_pc.tsv")

    loaded = load_dataset(where, read_panel(DATA / "hm3.bim"))

    assert loaded.warnings == ()
    for path in (DATA / "pheno.tsv", DATA / "covar_pc.tsv"):
        expected = pl.read_csv(path, separator="\t", null_values="NA", schema_overrides={"#FID": pl.String})
        for name, kind in expected.schema.items():
            if name not in ("#FID", "IID") and kind != pl.String:
                found = loaded.dataset.columns[name].numbers
                assert found is not None
                np.testing.assert_array_equal(found, expected[name].cast(pl.Float64).fill_null(np.nan).to_numpy())
