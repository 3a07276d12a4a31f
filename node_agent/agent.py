"""The agent without a network: one signed order in, one signed answer or a run of bytes out.

Every order passes here: refusals are recorded in the ledger, and an error that nobody expected leaves as an incident.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fedstats.arrays import Bytes
from fedstats.identity.signing import Signed
from fedstats.serving.guard import Guard
from fedstats.wire.messages import BlobOrder, BlobStored
from node_agent import catalogue, finishing, pass_work, passes, runs
from node_agent.answers import opened
from node_agent.blob_folder import check_announced
from node_agent.node import Node

Handler = Callable[[Node, Signed], Signed]

HANDLERS: Mapping[str, Handler] = {
    "Describe": catalogue.describe,
    "Survey": catalogue.answer_survey,
    "Propose": runs.propose,
    "Begin": runs.begin,
    "Open": passes.open_pass,
    "Ready": passes.ready,
    "Commit": passes.commit,
    "Unmask": passes.unmask,
    "Certify": passes.certify,
    "Receipt": passes.receipt,
    "Abandon": passes.abandon,
    "Finish": finishing.finish,
    "Status": pass_work.status,
}

STREAMS: Mapping[str, Callable[[Node, Signed], tuple[int, Iterator[bytes | Signed]]]] = {
    "Availability": catalogue.availability,
    "Compute": passes.compute_pass,
    "Fetch": pass_work.fetch,
}

#: A coordinator asks whether its panel is known here before it sends it; "not yet" is an answer.
_NO_REFUSALS = frozenset({("Availability", "NO_BLOB")})


@dataclass(frozen=True)
class Agent:
    """A node that answers; may be called from many threads."""

    node: Node

    @property
    def name(self) -> str:
        """The name in the roster."""
        return self.node.name

    @property
    def guard(self) -> Guard:
        """What stands around every order, so that its refusals are in the ledger."""
        return Guard(self.node.ledger, lambda: self.node.workers.stopped, _NO_REFUSALS)

    def call(self, method: str, order: Signed) -> Signed:
        """The signed answer to a signed order.

        Raises
        ------
        FedstatsError
            A refusal, which is in the ledger, or a failure; what nobody expected is INTERNAL, with an incident.
        """
        return self.guard.answer(method, order, lambda: HANDLERS[method](self.node, order))

    def announced(self, order: Signed) -> BlobOrder:
        """The announcement of a blob, before its bytes are taken in."""

        def check() -> BlobOrder:
            announced = opened(self.node, order, BlobOrder)
            check_announced(announced)
            return announced

        return self.guard.answer("Put", order, check)

    def put(self, order: Signed, data: Bytes) -> Signed:
        """Keep a blob."""

        def store() -> Signed:
            announced = opened(self.node, order, BlobOrder)
            self.node.runs.check_goes_on(announced.run)
            self.node.blobs.store(announced, data)
            return self.node.signed(BlobStored(announced.sha256, self.node.name))

        return self.guard.answer("Put", order, store)

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes | Signed]]:
        """The offset that an order asks for, the bytes from there on, and perhaps a document behind them."""
        first, data = self.guard.answer(method, order, lambda: STREAMS[method](self.node, order))
        return first, self.guard.pass_on(method, order, data)

    def resume(self) -> None:
        """Go on with what a crash or a restart interrupted: clear what is over, compute what was accepted."""
        self.tend()
        finishing.clear_what_is_over(self.node)
        self.node.blobs.sweep(time.time(), self.node.certified.asks())
        pass_work.resume_all(self.node)

    def tend(self) -> None:
        """End runs that nobody asked for anything for long."""
        finishing.end_forgotten(self.node)
