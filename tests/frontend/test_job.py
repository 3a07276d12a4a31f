from pathlib import Path

import pytest

from fedstats.dataset import People
from fedstats.errors import UsageError
from fedstats.frontend.job import listed_people, names_of, people_of, seconds_of, variants_of


def test_names_are_split_at_commas_and_stripped() -> None:
    assert names_of("age, sex,,PC1-PC4") == ("age", "sex", "PC1-PC4")
    assert names_of(["age", "sex"]) == ("age", "sex")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("#FID IID\nF1 P1\nF2 P2\n", {("F1", "P1"), ("F2", "P2")}),
        ("F1\tP1\nF2\tP2\textra\n", {("F1", "P1"), ("F2", "P2")}),
        ("#IID\nP1\n", {("", "P1")}),
        ("P1\nP2\n", {("", "P1"), ("", "P2")}),
        ("", set()),
    ],
)
def test_lists_of_people_are_read_with_and_without_header(tmp_path: Path, text: str, expected: set[object]) -> None:
    path = tmp_path / "people.keep"
    path.write_text(text)

    assert people_of(path, "--keep") == expected


def test_people_of_each_list_that_was_given_are_counted() -> None:
    assert listed_people([("F1", "P1"), ("F2", "P2")], None) == (
        People(frozenset({("F1", "P1"), ("F2", "P2")})),
        {"keep": 2},
    )
    assert listed_people(None, []) == (People(), {"remove": 0})
    assert listed_people(None, None) == (People(), {})


@pytest.mark.parametrize("text", ["", "#FID\tIID\n"])
def test_a_list_that_keeps_nobody_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "people.keep"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"--keep .*people.keep: the list names nobody") as caught:
        listed_people(path, None)
    assert caught.value.code == "BAD_LIST"


def test_a_list_that_extracts_nothing_is_refused_and_one_that_excludes_nothing_is_not() -> None:
    with pytest.raises(UsageError, match="--extract: the list names no variant"):
        variants_of([], "--extract")
    assert variants_of([], "--exclude") == ()


def test_a_line_without_individual_is_an_error_that_names_the_flag(tmp_path: Path) -> None:
    path = tmp_path / "people.keep"
    path.write_text("F1 P1\nF2\n")

    with pytest.raises(UsageError, match=r"--keep .*: some lines have no FID and IID"):
        people_of(path, "--keep")


def test_a_list_that_is_not_there_is_an_error_that_names_the_flag(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--extract .*No such file"):
        variants_of(tmp_path / "nothing.txt", "--extract")


def test_variants_are_read_one_or_more_a_line(tmp_path: Path) -> None:
    path = tmp_path / "ids.txt"
    path.write_text("rs1 rs2\nrs3\n")

    assert variants_of(path, "--extract") == ("rs1", "rs2", "rs3")
    assert variants_of(["rs1"], "--extract") == ("rs1",)
    assert variants_of(None, "--extract") is None


@pytest.mark.parametrize(("typed", "expected"), [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), (5, 5)])
def test_durations_are_seconds(typed: str | float, expected: float) -> None:
    assert seconds_of(typed) == expected


def test_a_duration_of_another_unit_is_an_error() -> None:
    with pytest.raises(UsageError, match="no duration"):
        seconds_of("2 fortnights")
