"""A federation of honest nodes in this process: data, keys, a plan, two small steps, and a plan function over them."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pytest

from fedstats.additive import Additive, Count, Sum
from fedstats.analysis import STEPS_OF
from fedstats.arrays import Counts, Reals
from fedstats.cohort import Cohort
from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.receipts import settle
from fedstats.coordinator.run import Run
from fedstats.coordinator.runner import RunFederation
from fedstats.coordinator.splitting import Largest
from fedstats.dataset import Column, Dataset
from fedstats.documents import digest
from fedstats.federation import Federation
from fedstats.genotypes import PackedBlock, pack
from fedstats.identity.keys import Identity, generate_identity
from fedstats.identity.roster import RosterContent, RosterCoordinator, RosterNode, sign_roster
from fedstats.planning.request import Request
from fedstats.privacy.masking_node import Party
from fedstats.rows import Filtered, Rows
from fedstats.step import STEPS, Along, Nothing, Step
from fedstats.study import Block, Chunk, Model, Study, Term, Trait
from fedstats.transport.in_process import InProcessTransport
from fedstats.transport.patient import Clock, PatientTransport
from fedstats.wire.messages import Accepted, BeginOrder, Plan, RunKeysOrder, Serving
from fedstats.wire.signed_text import to_text
from tests.coordinator.honest_node import HonestNode

MODEL = Model("m0", "autosome", (Trait("t", "quantitative"),), (Term("age", "age"),))
N_VARIANTS = 8


@dataclass(frozen=True)
class Sizes(Additive):
    people: Annotated[Counts, Count("one")]
    columns: Annotated[Reals, Sum("covariate", bound=lambda limits: 100.0 * limits.people)]


def _sizes(cohort: Cohort, at: Nothing) -> Sizes:
    return Sizes(np.array([cohort.size]), cohort.covariates.sum(axis=0))


@dataclass(frozen=True)
class Weights:
    weight: Annotated[Reals, Along("variant")]


@dataclass(frozen=True)
class Scores(Additive):
    called: Annotated[Counts, Count("variant")]
    score: Annotated[Reals, Sum("variant", bound=lambda limits: 100.0 * limits.people)]


def _scores(cohort: Cohort, at: Weights) -> Scores:
    dosage = cohort.block().dosages()[:, cohort.people]
    called = dosage >= 0
    score = np.where(called, dosage, 0) @ cohort.covariates[cohort.people, 0]
    return Scores(called.sum(axis=1), score * at.weight)


SIZES: Step[Nothing, Sizes] = Step("coordinator_tests/sizes@1", _sizes, Nothing, Sizes, lambda p, f: None, False)
#: The weights of the second round are the means of the first: its totals steer, and nodes certify them.
SCORES: Step[Weights, Scores] = Step(
    "coordinator_tests/scores@1",
    _scores,
    Weights,
    Scores,
    lambda p, f: None,
    True,
    ("coordinator_tests/scores@1",),
    lambda at, model, block, certified: None,
)
STEPS_OF_TESTS = (SIZES, SCORES)


def know_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Know the steps of these tests for one test, as steps of the analysis that its plan names."""
    for step in STEPS_OF_TESTS:
        monkeypatch.setitem(STEPS, step.name, step)
    monkeypatch.setitem(STEPS_OF, "coordinator_tests", ("coordinator_tests/",))


def analyse(federation: Federation, chunks: list[Chunk], traits: int = 1) -> Iterator[Rows]:
    """One whole-cohort sum, then per chunk two rounds, the second with parameters that follow from the first.

    Rows of many traits take more room than the totals that they are made of.
    """
    sizes = federation.sum(SIZES, MODEL, Nothing())
    mean_age = float(sizes.columns[0] / sizes.people[0])

    def of_chunk(fed: Federation, chunk: Chunk) -> Rows:
        asks = ((block, Weights(np.full(len(block), 1 / mean_age))) for block in chunk.blocks(size=2))
        first = list(fed.each(SCORES, MODEL, asks))
        means = [total.score / total.called for _, total in first]
        again = ((block, Weights(mean)) for (block, _), mean in zip(first, means, strict=True))
        second = list(fed.each(SCORES, MODEL, again))
        score = np.concatenate([total.score for _, total in second])
        tables = {"t" * (i + 1): {"variant": chunk.variants, "score": score * (i + 1)} for i in range(traits)}
        return Rows(tables, [Filtered("maf", tuple(tables), chunk.variants[:1])])

    yield from federation.map(of_chunk, chunks)


def chunks_of(size: int = 4) -> list[Chunk]:
    return [
        Chunk(number, "autosome", np.arange(first, min(first + size, N_VARIANTS)))
        for number, first in enumerate(range(0, N_VARIANTS, size))
    ]


def bytes_of(rows: list[Rows]) -> list[bytes]:
    """Every column of all rows, as bytes: equal only where every bit is."""
    return [
        np.ascontiguousarray(column).tobytes()
        for row in rows
        for columns in row.tables.values()
        for column in columns.values()
    ]


