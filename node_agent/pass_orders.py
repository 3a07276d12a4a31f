"""What the order of a pass may ask: everything is checked against plan, policy and step before any data are read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedstats.arrays import Indices
from fedstats.errors import ProtocolRefused
from fedstats.planning.panel import KIND_OF_CHROMOSOME
from fedstats.privacy.pass_state import PassState
from fedstats.step import Step, from_arrays
from fedstats.study import KINDS, Model
from fedstats.wire.arrays import asks_from_bytes
from fedstats.wire.messages import PassOrder, Plan, pass_id
from fedstats.wire.passes import ask_widths, ask_words, encrypted_bytes, layout_digest, upload_bytes
from node_agent.locks import other_people
from node_agent.node import Node
from node_agent.permitted import domain_of, model_of, permitted_step
from node_agent.records import PassRecord
from node_agent.steering import check_follows

Asks = tuple[tuple[Indices | None, Mapping[str, np.ndarray]], ...]

_ASKS = "what the pass asks"

#: Most bytes of one pass at one node (decision D1): what a spool file may take.
LARGEST_PASS_BYTES = 1 << 26


@dataclass(frozen=True)
class ThisPass:
    """A pass that was opened here, with the plan of its run."""

    order: PassOrder
    plan: Plan
    record: PassRecord

    @property
    def masked(self) -> bool:
        """Whether the nodes agree on masks."""
        return self.plan.masked


@dataclass(frozen=True)
class Asked:
    """An order that passed every check, and whose people it asks about."""

    plan: Plan
    cohort: str
    domain: str
    read: "ReadAsks"

    @property
    def masked(self) -> bool:
        """Whether the nodes agree on masks."""
        return self.plan.masked


@dataclass(frozen=True)
class ReadAsks:
    """The asks of a pass as their blob holds them, for one step on one model.

    Attributes
    ----------
    asks
        Panel indices of each block, or None, and arrays by name.
    parameters
        The arrays of each ask as parameters of the step.
    words
        Ring words of each ask, check word included.
    """

    step: Step[Any, Any]
    model: Model
    asks: Asks
    parameters: tuple[Any, ...]
    words: tuple[int, ...]

    @property
    def variants(self) -> tuple[Indices | None, ...]:
        """Panel indices of each block, None for a whole-cohort sum."""
        return tuple(variants for variants, _ in self.asks)


def this_pass(node: Node, run: str, pass_identity: str) -> ThisPass:
    """A pass of a run that was opened here."""
    record = node.records.passed(pass_identity)
    if record is None or record.order.run != run:
        raise ProtocolRefused("the pass was not opened at this node; nothing was sent.", code="UNKNOWN_PASS")
    return ThisPass(record.order, plan_of(node, record.order), record)


def plan_of(node: Node, order: PassOrder) -> Plan:
    """The plan of the run that an order belongs to."""
    begun = node.records.plan_of_run(order.run)
    if begun is None or begun[0] != order.plan:
        raise ProtocolRefused("the pass belongs to a run or plan that did not begin here.", code="NO_PLAN")
    return begun[1]


def check_order(node: Node, order: PassOrder) -> Asked:
    """See that an order is allowed; only then load the people it asks about."""
    plan = plan_of(node, order)
    if order.pass_id != pass_id(order.run, order.scope, order.call, order.attempt):
        raise ProtocolRefused("the id of the pass does not follow from its place in the run.", code="WRONG_PASS_ID")
    _check_attempts(node, order)
    node.blobs.check(order.asks, _ASKS)
    read = read_asks(node, plan, order)
    floors = node.policy.floors()
    for parameters in read.parameters:
        read.step.admissible(parameters, floors)
    _check_variants(node, plan, read)
    _check_layout(node, plan, order, read)
    check_follows(node.certified, plan, read.step, read.model, zip(read.variants, read.parameters, strict=True))
    return Asked(plan, _cohort(node, plan, order, read.model), domain_of(read.model), read)


def _cohort(node: Node, plan: Plan, order: PassOrder, model: Model) -> str:
    """The people of a model, who must be those with whom the run began: those were compared with all others."""
    cohort = node.cohorts.name_of(plan, order.plan, model)
    if cohort != node.records.cohort_of_run(plan.run, model.id):
        raise other_people()
    return cohort


def read_asks(node: Node, plan: Plan, order: PassOrder) -> ReadAsks:
    """The asks of an order as parameters of its step; several steps of a pass need them, which are read once."""
    model = model_of(plan.study, order.model)
    step = permitted_step(order.step, plan.study, model)

    def read() -> ReadAsks:
        asks = tuple(asks_from_bytes(node.blobs.read(order.asks, _ASKS)))
        if not asks or any((variants is not None) != step.genotypes for variants, _ in asks):
            raise ProtocolRefused(f"the asks do not fit the step {step.name!r}.", code="MALFORMED")
        parameters = tuple(from_arrays(step.parameters, arrays) for _, arrays in asks)
        return ReadAsks(step, model, asks, parameters, ask_words(step, model, asks))

    # A plan and the bytes of a blob never change under their names.
    found: ReadAsks = node.asks_read.get((order.plan, model.id, step.name, order.asks), read)
    return found


def _check_attempts(node: Node, order: PassOrder) -> None:
    """A sum may be tried again only where every other try was abandoned: one query has one answer."""
    for other in node.records.attempts(order):
        if other.order.attempt != order.attempt and other.state is not PassState.ABANDONED:
            raise ProtocolRefused(
                "another attempt at the same sum was not abandoned; nothing was sent.", code="OUT_OF_ORDER"
            )


def _check_variants(node: Node, plan: Plan, read: ReadAsks) -> None:
    """Variants must be the run's, of the model's kind, each once, and not more than the plan allows in a pass."""
    blocks = [variants for variants in read.variants if variants is not None]
    if not blocks:
        return
    asked = np.concatenate(blocks)
    if asked.dtype != np.int64 or asked.ndim != 1 or (np.diff(asked) <= 0).any():
        raise ProtocolRefused("the variants of a pass must increase.", code="MALFORMED")
    if len(asked) > plan.pass_variants:
        raise ProtocolRefused(
            f"the pass asks {len(asked)} variants, the plan says at most {plan.pass_variants}.", code="PASS_TOO_LARGE"
        )
    of_run = node.cohorts.variants(plan)
    at = np.searchsorted(of_run, asked)
    if (at == len(of_run)).any() or (of_run[at] != asked).any():
        raise ProtocolRefused("the pass asks variants that the plan does not have.", code="NO_VARIANT")
    kinds = KIND_OF_CHROMOSOME[node.cohorts.bound(plan.dataset, plan.panel).chromosome[asked]]
    if (kinds != KINDS.index(read.model.kind)).any():
        raise ProtocolRefused(f"model {read.model.id!r} is not for variants of this kind.", code="WRONG_VARIANTS")


def _check_layout(node: Node, plan: Plan, order: PassOrder, read: ReadAsks) -> None:
    layout = layout_digest(read.step.release.schema_digest(), read.words)
    due = (sum(read.words), _upload_bytes(node, plan, read), layout)
    if (order.words, order.upload_bytes, order.layout) != due:
        raise ProtocolRefused(
            f"the layout of {order.step!r} is another one here; install one version of fedstats.", code="WRONG_LAYOUT"
        )
    if order.upload_bytes > LARGEST_PASS_BYTES:
        raise ProtocolRefused(
            f"a pass of {order.upload_bytes} bytes is too large, the limit at a node is {LARGEST_PASS_BYTES}; "
            "ask for fewer variants with --pass-variants.",
            code="PASS_TOO_LARGE",
        )


def _upload_bytes(node: Node, plan: Plan, read: ReadAsks) -> int:
    if plan.privacy != "paillier":
        return upload_bytes(sum(read.words))
    return encrypted_bytes(node.encryption.modulus, ask_widths(read.step, read.model, read.asks))
