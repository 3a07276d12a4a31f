"""A coordinator that asks what analyses ask, over agents without a network, and lies wherever a test wants it to.

It is a `Federation`, so that the analyses' own code asks; agents, messages and checks are the real ones.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from fedstats.additive import Limits
from fedstats.coordinator.certifying import claim_of
from fedstats.coordinator.runner import _decoded
from fedstats.coordinator.splitting import PassWork, make_ask, make_pass
from fedstats.dataset import with_block
from fedstats.documents import digest
from fedstats.identity.signing import Signed
from fedstats.privacy.certify import claimed, words_of
from fedstats.privacy.masking_coordinator import self_masks, sum_uploads, transcript_of
from fedstats.rows import Rows
from fedstats.step import Step
from fedstats.study import Block, Chunk, Model
from fedstats.wire.messages import CertifyOrder, PassOrder, Plan, ReceiptOrder, pass_id
from fedstats.wire.passes import pass_context, to_be_certified, upload_bytes
from tests.node_agent.driver import Driver, texts

Claims = Callable[[str, np.ndarray], np.ndarray]
Parameters = Callable[[str, Any], Any]


def honest(_node: str, shown: Any) -> Any:
    """Show every node the same, and the truth."""
    return shown


@dataclass
class Steered:
    """The coordinator's half of passes and certificates.

    Attributes
    ----------
    claims
        What total each node is shown, as words without check words.
    parameters
        What parameters each node is asked with.
    certifies
        Whether totals are claimed at all.
    """

    driver: Driver
    plan: Plan
    claims: Claims = honest
    parameters: Parameters = honest
    certifies: bool = True
    calls: int = 0
    last: PassOrder | None = None
    uploads: dict[str, bytes] = field(default_factory=dict)

    exact = True
    noise = None

    def sum(self, step: Step[Any, Any], model: Model, parameters: Any) -> Any:
        return self._pass(step, model, [(None, parameters)])[0]

    def each(
        self, step: Step[Any, Any], model: Model, asks: Iterable[tuple[Block, Any]]
    ) -> Iterator[tuple[Block, Any]]:
        asked = list(asks)
        yield from zip([block for block, _ in asked], self._pass(step, model, asked), strict=True)

    def map(self, function: Callable[..., Rows], chunks: Sequence[Chunk]) -> Iterator[Rows]:
        for chunk in chunks:
            yield function(self, chunk)

    def _pass(self, step: Step[Any, Any], model: Model, asks: Sequence[tuple[Block | None, Any]]) -> list[Any]:
        works = {name: self._work(name, step, model, asks) for name in self.driver.names}
        orders = {name: self._order(work) for name, work in works.items()}
        self.calls += 1
        order, work = orders[self.driver.names[0]], works[self.driver.names[0]]
        self.last = order
        keys = {name: self._open(name, orders[name], works[name].blob) for name in works}
        total = self._opened(order, keys)
        claim = words_of(claim_of(work, total))
        if self.certifies and to_be_certified(self.plan, step.name):
            self._certify(order, claim)
        else:
            self.driver.receipts(order, self.uploads)
        return _decoded(work, total, Limits())

    def _work(
        self, name: str, step: Step[Any, Any], model: Model, asks: Sequence[tuple[Block | None, Any]]
    ) -> PassWork[Any, Any]:
        return make_pass(step, model, [make_ask(step, model, self.parameters(name, at), block) for block, at in asks])

    def _order(self, work: PassWork[Any, Any]) -> PassOrder:
        run = self.plan.run
        identity = pass_id(run, "0", self.calls, 0)
        size = (work.words, upload_bytes(work.words))
        asked = (work.step.name, work.model.id, work.blob_digest, work.layout)
        return PassOrder(run, digest(self.plan), "0", self.calls, 0, identity, *asked, *size)

    def _open(self, name: str, order: PassOrder, blob: bytes) -> Signed:
        self.driver.lines[name].put(order.run, "asks", blob)
        return self.driver.lines[name].call("Open", order)

    def _opened(self, order: PassOrder, keys: dict[str, Signed]) -> np.ndarray:
        masked = self.plan.privacy == "masked"
        self.driver.compute(order, self.driver.ready(order, keys) if masked else {})
        self.uploads = self.driver.fetch(order)
        total = sum_uploads([np.frombuffer(data, "<u8") for data in self.uploads.values()])
        if not masked:
            return total
        shares = self.driver.unmask(order, self.driver.commit(order))
        context, said = pass_context(self.plan, order), list(keys.values())
        transcript = transcript_of(context, list(self.driver.run_keys.values()), said)
        return self_masks(context, transcript, said, list(shares.values())).apply(total, 0)

    def _certify(self, order: PassOrder, total: np.ndarray) -> None:
        claims = {name: claimed(self.claims(name, total.copy())) for name in self.driver.names}
        scalars = {name: self.scalar(name, order, claim) for name, claim in claims.items()}
        errors = [self._receipt(name, order, claims[name], scalars) for name in claims]
        found = [error for error in errors if error is not None]
        if found:
            # Every node was shown what there is; each must have refused.
            assert len(found) == len(claims)
            raise found[0]

    def scalar(self, name: str, order: PassOrder, claim: bytes) -> Signed:
        """What a node answers to a claim."""
        total = hashlib.sha256(claim).hexdigest()
        self.driver.lines[name].put(order.run, "total", claim)
        return self.driver.lines[name].call("Certify", CertifyOrder(order.run, order.pass_id, total))

    def _receipt(self, name: str, order: PassOrder, claim: bytes, scalars: dict[str, Signed]) -> Exception | None:
        uploaded, total = (hashlib.sha256(data).hexdigest() for data in (self.uploads[name], claim))
        try:
            receipt = ReceiptOrder(order.run, order.pass_id, uploaded, total, texts(scalars))
            self.driver.lines[name].call("Receipt", receipt)
        except Exception as error:  # noqa: BLE001  # the test looks at it
            return error
        return None

    def uncertified(self, name: str, step: Step[Any, Any], model: Model, at: Any, variants: np.ndarray | None) -> Any:
        """What a node would release if nothing were certified: its floors and the step, as they were before."""
        agent = self.driver.lines[name].agent
        assert agent is not None
        node = agent.node
        step.admissible(at, node.policy.floors())
        cohort = node.cohorts.cohort(self.plan, digest(self.plan), model)
        dataset = node.cohorts.of_plan(self.plan)
        return step(cohort if variants is None else with_block(cohort, dataset, variants), at)


def begun(driver: Driver, study: Any, privacy: str = "masked") -> Steered:
    """A run of a study that has begun at every node."""
    plan = driver.plan(privacy=privacy, study=study)
    driver.begin(plan)
    return Steered(driver, replace(plan))