class Genotypes:
    def __init__(self, dosages: np.ndarray) -> None:
        self.dosages = dosages

    def block(self, variants: np.ndarray) -> PackedBlock:
        return pack(self.dosages[variants])


def dataset_of(seed: int, people: int = 30) -> Dataset:
    rng = np.random.default_rng(seed)
    age, t = rng.uniform(20, 80, people), rng.normal(size=people)
    columns = {n: Column(n, v, v.astype(str)) for n, v in {"age": age, "t": t}.items()}
    names = np.array([f"{seed}-{i}" for i in range(people)])
    dosages = rng.integers(-1, 3, (N_VARIANTS, people)).astype(np.int8)
    return Dataset(names, names, rng.integers(1, 3, people).astype(np.int8), columns, Genotypes(dosages))


class FakeClock(Clock):
    """Time that passes only by waiting, so that hours of patience take no time."""

    def __init__(self) -> None:
        self.time = 0.0
        super().__init__(now=lambda: self.time, random=lambda: 1.0)

    def wait(self, stop: Any, seconds: float) -> None:
        self.time += seconds
        stop.wait(0.001)


@dataclass
class World:
    """Nodes that live through any number of coordinators."""

    nodes: dict[str, HonestNode]
    coordinator: Identity
    plan: Plan
    chunks_in_flight: int = 1
    _before: Run | None = None

    def coordinate(self, folder: Path, *, wait_seconds: float = 60.0, **given: Any) -> RunFederation:
        """A fresh coordinator over whatever state lies in the folder.

        One before it ends first, as its process does: what it does aside is no longer under way.
        """
        if self._before is not None:
            self._before.aside.wait()
        transport = PatientTransport(InProcessTransport(self.nodes), wait_seconds, clock=FakeClock())
        transport._answered.update(self.nodes)
        identities = {name: node.party.identity.public_hex for name, node in self.nodes.items()}
        talk = Nodes(transport, self.coordinator, identities)
        run = Run(self.plan, talk, self._begin(talk), Checkpoint(folder), **given)
        self._before = run
        settle(run)
        # Two blocks of two variants do not fit a pass, so that calls are split into passes.
        return RunFederation(run, chunks_in_flight=self.chunks_in_flight, largest=Largest(words=6))

    def _begin(self, talk: Nodes) -> tuple[Any, ...]:
        keys = {}
        for name in self.plan.study.nodes:
            before = self.nodes[name].before
            self.nodes[name].before = lambda node, method: None
            talk.ask(name, "Propose", self.plan, Serving)
            keys[name] = talk.ask_signed(name, "Begin", BeginOrder(self.plan.run, digest(self.plan)))
            self.nodes[name].before = before
        order = RunKeysOrder(self.plan.run, {name: to_text(key) for name, key in keys.items()})
        for name in self.plan.study.nodes if self.plan.privacy == "masked" else ():
            before, self.nodes[name].before = self.nodes[name].before, lambda node, method: None
            talk.ask(name, "Begin", order, Accepted)
            self.nodes[name].before = before
        return tuple(keys.values())

    @property
    def computed(self) -> dict[str, int]:
        """How often any node computed one pass: the most, by node."""
        return {name: max(node.computed.values(), default=0) for name, node in self.nodes.items()}


def world(n_nodes: int = 3, privacy: str = "masked", *, seed: int = 1, chunks_in_flight: int = 1) -> World:
    names = [f"N{i:02d}" for i in range(n_nodes)]
    identities = {name: generate_identity() for name in names}
    coordinator = generate_identity()
    content = RosterContent(
        "test",
        tuple(RosterNode(name, identities[name].public_hex, 1) for name in names),
        (RosterCoordinator("C", coordinator.public_hex),),
        sandbox=True,
    )
    roster = sign_roster(content, [*identities.values(), coordinator])
    nodes = {
        name: HonestNode(Party(name, identities[name], roster), coordinator.public_hex, dataset_of(100 * seed + i))
        for i, name in enumerate(names)
    }
    return World(nodes, coordinator, plan_of(names, identities, privacy), chunks_in_flight)


def plan_of(names: list[str], identities: dict[str, Identity], privacy: str, run: str = "run-1") -> Plan:
    return Plan(
        run=run,
        federation="test",
        roster="00" * 32,
        dataset="d",
        created="2026-01-01T00:00:00Z",
        request=Request("gwas", ("t",), ("age",)),
        study=Study("coordinator_tests", (MODEL,), tuple(names)),
        privacy=privacy,
        panel="00" * 32,
        build="GRCh37",
        variants="00" * 32,
        pass_variants=4,
        protocol=1,
        versions={},
        nodes={name: identities[name].public_hex for name in names},
    )


BLOCK = Block(np.arange(N_VARIANTS))
