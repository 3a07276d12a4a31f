"""Nodes in this process: anything that answers signed orders with signed answers joins a real coordinator.

Messages pass through the bytes of the wire in both directions, so that what cannot travel fails here too.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from fedstats.arrays import Bytes
from fedstats.errors import NodeUnreachable
from fedstats.identity.signing import Signed
from fedstats.transport.base import StreamMethod
from fedstats.wire.envelope import contents, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2
from fedstats.wire.messages import AFTER_BLOB


class Handler(Protocol):
    """A node behind the transport; it may raise any error of fedstats, NodeUnreachable for being away."""

    def call(self, method: str, order: Signed) -> Signed: ...
    def put(self, order: Signed, data: Bytes) -> Signed: ...
    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes | Signed]]:
        """The offset that the order asks for, the bytes from there on, and what comes behind them."""
        ...


@dataclass
class InProcessTransport:
    """One handler a node."""

    nodes: Mapping[str, Handler]

    def call(self, node: str, method: str, order: Signed) -> Signed:
        """The handler's answer, both ways through bytes."""
        return _through_bytes(self._node(node).call(method, _through_bytes(order)))

    def put(self, node: str, order: Signed, data: Bytes, then: Signed | None = None) -> Signed:
        """The handler's answer to a byte run, or to the order behind it."""
        answer = self._node(node).put(_through_bytes(order), data)
        return _through_bytes(answer) if then is None else self.call(node, AFTER_BLOB[then.kind], then)

    def fetch(self, node: str, method: StreamMethod, order: Signed, offset: int) -> Iterator[bytes | Signed]:
        """The handler's bytes, as pieces, and what comes behind them."""
        first, runs = self._node(node).fetch(method, _through_bytes(order))
        yield from contents((node_pb2.Piece.FromString(p.SerializeToString()) for p in pieces(runs, first)), offset)

    def close(self) -> None:
        """Nothing is open."""

    def _node(self, name: str) -> Handler:
        if name not in self.nodes:
            raise NodeUnreachable("there is no such node in this process", code="UNAVAILABLE", node=name)
        return self.nodes[name]


def _through_bytes(signed: Signed) -> Signed:
    return from_wire(node_pb2.Signed.FromString(to_wire(signed).SerializeToString()))
