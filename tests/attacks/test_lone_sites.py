"""Attacks by columns that are what they are at one site only: the pooled sum is then that site's own."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.cohort import Cohort
from fedstats.dataset import with_block
from fedstats.documents import decode, digest
from fedstats.errors import DisclosureRefused
from fedstats.planning.request import Request
from fedstats.planning.resolve import resolve
from fedstats.study import Floors, Model, Term, Trait
from fedstats.wire.messages import BeginOrder, Plan, Serving
from tests.attacks.attacker import BLOCK, OFF, ON, attacked, plan_of, refused
from tests.node_agent.driver import Driver, driven_locally
from tests.node_agent.sites import Federation, make_federation
from tests.planning.people import dataset, surveys

Q1 = Trait("q1", "quantitative")


def rewritten(federation: Federation, table: str, column: str, value) -> Federation:
    """A further column in a table of every site: value(site, number of the person)."""
    for site in federation.sites:
        path = site.folder / table
        header, *rows = path.read_text().splitlines()
        more = [f"{row}\t{value(site.name, number)}" for number, row in enumerate(rows)]
        path.write_text("\n".join([f"{header}\t{column}", *more]) + "\n")
    return federation


def begin(driver: Driver, plan: Plan, node: str) -> None:
    driver.propose(plan)
    driver.lines[node].call("Begin", BeginOrder(plan.run, digest(plan)))


# Two of three nodes with only NA


def only_at_fi(site: str, number: int) -> object:
    return number % 13 if site == "FI" else "NA"


ONLY_AT_FI = Model("a0", "autosome", (Trait("r1", "quantitative"),))


def test_a_trait_that_only_one_site_has_would_show_that_site():
    """What would come out if the other two sent the sums of nobody."""
    rng = np.random.default_rng(1)
    sums = [rng.integers(0, 100, len(BLOCK)), np.zeros(len(BLOCK), np.int64), np.zeros(len(BLOCK), np.int64)]

    np.testing.assert_array_equal(sum(sums), sums[0])


def test_nodes_that_have_nobody_do_not_serve_and_nothing_begins_without_them(tmp_path: Path):
    """Not even a validation run: nobody contributes zeros, and no pass opens without every node's keys."""
    federation = rewritten(make_federation(tmp_path, policy=OFF), "phenotypes.tsv", "r1", only_at_fi)
    with driven_locally(federation) as driver:
        plan = plan_of(driver, "run-1", (ONLY_AT_FI,))

        for node in ("EE", "SE"):
            serving = decode(Serving, driver.propose(plan)[node].body)
            assert "min_people" in [reason.rule for reason in serving.serve.models[0].reasons]
            with refused(driver, node, "FLOOR_MIN_PEOPLE"):
                begin(driver, plan, node)


def test_the_site_that_has_it_refuses_as_well(tmp_path: Path):
    federation = rewritten(make_federation(tmp_path, policy=ON), "phenotypes.tsv", "r1", only_at_fi)
    with driven_locally(federation) as driver:
        plan = plan_of(driver, "run-1", (ONLY_AT_FI,))
        driver.put_blobs(plan)

        for node in driver.names:
            with refused(driver, node, "COLUMN_AT_FEW_NODES"):
                driver.lines[node].call("Propose", plan)


# A level that lives at one site


def baltic(site: str, number: int) -> str:
    """A population of which there are people at FI only; elsewhere everybody is of another."""
    return "east" if site == "FI" and number < 30 else "west"


LEVEL = Term("population=east", "population", "east", indicator=True)
WITH_LEVEL = Model("a0", "autosome", (Q1,), (LEVEL,))


