"""Plans and orders that a node must not follow: each is refused with its code, and leaves nothing but its refusal.

What such a plan would get is shown at the end, at nodes whose policy allows it or whose check is off. A plan that asks
for what is not there (a step, model, blob, layout or build) would get nothing: there is no other side to show.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.analyses.linear_design import linear_design
from fedstats.dataset import People
from fedstats.documents import digest
from fedstats.errors import DisclosureRefused
from fedstats.identity import signing
from fedstats.identity.keys import Identity, generate_identity
from fedstats.identity.signing import sign
from fedstats.planning.people_lists import people_bytes
from fedstats.study import Term, Trait
from fedstats.wire.arrays import asks_to_bytes
from fedstats.wire.messages import BeginOrder, Plan
from tests.attacks.attacker import BLOCK, OFF, ON, attacked, counted, dosages_of, plan_of, refused, without
from tests.node_agent.driver import COUNTING, Driver
from tests.security.steered_driver import Steered


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with attacked(tmp_path, ON) as found:
        yield found


def with_study(plan: Plan, **changes: object) -> Plan:
    return replace(plan, study=replace(plan.study, **changes))  # type: ignore[arg-type]  # fields of Study


def with_floors(plan: Plan, **changes: object) -> Plan:
    return with_study(plan, floors=replace(plan.study.floors, **changes))  # type: ignore[arg-type]  # of Floors


BAD: tuple[tuple[Callable[[Plan], Plan], str], ...] = (
    (lambda plan: with_study(plan, analysis="hardy"), "POLICY_ANALYSES"),
    (lambda plan: with_study(plan, missing="drop"), "POLICY_ALLOW_DROP"),
    (lambda plan: replace(plan, request=replace(plan.request, project="other")), "POLICY_PROJECTS"),
    (lambda plan: with_floors(plan, min_people=49), "POLICY_MIN_PEOPLE"),
    (lambda plan: with_floors(plan, min_mac=1), "POLICY_MIN_MAC"),
    (lambda plan: with_floors(plan, parameters_per_person=0.5), "POLICY_PARAMETERS_PER_PERSON"),
    (lambda plan: with_floors(plan, validation=True), "POLICY_PRESET"),
    (lambda plan: replace(plan, roster="0" * 64), "WRONG_ROSTER"),
    (lambda plan: replace(plan, nodes={**plan.nodes, "SE": generate_identity().public_hex}), "WRONG_ROSTER"),
    (lambda plan: replace(plan, build="GRCh38"), "OTHER_BUILD"),
    (lambda plan: replace(plan, panel="0" * 64), "NO_BLOB"),
    (lambda plan: replace(plan, amends="run-0"), "WRONG_AMENDMENT"),
)


@pytest.mark.parametrize(("change", "code"), BAD, ids=[f"{number}-{code}" for number, (_, code) in enumerate(BAD)])
def test_a_plan_that_a_node_must_not_follow_is_refused(driver: Driver, change: Callable[[Plan], Plan], code: str):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.put_blobs(plan)

    with refused(driver, "FI", code):
        driver.lines["FI"].call("Propose", change(plan))


def test_the_plan_without_any_change_is_answered(driver: Driver):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.begin(plan)
    order, blob = driver.order(plan, [BLOCK])

    assert driver.whole_pass(plan, order, blob).any()


def test_a_plan_that_a_stranger_signed_is_refused(driver: Driver):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.put_blobs(plan)

    with refused(driver, "FI", "WRONG_SIGNER"):
        driver.lines["FI"].call("Propose", sign(generate_identity(), "Plan", plan))


def test_a_plan_with_a_changed_byte_is_refused(driver: Driver):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.put_blobs(plan)
    signed = sign(driver.federation.coordinator, "Plan", plan)

    with refused(driver, "FI", "BAD_SIGNATURE"):
        driver.lines["FI"].call("Propose", replace(signed, body=signed.body.replace(b"run-1", b"run-2")))


def test_a_plan_under_another_kind_is_refused(driver: Driver):
    plan = plan_of(driver, "run-1", (COUNTING,))

    with refused(driver, "FI", "WRONG_KIND"):
        driver.lines["FI"].call("Begin", sign(driver.federation.coordinator, "Plan", plan))


def test_a_run_of_two_nodes_is_refused(driver: Driver):
    pair = without(driver, "SE")
    plan = plan_of(pair, "run-1", (COUNTING,))
    pair.put_blobs(plan)

    with refused(pair, "FI", "POLICY_MIN_NODES"):
        pair.lines["FI"].call("Propose", plan)


def test_a_small_cohort_is_refused(tmp_path: Path):
    with attacked(tmp_path, ON, people=40) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.propose(plan)

        with refused(driver, "FI", "FLOOR_MIN_PEOPLE", DisclosureRefused):
            driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"step": "genotypes/none@1"}, "UNKNOWN_STEP"),
        ({"step": "linear_gwas/scan@1"}, "STEP_NOT_ALLOWED"),
        ({"model": "a9"}, "UNKNOWN_MODEL"),
        ({"plan": "0" * 64}, "NO_PLAN"),
        ({"pass_id": "0" * 64}, "WRONG_PASS_ID"),
        ({"asks": "0" * 64}, "NO_BLOB"),
        ({"layout": "0" * 64}, "WRONG_LAYOUT"),
        ({"words": 1}, "WRONG_LAYOUT"),
    ],
)
def test_an_order_that_the_plan_does_not_have_is_refused(driver: Driver, changes: dict[str, object], code: str):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.begin(plan)
    order, blob = driver.order(plan, [BLOCK])
    driver.lines["FI"].put(order.run, "asks", blob)

    with refused(driver, "FI", code):
        driver.lines["FI"].call("Open", replace(order, **changes))  # type: ignore[arg-type]  # fields of PassOrder


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        (np.array([3, 2]), "MALFORMED"),
        (np.array([35]), "WRONG_VARIANTS"),
        (np.array([400]), "NO_VARIANT"),
        (np.arange(12), "PASS_TOO_LARGE"),
    ],
)
def test_variants_that_the_run_does_not_have_are_refused(driver: Driver, variants: np.ndarray, code: str):
    plan = replace(plan_of(driver, "run-1", (COUNTING,)), pass_variants=10)
    driver.begin(plan)
    order, blob = driver.order(plan, [variants])
    driver.lines["FI"].put(order.run, "asks", blob)

    with refused(driver, "FI", code):
        driver.lines["FI"].call("Open", order)


def test_parameters_of_another_shape_are_refused(driver: Driver):
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.begin(plan)
    order, _ = driver.order(plan, [BLOCK])
    asks = driver.lines["FI"].put(order.run, "asks", asks_to_bytes([(BLOCK, {"weights": np.array([[1]])})]))

    with refused(driver, "FI", "BAD_PARAMETERS"):
        driver.lines["FI"].call("Open", replace(order, asks=asks))


# What they would get


def of_these_people(driver: Driver, plan: Plan, *people: str) -> Plan:
    """The plan on some people only, whose list is put at every node."""
    listed = people_bytes(People(keep=frozenset((name, name) for name in people)))
    (sha256,) = {line.put(plan.run, "people", listed) for line in driver.lines.values()}
    return replace(plan, request=replace(plan.request, people=sha256))


def test_a_cohort_of_one_person_a_node_shows_each_to_who_knows_the_others_where_floors_are_off(tmp_path: Path):
    with attacked(tmp_path, OFF) as driver:
        plan = of_these_people(driver, plan_of(driver, "run-1", (COUNTING,)), "EE1", "FI7", "SE2")
        driver.begin(plan)

        total = counted(driver, plan)

        known = dosages_of(driver.federation, "EE", 1) + dosages_of(driver.federation, "SE", 2)
        np.testing.assert_array_equal(total - known, dosages_of(driver.federation, "FI", 7))


def test_a_cohort_of_one_person_a_node_is_refused(driver: Driver):
    plan = of_these_people(driver, plan_of(driver, "run-1", (COUNTING,)), "EE1", "FI7", "SE2")
    driver.propose(plan)

    with refused(driver, "FI", "FLOOR_MIN_PEOPLE", DisclosureRefused):
        driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))


def test_a_run_of_two_nodes_shows_each_the_others_sums_where_both_allow_it(tmp_path: Path):
    with attacked(tmp_path, ON + "allow_two_nodes = true\n") as driver:
        pair = without(driver, "SE")
        plan = with_floors(plan_of(pair, "run-1", (COUNTING,)), min_nodes=2)
        pair.begin(plan)

        total = counted(pair, plan)

        ee, fi = (np.maximum(pair.federation.site(name).dosages[BLOCK], 0).sum(axis=1) for name in ("EE", "FI"))
        np.testing.assert_array_equal(total - ee, fi)


@dataclass(frozen=True)
class Claimed(Identity):
    """A stranger's key under the name of somebody else."""

    name: str

    @property
    def public_hex(self) -> str:
        return self.name


