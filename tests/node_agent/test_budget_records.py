"""Numbers that were given of variants: of several cohorts together, of any rows, and of which cohorts at all."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fedstats.ledger import open_ledger
from node_agent.budget_records import BLOCK, TABLES, Account, BudgetRecords

OURS, THEIRS = Account("ours", "demo"), Account("theirs", "demo")


@pytest.fixture
def records(tmp_path: Path) -> Iterator[BudgetRecords]:
    ledger = open_ledger(tmp_path / "ledger.sqlite", TABLES)
    yield BudgetRecords(ledger)
    ledger.close()


def test_numbers_of_cohorts_together_are_those_of_each(records: BudgetRecords):
    rng = np.random.default_rng(1)
    given = {cohort: np.zeros(5 * BLOCK, np.int64) for cohort in "abc"}
    for cohort, number in [("a", 3), ("b", 5), ("a", 7), ("b", 1)]:
        charged = rng.choice(5 * BLOCK, 2 * BLOCK, replace=False)
        records.charge_numbers(OURS, cohort, charged, number)
        given[cohort][charged] += number

    everywhere = np.arange(5 * BLOCK)
    for rows in (everywhere, rng.permutation(everywhere)[:999], everywhere[3 :: BLOCK - 1], everywhere[:0]):
        for cohorts in (["a"], ["a", "b", "c"], ["c"], []):
            expected = sum((given[cohort][rows] for cohort in cohorts), np.zeros(len(rows), np.int64))
            np.testing.assert_array_equal(records.numbers(OURS, cohorts, rows), expected)


def test_cohorts_are_told_once_each_and_by_account(records: BudgetRecords):
    assert records.cohorts_with_numbers(OURS) == []
    for cohort in ("c", "a", "b"):
        records.charge_numbers(OURS, cohort, np.arange(3 * BLOCK), 1)
    records.charge_numbers(THEIRS, "d", np.arange(9), 1)

    assert records.cohorts_with_numbers(OURS) == ["a", "b", "c"]
    assert records.cohorts_with_numbers(THEIRS) == ["d"]
