"""The agent without a network: one signed order in, one signed answer or a run of bytes out.

Every order passes here: refusals are recorded in the ledger, and an error that nobody expected leaves as an incident.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from fedstats.errors import FedstatsError, Refused
from fedstats.identity.signing import Signed
from fedstats.serving.incidents import internal, stopping
from fedstats.serving.orders import request_digest
from fedstats.wire.messages import BlobOrder, BlobStored
from node_agent import catalogue, finishing, pass_work, passes, runs
from node_agent.answers import opened
from node_agent.blob_folder import check_announced
from node_agent.node import Node

V = TypeVar("V")
Handler = Callable[[Node, Signed], Signed]

HANDLERS: Mapping[str, Handler] = {
    "Describe": catalogue.describe,
    "Survey": catalogue.answer_survey,
    "Propose": runs.propose,
    "Begin": runs.begin,
    "Open": passes.open_pass,
    "Ready": passes.ready,
    "Compute": passes.compute_pass,
    "Commit": passes.commit,
    "Unmask": passes.unmask,
    "Receipt": passes.receipt,
    "Abandon": passes.abandon,
    "Finish": finishing.finish,
    "Status": pass_work.status,
}

STREAMS: Mapping[str, Callable[[Node, Signed], tuple[int, Iterator[bytes]]]] = {
    "Availability": catalogue.availability,
    "Fetch": pass_work.fetch,
}


@dataclass(frozen=True)
class Agent:
    """A node that answers; may be called from many threads."""

    node: Node

    @property
    def name(self) -> str:
        """The name in the roster."""
        return self.node.name

    def call(self, method: str, order: Signed) -> Signed:
        """The signed answer to a signed order.

        Raises
        ------
        FedstatsError
            A refusal, which is in the ledger, or a failure; what nobody expected is INTERNAL, with an incident.
        """
        return self._guarded(method, order, lambda: HANDLERS[method](self.node, order))

    def announced(self, order: Signed) -> BlobOrder:
        """The announcement of a blob, before its bytes are taken in."""
        announced = self._guarded("Put", order, lambda: opened(self.node, order, BlobOrder))
        check_announced(announced)
        return announced

    def put(self, order: Signed, data: bytes) -> Signed:
        """Keep a blob."""

        def store() -> Signed:
            announced = opened(self.node, order, BlobOrder)
            self.node.runs.check_goes_on(announced.run)
            self.node.blobs.store(announced, data)
            return self.node.signed(BlobStored(announced.sha256, self.node.name))

        return self._guarded("Put", order, store)

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes]]:
        """The offset that an order asks for, and the bytes from there on."""
        first, data = self._guarded(method, order, lambda: STREAMS[method](self.node, order))
        return first, self._guarded_bytes(data)

    def resume(self) -> None:
        """Go on with what a crash or a restart interrupted: clear what is over, compute what was accepted."""
        finishing.end_forgotten(self.node)
        finishing.clear_what_is_over(self.node)
        self.node.blobs.sweep(time.time())
        pass_work.resume_all(self.node)

    def _guarded(self, method: str, order: Signed, action: Callable[[], V]) -> V:
        if self.node.workers.stopped:
            raise stopping()
        try:
            return action()
        except Refused as error:
            self._record(method, order, error)
            raise
        except FedstatsError:
            raise
        except Exception as error:
            raise internal(error) from error

    def _guarded_bytes(self, data: Iterator[bytes]) -> Iterator[bytes]:
        try:
            yield from data
        except FedstatsError:
            raise
        except Exception as error:
            raise internal(error) from error

    def _record(self, method: str, order: Signed, error: Refused) -> None:
        body = {"method": method, "request": request_digest(order), "code": error.code, "signer": order.signer[:64]}
        self.node.ledger.append("refused", body)
