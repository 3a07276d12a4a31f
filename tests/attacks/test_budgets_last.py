"""Budgets outlive the agent, however it ends, and a refusal leaves them as they were."""

import shutil
from pathlib import Path

import pytest

from fedstats.documents import digest
from fedstats.errors import DisclosureRefused
from fedstats.ledger import open_ledger
from fedstats.study import Model, Term, Trait
from fedstats.wire.messages import BeginOrder
from node_agent.budget_records import Account, BudgetRecords
from node_agent.budgets import COLUMNS
from node_agent.node import ALL_TABLES
from tests.attacks.attacker import BLOCK, ON, attacked, counted, plan_of, spent
from tests.node_agent.driver import COUNTING, Driver

MODEL = Model("a0", "autosome", (Trait("q1", "quantitative"),), (Term("age", "age"),))
OURS = Account("test", "demo")


def as_killed(driver: Driver, node: str, folder: Path) -> BudgetRecords:
    """The budgets that a node finds after kill -9: its files as they lie there, while it runs."""
    state = driver.federation.site(node).folder / "state"
    folder.mkdir()
    for path in state.glob("ledger.sqlite*"):
        shutil.copyfile(path, folder / path.name)
    return BudgetRecords(open_ledger(folder / "ledger.sqlite", ALL_TABLES))


def test_what_was_charged_when_a_run_began_survives_kill_9(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        driver.begin(plan_of(driver, "run-1", (MODEL,), analysis="gwas/linear"))

        left = as_killed(driver, "FI", tmp_path / "killed")

        assert left.runs_begun(OURS) == 1
        (columns,) = left.columns(OURS, "autosome").values()
        assert len(columns) == 3
        assert left.shares(OURS)[COLUMNS] == pytest.approx(1.0)  # three of 0.05 x 60


def test_numbers_are_charged_before_the_first_word_leaves(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        driver.open(*driver.order(plan, [BLOCK]))

        left = as_killed(driver, "FI", tmp_path / "killed")

        (cohort,) = left.cohorts_with_numbers(OURS)
        assert set(left.numbers(OURS, [cohort], BLOCK).tolist()) == {6}


def test_a_second_attempt_at_a_pass_and_a_repeated_order_cost_nothing(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        counted(driver, plan)
        before = spent(driver, "FI")

        driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))
        counted(driver, plan, call=1)  # the same sum at another place of the run

        assert spent(driver, "FI") == before


def test_a_run_that_is_refused_for_one_model_spends_nothing_on_the_others(tmp_path: Path):
    second = Model("a1", "autosome", (Trait("q1", "quantitative"),), (Term("sex", "sex"),))
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (MODEL, second), analysis="gwas/linear")
        driver.propose(plan)
        before = spent(driver, "FI")

        with pytest.raises(DisclosureRefused) as caught:
            driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))

        assert caught.value.code == "BUDGET_COLUMNS"
        assert spent(driver, "FI") == before == [0] * len(before)
