"""The guide of refusals has every code that can reach a caller, once, in order, and none that cannot."""

import re

from tests.docs.refusal_codes import (
    ANSWERING,
    AT_COORDINATORS,
    GUIDE,
    NOT_TO_CALLERS,
    OF_COMMANDS,
    ROOT,
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


def test_rows_are_sorted_and_stand_once() -> None:
    assert rows() == sorted(set(rows()))


def test_every_row_says_what_it_means_and_what_to_do() -> None:
    cells = re.findall(r"^\| `[A-Z_0-9]+` \| (.+) \| (.+) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)

    assert len(cells) == len(rows())
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