def as_the_coordinator(driver: Driver) -> Driver:
    """Somebody on the line who says that they are the coordinator, and signs with another key."""
    claimed = Claimed(generate_identity().private, driver.federation.coordinator.public_hex)
    federation = replace(driver.federation, coordinator=claimed)
    lines = {name: replace(line, federation=federation) for name, line in driver.lines.items()}
    return replace(driver, federation=federation, lines=lines)


def own_sums_by_a_plain_plan(driver: Driver) -> np.ndarray:
    """What FI uploads where nothing is masked, shape (variant,)."""
    plan = replace(plan_of(driver, "run-1", (COUNTING,)), privacy="plain")
    driver.begin(plan)
    order, blob = driver.order(plan, [BLOCK])
    driver.open(order, blob)
    driver.compute(order, {})
    _, heterozygous, homozygous = np.frombuffer(driver.fetch(order)["FI"], "<u8")[: 3 * len(BLOCK)].reshape(3, -1)
    return np.asarray(heterozygous + 2 * homozygous)


def test_whoever_is_on_the_line_gets_what_the_coordinator_may_ask_where_signatures_are_not_checked(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(signing, "is_signed_by", lambda *_: True)

    words = own_sums_by_a_plain_plan(as_the_coordinator(driver))

    own = np.maximum(driver.federation.site("FI").dosages[BLOCK], 0).sum(axis=1)
    np.testing.assert_array_equal(words, own)


def test_whoever_is_on_the_line_is_refused(driver: Driver):
    forger = as_the_coordinator(driver)
    plan = plan_of(driver, "run-1", (COUNTING,))
    driver.put_blobs(plan)

    with refused(driver, "FI", "BAD_SIGNATURE"):
        forger.lines["FI"].call("Propose", plan)


WITH_AGE = replace(COUNTING, traits=(Trait("q1", "quantitative"),), terms=(Term("age", "age"),))


def pooled(driver: Driver, table: str) -> np.ndarray:
    """The last column of a table of every site."""
    folders = [driver.federation.site(name).folder for name in driver.names]
    return np.concatenate([np.loadtxt(folder / table, skiprows=1, usecols=2) for folder in folders])


def test_an_analysis_tells_how_a_trait_goes_with_age_where_the_policy_names_it(driver: Driver):
    plan = plan_of(driver, "run-1", (WITH_AGE,), analysis="gwas/linear")
    driver.begin(plan)

    found = linear_design(Steered(driver, plan), plan.study, WITH_AGE)

    with_age = found.centred_design_trait[0, 0] / np.sqrt(found.centred_design[0, 0] * found.centred_trait_squares[0])
    correlation = np.corrcoef(pooled(driver, "covariates.tsv"), pooled(driver, "phenotypes.tsv"))[0, 1]
    np.testing.assert_allclose(with_age, correlation, rtol=1e-9)  # columns are rounded once


def test_an_analysis_that_the_policy_does_not_name_tells_nothing(tmp_path: Path):
    with attacked(tmp_path, ON.replace('["freq", "gwas/linear"]', '["freq"]')) as driver:
        plan = plan_of(driver, "run-1", (WITH_AGE,), analysis="gwas/linear")
        driver.put_blobs(plan)

        with refused(driver, "FI", "POLICY_ANALYSES"):
            driver.lines["FI"].call("Propose", plan)


def test_a_plan_of_an_analysis_that_is_named_does_not_get_a_step_of_one_that_is_not(driver: Driver):
    plan = plan_of(driver, "run-1", (WITH_AGE,))
    driver.begin(plan)
    order, blob = driver.order(plan, None, step="columns/moments@1")
    asked = replace(order, step="columns/cross_products@2")
    driver.lines["FI"].put(order.run, "asks", blob)

    with refused(driver, "FI", "STEP_NOT_ALLOWED"):
        driver.lines["FI"].call("Open", asked)
