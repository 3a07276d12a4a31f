"""Attacks by what a plan says of its columns, steps and panels: what binds is what the node's own data say.

A plan calls a trait of one case quantitative, an indicator a number, or eight covariates by one name; it leaves a
column at one node by a list of people, counts autosomes by sex, or gives the same asks another panel.
"""

import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.dataset import People
from fedstats.documents import digest
from fedstats.errors import FedstatsError, ProtocolRefused
from fedstats.planning.panel import Panel
from fedstats.planning.people_lists import people_bytes
from fedstats.study import Model, Term, Trait
from fedstats.wire.messages import BeginOrder, Plan
from node_agent.charging import account_of
from tests.attacks.attacker import BLOCK, ON, attacked, counted, plan_of, refused
from tests.node_agent.driver import COUNTING, Driver, driven_locally
from tests.node_agent.sites import Federation, make_federation

Q1 = Trait("q1", "quantitative")


def with_cases(folder: Path, policy: str = ON) -> Federation:
    """Sites where every second person is a case."""
    federation = make_federation(folder, policy=policy, people=200)
    for site in federation.sites:
        rows = [f"{site.name}{n}\t{site.name}{n}\t{value}\t{n % 2}\n" for n, value in enumerate(site.q1)]
        (site.folder / "phenotypes.tsv").write_text("FID\tIID\tq1\tcase\n" + "".join(rows))
    return federation


def keeping(driver: Driver, plan: Plan, people: frozenset[str]) -> Plan:
    """The plan on a list of people, which is put at every node."""
    listed = people_bytes(People(keep=frozenset((name, name) for name in people)))
    (sha256,) = {line.put(plan.run, "people", listed) for line in driver.lines.values()}
    return replace(plan, request=replace(plan.request, people=sha256))


def controls_and(*cases: str) -> frozenset[str]:
    return frozenset({f"{site}{n}" for site in ("EE", "FI", "SE") for n in range(0, 200, 2)} | set(cases))


DECLARED = (
    (Model("m", "autosome", (Trait("case", "quantitative"),)), "FLOOR_MIN_ARM"),
    (Model("m", "autosome", (Trait("case", "binary", "01"),)), "FLOOR_MIN_ARM"),
    (Model("m", "autosome", (Q1,), (Term("case", "case", indicator=False),)), "FLOOR_MIN_LEVEL"),
    (Model("m", "autosome", (Q1,), (Term("case", "case", indicator=True),)), "FLOOR_MIN_LEVEL"),
)


@pytest.mark.parametrize(("model", "code"), DECLARED)
def test_one_case_among_controls_is_refused_whatever_the_column_is_called(
    tmp_path: Path, model: Model, code: str
) -> None:
    with driven_locally(with_cases(tmp_path)) as driver:
        plan = keeping(driver, plan_of(driver, "run-1", (model,), analysis="gwas/linear"), controls_and("FI7"))
        driver.propose(plan)

        with refused(driver, "FI", code):
            driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))


@pytest.mark.parametrize("model", [model for model, _ in (DECLARED[0], *DECLARED[2:])])
def test_a_list_that_leaves_a_column_at_one_node_is_refused_by_the_others(tmp_path: Path, model: Model) -> None:
    """They had said that the column varies among their people; among those of the list it does at one node alone."""
    with driven_locally(with_cases(tmp_path)) as driver:
        people = controls_and(*(f"FI{n}" for n in range(1, 80, 2)))
        plan = keeping(driver, plan_of(driver, "run-1", (model,), analysis="gwas/linear"), people)
        driver.propose(plan)

        driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))
        with refused(driver, "EE", "FLOOR_MIN_LEVEL"):
            driver.lines["EE"].call("Begin", BeginOrder(plan.run, digest(plan)))


@pytest.mark.parametrize("men", [1, 0])
def test_few_men_on_x_or_men_at_one_node_alone_are_refused(tmp_path: Path, men: int) -> None:
    with attacked(tmp_path, ON, people=200) as driver:
        # Every second person is a man, beginning with the first.
        kept = {f"{site}{n}" for site in ("EE", "FI", "SE") for n in range(1, 200, 2)}
        kept |= {"EE0"} if men else {f"FI{n}" for n in range(0, 60, 2)}
        plan = keeping(driver, plan_of(driver, "run-1", (Model("x0", "x"),)), frozenset(kept))
        driver.propose(plan)

        with refused(driver, "EE", "FLOOR_MIN_LEVEL"):
            driver.lines["EE"].call("Begin", BeginOrder(plan.run, digest(plan)))


