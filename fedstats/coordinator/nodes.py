"""Signed talk with nodes: orders out under the coordinator's identity, answers verified before anybody reads them."""

import hashlib
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from fedstats.arrays import Bytes
from fedstats.identity.keys import Identity
from fedstats.identity.signing import Signed, open_signed, sign
from fedstats.transport.base import Method, StreamMethod
from fedstats.transport.patient import PatientTransport, only_bytes
from fedstats.wire.messages import BlobOrder, BlobStored, ComputeOrder, FetchOrder

D = TypeVar("D")

_SIGNED_KEPT = 16


@dataclass(frozen=True)
class Blob:
    """A byte run for nodes, and its announcement."""

    order: BlobOrder
    data: Bytes


def blob_of(run: str, purpose: str, data: Bytes) -> Blob:
    """A byte run, announced by its SHA-256."""
    return Blob(BlobOrder(run, purpose, hashlib.sha256(data).hexdigest(), len(data)), data)


@dataclass(frozen=True)
class Nodes:
    """The nodes of a federation as the coordinator speaks with them.

    Attributes
    ----------
    identities
        Identity of each node by name, as in the roster.
    """

    transport: PatientTransport
    identity: Identity
    identities: Mapping[str, str]
    _put: set[tuple[str, str, str]] = field(default_factory=set, repr=False)
    _signing: threading.Lock = field(default_factory=threading.Lock, repr=False)
    #: Orders of the passes in flight, by identity: documents never change.
    _last_signed: deque[tuple[object, Signed]] = field(default_factory=lambda: deque(maxlen=_SIGNED_KEPT), repr=False)

    def ask(self, node: str, method: Method, order: object, answer: type[D], kind: str = "") -> D:
        """A node's answer to an order, verified; `kind` is the name of the answer's class unless given."""
        return self.opened(node, self.ask_signed(node, method, order), answer, kind)

    def ask_signed(self, node: str, method: Method, order: object) -> Signed:
        """A node's answer as it was signed, not verified yet: for messages that travel on to other nodes."""
        return self.transport.call(node, method, self.signed(order))

    def ask_once(self, node: str, method: Method, order: object, answer: type[D]) -> D:
        """As `ask`, with one attempt."""
        return self.opened(node, self.transport.call_once(node, method, self.signed(order)), answer)

    def put(self, node: str, run: str, purpose: str, data: Bytes) -> str:
        """Put a byte run at a node; its SHA-256."""
        blob = blob_of(run, purpose, data)
        self.opened(node, self.transport.put(node, self.signed(blob.order), data), BlobStored)
        return blob.order.sha256

    def put_and_ask(self, node: str, blob: Blob, order: object) -> Signed:
        """A node's answer to an order that needs a byte run, put there in the same call; not verified yet."""
        answer = self.transport.put(node, self.signed(blob.order), blob.data, self.signed(order))
        self._put.add((node, blob.order.run, blob.order.sha256))
        return answer

    def was_put(self, node: str, blob: Blob) -> bool:
        """Whether a byte run was put at a node for its run before: kept there until the run is over, or for a day."""
        return (node, blob.order.run, blob.order.sha256) in self._put

    def compute_words(self, node: str, order: ComputeOrder, length: int) -> Iterator[bytes | Signed]:
        """Bytes of a node's words of a pass, as it computes them, and its signature that they are complete.

        What a break leaves out of the words is fetched; the signature may be missing then, and is not verified yet.
        """

        def order_at(offset: int) -> tuple[StreamMethod, Signed]:
            if not offset:
                return "Compute", self.signed(order)
            return "Fetch", self.signed(FetchOrder(order.run, order.pass_id, offset))

        return self.transport.fetch(node, order_at, length)

    def fetch_words(self, node: str, run: str, pass_id: str, length: int) -> Iterator[bytes]:
        """Bytes of words that are computed, as they come."""

        def order_at(offset: int) -> tuple[StreamMethod, Signed]:
            return "Fetch", self.signed(FetchOrder(run, pass_id, offset))

        return only_bytes(self.transport.fetch(node, order_at, length))

    def fetch_whole(self, node: str, method: StreamMethod, order: object) -> bytes:
        """A byte run that is not asked for from an offset."""
        return self.transport.fetch_whole(node, method, self.signed(order))

    def opened(self, node: str, signed: Signed, answer: type[D], kind: str = "") -> D:
        """The document of a node's answer, once kind, signer and signature are seen to be right."""
        return open_signed(signed, kind or answer.__name__, answer, self.identities[node], node=node)

    def signed(self, order: object) -> Signed:
        """An order signed by the coordinator; one that goes to several nodes is signed once."""
        with self._signing:
            known = next((signed for asked, signed in self._last_signed if asked is order), None)
            if known is None:
                known = sign(self.identity, type(order).__name__, order)
                self._last_signed.append((order, known))
            return known
