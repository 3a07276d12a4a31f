"""Attack by linear algebra: enough exact sums over the same people are their genotypes. It sets the budgets."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.errors import DisclosureRefused
from fedstats.study import Model, Term, Trait
from fedstats.wire.messages import Plan
from node_agent.budgets import Spending, check_columns, check_numbers, columns_of, company
from node_agent.policy import MOST_PER_PERSON, Policy
from tests.attacks.attacker import attacked, plan_of, refused
from tests.attacks.inversion import FREQUENCY, accuracy, accuracy_of_indicators

#: The most common genotype, guessed for everybody.
GUESS = max((1 - FREQUENCY) ** 2, 2 * FREQUENCY * (1 - FREQUENCY))
#: DataSHIELD's default: parameters a person (nfilter.glm).
DATASHIELD = 0.33
#: Six draws of 40 variants for at least 60 people: a share of genotypes has a standard error of 0.004 at most.
NOISE = 0.015


@pytest.mark.parametrize(
    ("share", "right"),
    # privacy.md, section 6, found 0.53 / 0.64 / 0.71 / 0.82 / 0.95 / 1.00 at 10 to 60 of 60 columns, by rounding
    # instead of the most likely genotype; what is here is at least as much.
    [(1 / 6, 0.57), (1 / 3, 0.64), (0.5, 0.72), (2 / 3, 0.82), (5 / 6, 0.93), (1.0, 1.0)],
)
def test_genotypes_come_out_of_sums_as_columns_come_near_people(share: float, right: float):
    assert accuracy(60, round(60 * share)) >= right - NOISE


def test_only_the_share_of_columns_matters_not_how_many_people_there_are():
    found = [accuracy(people, people // 3) for people in (60, 120, 240)]

    assert max(found) - min(found) < 2 * NOISE


def test_the_default_of_datashield_leaks_and_ours_is_near_guessing():
    leaked = accuracy(300, round(300 * DATASHIELD)) - GUESS
    ours = accuracy(300, round(300 * Policy().parameters_per_person)) - GUESS
    at_most = accuracy(300, round(300 * MOST_PER_PERSON["parameters_per_person"])) - GUESS

    assert leaked > 0.14
    assert ours < 0.045
    assert at_most < 0.07


def test_numbers_of_logistic_rounds_leak_as_columns_do():
    at_three_honest_nodes = accuracy_of_indicators(120, round(120 * Policy().numbers_per_person / 3))
    without_a_limit = accuracy_of_indicators(120, 240)

    assert without_a_limit > 0.99
    assert at_three_honest_nodes < 0.61


def test_the_budget_refuses_long_before_the_attack_works():
    model, limit = Model("a0", "autosome"), Policy().parameters_per_person
    refused_at = next(k for k in range(1, 60) if _refuses(Spending(k, k, 60, 60), limit, model))

    assert refused_at == 4
    assert accuracy(60, refused_at) - GUESS < 0.05


def _refuses(spending: Spending, limit: float, model: Model) -> bool:
    try:
        check_columns(spending, limit, "p", model)
    except DisclosureRefused:
        return True
    return False


# The ramp at a node: 60 people at each, so that three columns are allowed

TERMS = tuple(Term(name, name) for name in ("age", "sex", "q1"))
Q1 = Trait("q1", "quantitative")


def test_a_ramp_of_models_is_refused_when_their_columns_together_are_too_many(tmp_path: Path):
    """Each model alone has few parameters; it is their sum that would give genotypes away."""
    first = Model("a0", "autosome", (Q1,), TERMS[:1])
    second = Model("a0", "autosome", (Q1,), TERMS[1:2])
    with attacked(tmp_path, ON_THREE) as driver:
        driver.begin(plan_of(driver, "run-1", (first,), analysis="gwas/linear"))
        plan = plan_of(driver, "run-2", (second,), analysis="gwas/linear")
        driver.propose(plan)

        with refused(driver, "EE", "BUDGET_COLUMNS"):
            driver.begin(plan)


def test_what_was_asked_before_is_free(tmp_path: Path):
    model = Model("a0", "autosome", (Q1,), TERMS[:1])
    with attacked(tmp_path, ON_THREE) as driver:
        for number in range(4):
            driver.begin(plan_of(driver, f"run-{number}", (model,), analysis="gwas/linear"))

        columns = driver.lines["EE"].agent.node.ledger.rows("SELECT name FROM budget_columns ORDER BY name")
        assert {name for (name,) in columns} == columns_of(model)


def test_a_project_that_is_not_named_cannot_open_a_fresh_budget(tmp_path: Path):
    with attacked(tmp_path, ON_THREE) as driver:
        plan = plan_of(driver, "run-1", (Model("a0", "autosome", (Q1,)),), analysis="gwas/linear")
        elsewhere = _in_project(plan, "another")

        with refused(driver, "EE", "POLICY_PROJECTS"):
            driver.propose(elsewhere)


def test_projects_have_budgets_of_their_own(tmp_path: Path):
    with attacked(tmp_path, ON_THREE + 'projects = ["another"]\n') as driver:
        first = Model("a0", "autosome", (Q1,), TERMS[:1])
        second = Model("a0", "autosome", (Q1,), TERMS[1:2])
        driver.begin(plan_of(driver, "run-1", (first,), analysis="gwas/linear"))

        driver.begin(_in_project(plan_of(driver, "run-2", (second,), analysis="gwas/linear"), "another"))

        budgets = driver.lines["EE"].agent.node.budgets
        assert [account.project for account in budgets.accounts()] == ["another", "test"]


def test_numbers_of_a_variant_are_counted_over_runs_and_refused(tmp_path: Path):
    """Counting takes six numbers of a variant; asked in other pieces it is another sum, so it is charged again."""
    model = Model("a0", "autosome")
    with attacked(tmp_path, ON_THREE) as driver:  # 30 numbers for 60 people and one: five times, and then no more
        plan = plan_of(driver, "run-1", (model,))
        driver.begin(plan)
        for call in range(5):
            driver.open(*driver.order(plan, [np.arange(call + 1), np.arange(call + 1, 20)], call=call))
        order, blob = driver.order(plan, [np.arange(7), np.arange(7, 20)], call=5)
        for line in driver.lines.values():
            line.put(order.run, "asks", blob)

        with refused(driver, "EE", "BUDGET_NUMBERS"):
            driver.lines["EE"].call("Open", order)

        # Variants that were not asked as often are free still.
        driver.open(*driver.order(plan, [np.arange(20, 30)], call=6))


def test_people_of_honest_nodes_hide_those_of_this_one():
    assert company([100, 100], 3) == 100  # one of the two others may be in league with the coordinator
    assert company([100] * 14, 15) == 900
    assert company([100, 900, 100], 4) == 200  # and it may be the largest
    assert company([100], 2) == 100


def test_numbers_within_the_limit_pass_whatever_else_was_spent_on_others():
    check_numbers([Spending(50, 60, 100, 200)], 0.5, "p", "step")
    with pytest.raises(DisclosureRefused, match="numbers_per_person"):
        check_numbers([Spending(50, 101, 100, 200)], 0.5, "p", "step")


def _in_project(plan: Plan, name: str) -> Plan:
    return replace(plan, request=replace(plan.request, project=name))


ON_THREE = 'analyses = ["freq", "gwas/linear"]\nprivacy = ["masked"]\nmin_people = 50\n'