def test_autosomes_are_not_counted_by_sex(tmp_path: Path) -> None:
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        order, blob = driver.order(plan, [BLOCK], step="genotypes/counts_by_sex@2")
        driver.lines["FI"].put(plan.run, "asks", blob)

        with refused(driver, "FI", "STEP_NOT_ALLOWED", ProtocolRefused):
            driver.lines["FI"].call("Open", order)


def test_covariates_of_one_name_are_charged_each(tmp_path: Path) -> None:
    """Sixty people at a node: three columns are allowed, the intercept and the trait among them."""
    with attacked(tmp_path, ON) as driver:
        for number, column in enumerate(("age", "sex")):
            model = Model("q0", "autosome", (Q1,), (Term("c", column),))
            plan = plan_of(driver, f"run-{number}", (model,), analysis="gwas/linear")
            driver.propose(plan)
            begin = BeginOrder(plan.run, digest(plan))
            if column == "age":
                driver.lines["FI"].call("Begin", begin)

        with refused(driver, "FI", "BUDGET_COLUMNS"):
            driver.lines["FI"].call("Begin", begin)


@dataclass(frozen=True)
class Given:
    """Numbers that a node says it gave, by row of its genotype file."""

    driver: Driver

    def at(self, plan: Plan) -> np.ndarray:
        budgets, account = self.driver.lines["FI"].agent.node.budgets, account_of(plan)  # type: ignore[attr-defined]
        (cohort,) = budgets.cohorts_with_numbers(account)
        return np.asarray(budgets.numbers(account, [cohort], np.arange(20)))


def test_the_same_asks_under_another_panel_are_other_variants_and_paid(tmp_path: Path) -> None:
    with attacked(tmp_path, ON) as driver:
        first = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(first)
        order, blob = driver.order(first, [np.arange(10)])
        driver.whole_pass(first, order, blob)
        assert (Given(driver).at(first) > 0).tolist() == [True] * 10 + [False] * 10

        driver.panel = from_row(driver.panel, 10)
        second = plan_of(driver, "run-2", (COUNTING,))
        driver.begin(second)
        again, same = driver.order(second, [np.arange(10)])
        driver.whole_pass(second, again, same)

        assert same == blob
        assert (Given(driver).at(second) > 0).all()


def from_row(panel: Panel, first: int) -> Panel:
    """The panel without its first variants."""
    return panel.take(np.arange(first, len(panel)))


def test_lists_proposed_at_the_same_moment_are_counted_one_after_another(tmp_path: Path) -> None:
    limit = 2
    with attacked(tmp_path, f"{ON}max_people_lists = {limit}\n") as driver:
        everybody = {f"{site}{n}" for site in ("EE", "FI", "SE") for n in range(60)}
        plans = [
            keeping(driver, plan_of(driver, f"run-{n}", (COUNTING,)), frozenset(everybody - {f"FI{n}"}))
            for n in range(8)
        ]
        driver.put_blobs(plans[0])
        codes: list[str] = []

        def propose(plan: Plan) -> None:
            try:
                driver.lines["FI"].call("Propose", plan)
                codes.append("answered")
            except FedstatsError as error:
                codes.append(error.code)

        threads = [threading.Thread(target=propose, args=(plan,)) for plan in plans]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert sorted(codes) == sorted(["answered"] * limit + ["POLICY_MAX_PEOPLE_LISTS"] * (len(plans) - limit))


def test_proposals_beside_beginnings_never_wait_for_one_another(tmp_path: Path) -> None:
    """What is read for a proposal needs the ledger, and who begins a run has the ledger and needs what was read."""
    with attacked(tmp_path, ON) as driver:
        plans = [plan_of(driver, f"run-{n}", (COUNTING,)) for n in range(20)]
        everybody = {f"{site}{n}" for site in ("EE", "FI", "SE") for n in range(60)}
        listed = [
            keeping(driver, plan_of(driver, f"other-{n}", (COUNTING,)), frozenset(everybody - {f"FI{n}"}))
            for n in range(20)
        ]
        line = driver.lines["FI"]
        driver.put_blobs(plans[0])
        for plan in plans:
            line.call("Propose", plan)

        def begin() -> None:
            for plan in plans:
                line.call("Begin", BeginOrder(plan.run, digest(plan)))

        def propose() -> None:
            for plan in listed:
                line.call("Propose", plan)

        threads = [threading.Thread(target=work, daemon=True) for work in (begin, propose)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert not any(thread.is_alive() for thread in threads)


def test_what_is_counted_is_what_it_was(tmp_path: Path) -> None:
    """The guards leave honest counts alone."""
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)

        expected = sum(np.maximum(site.dosages[BLOCK], 0).sum(axis=1) for site in driver.federation.sites)
        np.testing.assert_array_equal(counted(driver, plan), expected)
