"""Texts of a plan are names to be looked up: what looks like a path or code is refused and touches nothing."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fedstats.errors import FedstatsError
from fedstats.identity.signing import sign
from fedstats.study import Model, Term, Trait
from fedstats.wire.messages import BlobOrder, Plan
from tests.attacks.attacker import ON, attacked, entries, plan_of, spent
from tests.node_agent.driver import COUNTING, Driver

SMUGGLED = ("../../state/identity.key", "__import__('os').system('id')", "q1'; DROP TABLE plans; --")


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    with attacked(tmp_path_factory.mktemp("smuggled"), ON) as found:
        yield found


def put_in(driver: Driver, place: str, text: str) -> Plan:
    """A plan that is good but for one text."""
    if place in ("trait", "covariate"):
        terms = (Term(text, text),) if place == "covariate" else ()
        model = Model("q0", "autosome", (Trait(text if place == "trait" else "q1", "quantitative"),), terms)
        good = plan_of(driver, "run-1", (COUNTING,), analysis="gwas/linear")
        return replace(good, study=replace(good.study, models=(model,)))
    plan = plan_of(driver, "run-1", (COUNTING,))
    if place == "analysis":
        return replace(plan, study=replace(plan.study, analysis=text))
    if place == "people":
        return replace(plan, request=replace(plan.request, people=text))
    return replace(plan, **{place: text})


@pytest.mark.parametrize("text", SMUGGLED)
@pytest.mark.parametrize(
    ("place", "codes"),
    [
        ("analysis", {"POLICY_ANALYSES"}),
        ("dataset", {"UNKNOWN_DATASET"}),
        ("panel", {"NO_BLOB"}),
        ("variants", {"NO_BLOB"}),
        ("people", {"NO_BLOB"}),
        ("trait", {"NO_COLUMN"}),
        ("covariate", {"NO_COLUMN"}),
        ("privacy", {"POLICY_PRIVACY"}),
        ("roster", {"WRONG_ROSTER"}),
        ("amends", {"WRONG_AMENDMENT"}),
    ],
)
def test_a_path_or_code_in_a_text_is_a_name_that_nothing_has(driver: Driver, place: str, text: str, codes: set[str]):
    driver.put_blobs(plan_of(driver, "run-1", (COUNTING,)))
    before, budgets = files(driver), spent(driver, "FI")

    with pytest.raises(FedstatsError) as caught:
        driver.lines["FI"].call("Propose", put_in(driver, place, text))

    assert caught.value.code in codes
    assert (files(driver), spent(driver, "FI")) == (before, budgets)
    assert not {"chunk", "begun"} & {kind for kind, _ in entries(driver, "FI")}


@pytest.mark.parametrize("name", ["../identity.key", "/", "", "0" * 63 + "/"])
def test_a_blob_cannot_be_named_out_of_its_folder(driver: Driver, name: str):
    agent = driver.lines["FI"].agent  # type: ignore[attr-defined]  # lines without a network have one
    data = b"bytes"
    assert hashlib.sha256(data).hexdigest() != name
    before = files(driver)

    with pytest.raises(FedstatsError) as caught:
        agent.put(sign(driver.federation.coordinator, "BlobOrder", BlobOrder("run-1", "panel", name, 5)), data)

    assert caught.value.code in ("MALFORMED", "DAMAGED_BLOB")
    assert files(driver) == before


def files(driver: Driver) -> list[Path]:
    """Everything that lies in a node's folder, but for what SQLite keeps beside the ledger."""
    folder = driver.federation.site("FI").folder
    return sorted(path for path in folder.rglob("*") if "ledger.sqlite" not in path.name)
