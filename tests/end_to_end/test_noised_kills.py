"""Agents that are killed around the charge of a noised run: what was spent is kept, and never spent twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fedstats
from fedstats.ledger import open_ledger, verify
from fedstats.privacy.zcdp import epsilon_of
from fedstats.results.associations import Associations
from fedstats.sandbox import processes
from fedstats.sandbox.folder import Sandbox
from node_agent.noise_ledger import Allowance, NoiseLedger
from tests.end_to_end.support import COVARIATES, PATIENT, TRAIT, all_up, mortal, sandbox_of, simulated

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]

EPSILON, DELTA = 6.0, 1e-6
#: Of the policy's 10: it can be had once, and not twice, for two of them compose to some 11.5.
MOST = 8.0
RANGES = {TRAIT: (-5.0, 5.0), "age": (0.0, 100.0), "sex": (1.0, 2.0), "PC1-PC4": (-1.0, 1.0)}
KILLED = "FI"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    made = sandbox_of(simulated(tmp_path / "study", 3), tmp_path / "sandbox")
    processes.start(made)
    yield made
    processes.stop(made)


def chosen(sandbox: Sandbox) -> list[str]:
    lines = (sandbox.folder / "panel.bim").read_text().splitlines()
    return [line.split()[1] for line in lines][:60]


def noised(sandbox: Sandbox, **options: Any) -> Associations:
    with fedstats.connect(sandbox.federation_file) as federation:
        return federation.gwas(
            TRAIT,
            **{
                "covariates": COVARIATES,
                "privacy": "dp",
                "epsilon": EPSILON,
                "ranges": RANGES,
                "extract": chosen(sandbox),
                "wait": PATIENT,
                **options,
            },
        )


def spent(sandbox: Sandbox, node: str) -> float:
    """Epsilon that a node's ledger says was spent, read while the agent is down."""
    with fedstats.connect(sandbox.federation_file) as federation:
        name = federation.name
    ledger = open_ledger(sandbox.folder / node / "state" / "ledger.sqlite")
    try:
        return epsilon_of(NoiseLedger(ledger).spent(Allowance(name, "sandbox", 10.0, 300)), DELTA)
    finally:
        ledger.close()


@pytest.mark.parametrize("points", [["before:noise"], ["after:noise"], ["after:noise", "before:noise"]])
def test_a_node_killed_around_its_charge_goes_on_and_spends_no_more(sandbox: Sandbox, points: list[str]) -> None:
    undisturbed = noised(sandbox)
    processes.stop(sandbox)
    before = {node: spent(sandbox, node) for node in sandbox.nodes}
    assert all(0.9 * EPSILON < found <= EPSILON for found in before.values())
    all_up(sandbox)

    # The same question: its answers are made again, from the same sums, and the ledger has them already.
    with mortal(sandbox, KILLED, *points):
        again = noised(sandbox)

    assert np.array_equal(undisturbed["STAT"], again["STAT"])
    processes.stop(sandbox)
    assert {node: spent(sandbox, node) for node in sandbox.nodes} == before
    verify(sandbox.folder / KILLED / "state" / "ledger.sqlite")


def test_a_charge_outlives_kill_9_and_the_budget_stays_spent(sandbox: Sandbox) -> None:
    with mortal(sandbox, KILLED, "after:noise"):
        first = noised(sandbox, epsilon=MOST, covariates=["age"])
    processes.stop(sandbox)
    found = spent(sandbox, KILLED)
    assert 0.9 * MOST < found <= MOST

    all_up(sandbox)
    with pytest.raises(fedstats.errors.FedstatsError, match="has spent") as caught:
        noised(sandbox, epsilon=MOST, covariates=[])
    assert caught.value.code == "POLICY_EPSILON"
    assert np.isfinite(first["STAT"]).all()
    processes.stop(sandbox)
    assert spent(sandbox, KILLED) == found
