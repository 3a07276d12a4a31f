"""What the attacks share: a coordinator that asks what it likes, and what must be true of a node that refused."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.dataset import People
from fedstats.errors import FedstatsError, Refused
from fedstats.ledger import verify
from fedstats.planning.people_lists import people_bytes
from fedstats.study import Model, Study
from fedstats.wire.messages import Plan
from tests.node_agent.driver import ALL_ONE, TEST_FLOORS, Driver, driven_locally
from tests.node_agent.sites import REAL_POLICY, VALIDATION_POLICY, Federation, make_federation

#: Policies: one under which an attack works, and one under which it must not.
OFF, ON = VALIDATION_POLICY, REAL_POLICY
FOUR = ("EE", "FI", "NO", "SE")
#: Autosomal variants of the made-up sites.
BLOCK = np.arange(0, 30)

_BUDGETS = (
    *("budget_runs", "budget_people_lists", "budget_columns", "budget_numbers", "budget_sums"),
    *("noise_charges", "noise_plans"),
)


@contextmanager
def attacked(
    folder: Path, policy: str, names: tuple[str, ...] = ("EE", "FI", "SE"), *, people: int = 60
) -> Iterator[Driver]:
    """Agents under a policy, and a coordinator that speaks with them."""
    with driven_locally(make_federation(folder, names, policy=policy, people=people)) as driver:
        yield driver


def without(driver: Driver, *names: str) -> Driver:
    """The same coordinator with some of the nodes only."""
    return replace(driver, lines={name: line for name, line in driver.lines.items() if name not in names})


def plan_of(driver: Driver, run: str, models: tuple[Model, ...], *, analysis: str = "freq", **changes: object) -> Plan:
    """A masked plan of some models, under floors that fit the policy of the nodes."""
    validation = driver.lines[driver.names[0]].agent.node.policy.validation  # type: ignore[attr-defined]
    floors = ALL_ONE if validation else TEST_FLOORS
    study = Study(analysis=analysis, models=models, nodes=driver.names, floors=floors)
    return driver.plan(run=run, privacy="masked", study=study, **changes)


def leaving_out(driver: Driver, plan: Plan, *people: str) -> Plan:
    """The plan without some people, whose list is put at every node."""
    listed = people_bytes(People(remove=frozenset((name, name) for name in people)))
    (sha256,) = {line.put(plan.run, "people", listed) for line in driver.lines.values()}
    return replace(plan, request=replace(plan.request, people=sha256))


def counted(driver: Driver, plan: Plan, model: str = "a0", call: int = 0) -> np.ndarray:
    """Pooled sums of dosages of a model, shape (variant,), by a whole masked pass."""
    order, blob = driver.order(plan, [BLOCK], model=model, call=call)
    counts = driver.counts(plan, order, driver.whole_pass(plan, order, blob), BLOCK)
    return np.asarray(counts.heterozygous + 2 * counts.homozygous_alternative)  # type: ignore[attr-defined]


def dosages_of(federation: Federation, node: str, person: int) -> np.ndarray:
    """What an attacker is after: genotypes of one person, missing ones as 0."""
    return np.maximum(federation.site(node).dosages[BLOCK, person], 0)


def spent(driver: Driver, node: str) -> list[int]:
    """Rows of every budget of a node."""
    ledger = driver.lines[node].agent.node.ledger  # type: ignore[attr-defined]
    return [int(ledger.rows(f"SELECT count(*) FROM {table}")[0][0]) for table in _BUDGETS]


def entries(driver: Driver, node: str) -> list[tuple[str, dict[str, str]]]:
    """Kind and body of every entry of a node's ledger, whose chain is verified on the way."""
    path = driver.federation.site(node).folder / "state" / "ledger.sqlite"
    return [(entry.kind, json.loads(entry.body)) for entry in verify(path)]


@contextmanager
def refused(driver: Driver, node: str, code: str, kind: type[FedstatsError] = Refused) -> Iterator[None]:
    """What is done here is refused by a node: nothing is computed or spent, and the ledger holds the refusal."""
    before, budgets = len(entries(driver, node)), spent(driver, node)
    with pytest.raises(kind) as caught:
        yield
    assert caught.value.code == code
    assert caught.value.exit_code == 3
    fresh = entries(driver, node)[before:]
    assert not {"chunk", "computed", "charged"} & {kind for kind, _ in fresh}
    assert [body["code"] for kind, body in fresh if kind == "refused"] == [code]
    assert spent(driver, node) == budgets
