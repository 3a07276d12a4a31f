"""Phenotype and covariate tables: habits of headers, missing values, joins, and every fault."""

from pathlib import Path

import numpy as np
import pytest

from fedstats.planning.delimited import Fault
from node_agent.datasets.plink import People, register
from node_agent.datasets.tables import Table, read_table

from .filesets import FAM, write_fileset

TABLE = "#FID\tIID\tq\tsite\nF1\tP1\t1.5\tA\nF2\tP2\tNA\tB\nF3\tP3\t-9\t\nF5\tP5\t2e-3\tA\n"


def people(folder: Path, fam: str = FAM) -> People:
    return register(write_fileset(folder / "genotypes", fam=fam)).people


def read(folder: Path, text: str, fam: str = FAM) -> tuple[Table | None, list[Fault]]:
    path = folder / "table.tsv"
    path.write_text(text)
    return read_table(path, "phenotypes", people(folder, fam))


def good(folder: Path, text: str, fam: str = FAM) -> Table:
    table, faults = read(folder, text, fam)
    assert faults == []
    assert table is not None
    return table


def test_columns_are_aligned_with_the_people_of_the_fileset(tmp_path: Path) -> None:
    table = good(tmp_path, TABLE)

    q, site = table.columns["q"], table.columns["site"]
    assert q.numbers is not None
    np.testing.assert_array_equal(q.numbers, [1.5, np.nan, -9, np.nan, 0.002])
    assert q.text.tolist() == ["1.5", "", "-9", "", "2e-3"]
    assert site.numbers is None
    assert site.text.tolist() == ["A", "B", "", "", "A"]
    assert (table.matched, table.strangers) == (4, 0)


@pytest.mark.parametrize(
    "header",
    ["#FID\tIID\tq", "FID\tIID\tq", "fid\tiid\tq", "##about\n#FID\tIID\tq", "FID IID  q ", "\ufeff#FID\tIID\tq"],
)
def test_habits_of_headers_are_read_alike(tmp_path: Path, header: str) -> None:
    rows = "F2\tP2\t7\nF1\tP1\t8\n"

    table = good(tmp_path, f"{header}\n{rows if chr(9) in header else rows.replace(chr(9), ' ')}")

    assert table.columns["q"].text.tolist() == ["8", "7", "", "", ""]


@pytest.mark.parametrize("name", ["#IID", "IID"])
def test_table_without_families_joins_on_the_individual(tmp_path: Path, name: str) -> None:
    assert good(tmp_path, f"{name} q\nP3 1\nP1 2\n").columns["q"].text.tolist() == ["2", "", "1", "", ""]


def test_families_of_zero_are_none(tmp_path: Path) -> None:
    without = "".join("0 " + line.split(" ", 1)[1] + "\n" for line in FAM.splitlines())

    assert good(tmp_path, TABLE, without).columns["q"].text.tolist() == ["1.5", "", "-9", "", "2e-3"]


def test_people_join_on_family_and_individual_where_both_have_families(tmp_path: Path) -> None:
    twins = FAM.replace("F2 P2", "F2 P1")

    table = good(tmp_path, "FID IID q\nF2 P1 5\nF1 P1 6\nF9 P3 7\n", twins)

    assert table.columns["q"].text.tolist() == ["6", "5", "", "", ""]
    assert table.strangers == 1


@pytest.mark.parametrize("missing", ["NA", "na", "NaN", "nan", ".", ""])
def test_missing_values_are_nan_and_empty_text(tmp_path: Path, missing: str) -> None:
    q = good(tmp_path, f"IID\tq\nP1\t{missing}\nP2\t3\n").columns["q"]

    assert q.missing.tolist() == [True, False, True, True, True]
    assert q.text[0] == ""


@pytest.mark.parametrize("number", ["1", "-1", "+1", "1.", ".5", "1e3", "1E-3", "-9"])
def test_spellings_of_numbers_are_those_of_python(tmp_path: Path, number: str) -> None:
    q = good(tmp_path, f"IID q\nP1 {number}\nP2 3\n").columns["q"]

    assert q.numbers is not None
    assert q.numbers[0] == float(number)


@pytest.mark.parametrize("token", ["x", "inf", "1e999", "0x10", "1_0", "1,5"])
def test_one_slip_makes_a_column_text_and_is_pointed_out(tmp_path: Path, token: str) -> None:
    table = good(tmp_path, f"IID\tq\nP1\t1\nP2\t{token}\nP3\t2\n")

    assert table.columns["q"].numbers is None
    assert any("column 'q' is read as text, for it holds no number on line 3" in w for w in table.warnings)


def test_column_of_words_is_text_without_a_warning(tmp_path: Path) -> None:
    table = good(tmp_path, "IID s\nP1 a\nP2 b\nP3 1\nP4 c\nP5 d\n")

    assert table.warnings == ()


def test_strangers_and_absent_people_are_counted(tmp_path: Path) -> None:
    table = good(tmp_path, "IID q\nP1 1\nX1 2\nX2 3\n")

    assert (table.matched, table.strangers) == (1, 2)
    assert table.warnings == (
        "phenotypes: 2 people are not in the genotype file",
        "phenotypes: 4 people of the genotype file are not in the table",
    )


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", "EMPTY", "empty"),
        ("IID\tq\n", "EMPTY", "no rows"),
        ("IID\tq\nP1\t1\nP2\n", "RAGGED", "line 3: 1 cells where 2"),
        ("a,IID,q\nP1,1,2\n", "NO_IID", "commas"),
        ("FID\tq\nF1\t1\n", "NO_IID", "no column IID"),
        ("IID\tq\tq\nP1\t1\t2\n", "DUPLICATE_COLUMNS", "twice: q"),
        ("IID\t\nP1\t1\n", "UNNAMED_COLUMN", "no name"),
        ("FID\tIID\nF1\tP1\n", "NO_COLUMNS", "no column beside"),
        ("IID\tq\nP1\t1\nP2\t1\nP1\t2\n", "DUPLICATE_PEOPLE", "line 4: IID were there before"),
        ("FID\tIID\tq\nF1\tP1\t1\nF1\tP1\t2\n", "DUPLICATE_PEOPLE", "line 3: FID and IID"),
        ("IID\tq\nX\t1\n", "NOBODY_MATCHES", "none of its 1 people"),
        ("IID\tq\nP1\t\0\n", "NOT_TEXT", "not text"),
    ],
)
def test_each_fault_of_a_table_is_named(tmp_path: Path, text: str, code: str, words: str) -> None:
    table, faults = read(tmp_path, text)

    assert table is None
    assert [fault.code for fault in faults] == [code]
    assert words in str(faults[0])


def test_joining_on_individuals_that_are_not_unique_is_a_fault(tmp_path: Path) -> None:
    _, faults = read(tmp_path, "IID q\nP1 1\n", FAM.replace("F2 P2", "F2 P1"))

    assert [fault.code for fault in faults] == ["AMBIGUOUS_PEOPLE"]


def test_missing_table_is_a_fault(tmp_path: Path) -> None:
    _, faults = read_table(tmp_path / "nothing.tsv", "phenotypes", people(tmp_path))

    assert [fault.code for fault in faults] == ["UNREADABLE"]