def test_an_indicator_of_a_level_at_one_site_returns_that_sites_sums(tmp_path: Path):
    federation = rewritten(make_federation(tmp_path, policy=OFF), "covariates.tsv", "population", baltic)
    with driven_locally(federation) as driver:
        plan = plan_of(driver, "run-1", (WITH_LEVEL,), analysis="gwas/linear")
        driver.begin(plan)
        cohorts, sets = [], []
        for line in driver.lines.values():
            node = line.agent.node
            cohorts.append(node.cohorts.cohort(plan, digest(plan), WITH_LEVEL))
            sets.append(node.cohorts.of_plan(plan))

        pooled = sum(_products(cohort, held) for cohort, held in zip(cohorts, sets, strict=True))

        own = np.maximum(federation.site("FI").dosages[BLOCK, :30], 0).sum(axis=1)
        np.testing.assert_array_equal(pooled, own)


def _products(cohort: Cohort, held) -> np.ndarray:
    """Sum of dosages times the indicator, as a scan has it before it is centred."""
    dosages = np.maximum(with_block(cohort, held, BLOCK).block().dosages(), 0)
    return np.asarray(dosages @ cohort.covariates[:, 0])


def test_a_plan_with_a_level_at_one_site_is_refused_by_name_at_every_node(tmp_path: Path):
    federation = rewritten(make_federation(tmp_path, policy=ON), "covariates.tsv", "population", baltic)
    with driven_locally(federation) as driver:
        plan = plan_of(driver, "run-1", (WITH_LEVEL,), analysis="gwas/linear")

        for node in driver.names:
            driver.put_blobs(plan)
            with refused(driver, node, "COLUMN_AT_FEW_NODES"):
                driver.lines[node].call("Propose", plan)


def test_a_column_of_numbers_that_varies_at_one_site_is_refused(tmp_path: Path):
    values = lambda site, number: number if site == "FI" else 0  # noqa: E731  # said where it is used
    federation = rewritten(make_federation(tmp_path, policy=ON), "covariates.tsv", "here", values)
    with driven_locally(federation) as driver:
        model = Model("a0", "autosome", (Q1,), (Term("here", "here"),))
        plan = plan_of(driver, "run-1", (model,), analysis="gwas/linear")
        driver.put_blobs(plan)

        with refused(driver, "EE", "COLUMN_AT_FEW_NODES"):
            driver.lines["EE"].call("Propose", plan)


def test_a_trait_that_only_tells_sites_apart_is_refused(tmp_path: Path):
    federation = make_federation(tmp_path, policy=ON)
    rewritten(federation, "phenotypes.tsv", "place", lambda site, number: {"EE": 0, "FI": 3, "SE": 0}[site])
    with driven_locally(federation) as driver:
        model = Model("a0", "autosome", (Trait("place", "quantitative"),))
        plan = plan_of(driver, "run-1", (model,), analysis="gwas/linear")
        driver.put_blobs(plan)

        with refused(driver, "FI", "COLUMN_AT_FEW_NODES"):
            driver.lines["FI"].call("Propose", plan)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda surveys: {}, "NO_SURVEY"),
        (lambda surveys: {**surveys, "SE": surveys["EE"]}, "WRONG_SIGNER"),
        (lambda surveys: {**surveys, "SE": replace(surveys["SE"], body=surveys["EE"].body)}, "BAD_SIGNATURE"),
    ],
)
def test_what_nodes_say_of_their_columns_cannot_be_left_out_or_made_up(tmp_path: Path, change, code: str):
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(
            driver, "run-1", (Model("a0", "autosome", (Q1,), (Term("age", "age"),)),), analysis="gwas/linear"
        )
        forged = replace(plan, surveys=change(plan.surveys))
        driver.put_blobs(forged)

        with refused(driver, "FI", code):
            driver.lines["FI"].call("Propose", forged)


def test_an_honest_coordinator_refuses_it_while_it_plans():
    columns = {"y": [n + 0.5 for n in range(40)], "place": [3.0] * 40}
    nodes = {name: dataset(columns) for name in ("FI", "EE", "NO")}
    nodes["FI"] = dataset(columns | {"place": [float(n) for n in range(40)]})
    request, floors = Request("gwas", ("place",)), Floors(min_level=10)

    with pytest.raises(DisclosureRefused, match="trait 'place' varies at fewer than 3 nodes"):
        resolve(request, ("autosome",), surveys(request, nodes, floors), floors)
