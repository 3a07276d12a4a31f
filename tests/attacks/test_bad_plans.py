"""Plans and orders that a node must not follow: each is refused with its code, and leaves nothing but its refusal."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.documents import digest
from fedstats.errors import DisclosureRefused
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import sign
from fedstats.wire.arrays import asks_to_bytes
from fedstats.wire.messages import BeginOrder, Plan
from tests.attacks.attacker import BLOCK, ON, attacked, plan_of, refused, without
from tests.node_agent.driver import COUNTING, Driver


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
