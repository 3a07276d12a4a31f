"""The guide of refusals has every code that can reach a caller or analyst, once, in order, and none that cannot."""

import re

import pytest

from tests.docs.own_codes import SAID_IN_FULL, WITHOUT_A_ROW, codes_of_all, own_codes, warnings
from tests.docs.refusal_codes import (
    ANSWERED,
    ANSWERING,
    AT_COORDINATORS,
    GUIDE,
    NOT_TO_CALLERS,
    OF_COMMANDS,
    OWN_SIDE,
    ROOT,
    WARNINGS,
    codes_of,
    raised,
    rows,
    unclassified,
    without_a_code,
)


def test_every_code_that_can_reach_a_caller_has_a_row() -> None:
    found = raised()

    assert len(found) > 90
    assert {code: lines for code, lines in found.items() if code not in rows()} == {}


def test_every_row_is_a_code_that_can_reach_a_caller() -> None:
    assert set(rows()) - set(raised()) == set()


def test_every_code_of_the_sources_has_a_row_or_a_reason_for_having_none() -> None:
    explained = {*rows(), *rows(OWN_SIDE)}

    assert {code: lines for code, lines in own_codes().items() if code not in explained} == {}


def test_every_row_of_the_own_side_is_a_code_of_the_sources_and_of_no_node() -> None:
    assert set(rows(OWN_SIDE)) - set(own_codes()) == set()
    assert set(rows(OWN_SIDE)) & set(rows()) == set()


def test_warnings_are_those_of_the_sources() -> None:
    assert set(rows(WARNINGS)) == warnings()


def test_what_has_no_row_exists() -> None:
    assert [one for one in SAID_IN_FULL if not (ROOT / one).exists()] == []
    assert set(WITHOUT_A_ROW) <= set(codes_of_all())
    assert set(WITHOUT_A_ROW) & {*rows(), *rows(OWN_SIDE)} == set()


def test_codes_that_planning_gives_by_position_are_found() -> None:
    assert {"TRAIT_AT_FEW_NODES", "LEVEL_AT_FEW_NODES", "NOT_SERVED", "TRAIT_EMPTY", "UNRESOLVED"} <= set(own_codes())


@pytest.mark.parametrize("heading", [ANSWERED, OWN_SIDE, WARNINGS])
def test_rows_are_sorted_and_stand_once(heading: str) -> None:
    assert len(rows(heading)) > 5
    assert rows(heading) == sorted(set(rows(heading)))


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    cells = re.findall(r"^\| `[A-Z_0-9]+` \| (.+) \| (.+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(cells) == len(rows()) + len(rows(OWN_SIDE)) + len(rows(WARNINGS))
    assert all(len(meaning) > 15 and len(advice) > 6 for meaning, advice in cells)


def test_no_source_that_agents_load_is_forgotten() -> None:
    assert unclassified() == []


def test_errors_that_reach_callers_have_a_code() -> None:
    # What a worker process refuses has the code that it gives.
    assert [place for place in without_a_code() if "paillier_workers.py" not in place] == []


def test_what_is_left_out_exists() -> None:
    assert [one for one in (*ANSWERING, *OF_COMMANDS, *AT_COORDINATORS) if not (ROOT / one).exists()] == []
    assert set(NOT_TO_CALLERS) <= codes_of()


def test_a_code_without_a_row_would_be_noticed() -> None:
    assert "BUDGET_COLUMNS" in raised()
    assert any(place.startswith("node_agent/budgets.py") for place in raised()["BUDGET_COLUMNS"])
