"""Pooled data split by site hold the same people, calls and rows as before."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fedstats.errors import DataError, UsageError
from fedstats.planning.panel import SWAPPED
from fedstats.planning.panel_files import read_panel
from fedstats.simulate import FamilyFile, split_by_site, write_plink
from node_agent.datasets.load import DatasetFiles, load_dataset


def pooled(folder: Path, people: int = 23, variants: int = 7) -> np.ndarray:
    rng = np.random.default_rng(people)
    dosages = rng.integers(-1, 3, (variants, people)).astype(np.int8)
    names = np.array([f"P{i}" for i in range(people)])
    frame = pl.DataFrame({"CHROM": ["1"] * variants, "POS": range(1, variants + 1)})
    frame = frame.with_columns(pl.format("v{}", "POS").alias("ID"), pl.lit("G").alias("REF"), pl.lit("A").alias("ALT"))
    sex = (np.arange(people) % 3).astype(np.int8)
    write_plink(folder / "pool", FamilyFile(names, names, sex), frame, [dosages[:4], dosages[4:]])
    order = rng.permutation(people)
    rows = [f"P{i}\tP{i}\t{i / 2}\t{'NA' if i == 5 else 'ABC'[i % 3]}\n" for i in order]
    (folder / "covar.tsv").write_text("#FID\tIID\tage\tsite\n" + "".join(rows) + "X\tX\t1\tA\n")
    (folder / "pheno.tsv").write_text("IID q\n" + "".join(f"P{i} {i}\n" for i in order))
    return dosages


def split(folder: Path, column: str = "site", swap: tuple[str, ...] = ()) -> object:
    return split_by_site(
        folder / "pool", folder / "pheno.tsv", folder / "covar.tsv", column, folder / "sites", swap=swap
    )


@pytest.mark.parametrize("people", [12, 23, 24, 25])
def test_sites_hold_the_pooled_calls_and_rows_of_their_people(tmp_path: Path, people: int) -> None:
    dosages = pooled(tmp_path, people)
    panel = read_panel(tmp_path / "pool.bim")

    split(tmp_path, swap=("B",))

    for place, name in enumerate("ABC"):
        folder = tmp_path / "sites" / name
        who = [i for i in range(people) if i % 3 == place and i != 5]
        where = DatasetFiles(folder / "genotypes.bed", folder / "phenotypes.tsv", folder / "covariates.tsv")
        loaded = load_dataset(where, panel)
        assert loaded.warnings == ()
        assert loaded.dataset.individual_ids.tolist() == [f"P{i}" for i in who]
        assert loaded.dataset.sex.tolist() == [i % 3 for i in who]
        assert (loaded.availability.status == SWAPPED).all() == (name == "B")
        assert np.array_equal(loaded.dataset.genotypes.block(np.arange(7)).dosages(), dosages[:, who])
        np.testing.assert_array_equal(loaded.dataset.columns["q"].numbers, np.array(who, float))
        np.testing.assert_array_equal(loaded.dataset.columns["age"].numbers, np.array(who) / 2)


def test_split_counts_people_without_a_site(tmp_path: Path) -> None:
    pooled(tmp_path)

    found = split_by_site(tmp_path / "pool", tmp_path / "pheno.tsv", tmp_path / "covar.tsv", "site", tmp_path / "s")

    assert [(site.name, site.people) for site in found.sites] == [("A", 8), ("B", 8), ("C", 6)]
    assert found.left_out == 1


def test_files_of_a_swapped_site_really_differ(tmp_path: Path) -> None:
    pooled(tmp_path)

    split(tmp_path, swap=("B",))

    assert (tmp_path / "sites/A/genotypes.bim").read_text().startswith("1\tv1\t0\t1\tA\tG\n")
    assert (tmp_path / "sites/B/genotypes.bim").read_text().startswith("1\tv1\t0\t1\tG\tA\n")


def test_unknown_column_and_site_are_refused(tmp_path: Path) -> None:
    pooled(tmp_path)

    with pytest.raises(UsageError, match="neither table has the site column 'country'"):
        split(tmp_path, "country")
    with pytest.raises(UsageError, match="no site is called 'D'; there are A, B, C"):
        split(tmp_path, swap=("D",))


@pytest.mark.parametrize("name", ["../up", "a b", ".hidden", "a/b"])
def test_site_that_cannot_name_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    pooled(tmp_path)
    path = tmp_path / "covar.tsv"
    path.write_text(path.read_text().replace("\tC\n", f"\t{name}\n"))

    with pytest.raises(UsageError, match="cannot name a site"):
        split(tmp_path)
    assert not (tmp_path / "sites").exists()


def test_truncated_pooled_file_is_refused(tmp_path: Path) -> None:
    pooled(tmp_path)
    path = tmp_path / "pool.bed"
    path.write_bytes(path.read_bytes()[:-1])

    with pytest.raises(DataError, match="no variant-major"):
        split(tmp_path)
