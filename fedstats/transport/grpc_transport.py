"""Nodes, or a key holder, over gRPC: mutual TLS with pinned leaves, deadlines, errors turned back into exceptions.

Calls block and come from many threads; gRPC's own threads do the work below. Streams of 1 MiB pieces both ways.
The node's name, not its address, must stand in its certificate, and no certificate but the one on its card is accepted.
"""

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Self, TypeVar

import grpc

from fedstats.arrays import Bytes
from fedstats.errors import Failed, FedstatsError, NodeUnreachable, Refused
from fedstats.identity.signing import Signed
from fedstats.transport.base import Deadlines, Method, StreamMethod
from fedstats.transport.causes import cause_of
from fedstats.transport.pinning import Caller, Peer, Peers, check_before_dialling
from fedstats.wire.envelope import ERROR_KEY, contents, error_from_bytes, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2, node_pb2_grpc

T = TypeVar("T")

#: Pings keep middleboxes from dropping the connection, and find a peer that is gone within 80 seconds.
_OPTIONS = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    # How long one attempt may take: a handshake goes both ways three times, perhaps around the world.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # One connection a node and transport: nothing is shared with other coordinators in this process.
    ("grpc.use_local_subchannel_pool", 1),
)

#: A node may have to read its tables for these.
_LONG_CALLS = frozenset({"Survey", "Propose", "Begin", "Open"})

_AWAY = frozenset(
    {
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.CANCELLED,
        grpc.StatusCode.ABORTED,
    }
)
_DENIED = frozenset({grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED})


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class GrpcTransport:
    """A channel to each node, opened when it is first needed."""

    caller: Caller
    peers: Peers
    deadlines: Deadlines = field(default_factory=Deadlines)
    now: Callable[[], datetime] = _now
    #: Generated client of the service that peers offer; a key holder's has the same kinds of methods.
    client: Callable[[grpc.Channel], Any] = node_pb2_grpc.NodeStub  # Any: generated code has no types
    _channels: dict[str, grpc.Channel] = field(default_factory=dict)
    _stubs: dict[str, Any] = field(default_factory=dict)  # Any: generated code has no types
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self, node: str, method: Method, order: Signed) -> Signed:
        """The node's signed answer."""
        seconds = self.deadlines.chunk_seconds if method in _LONG_CALLS else self.deadlines.control_seconds
        stub = self._stub(node)
        return self._tried(node, lambda: from_wire(getattr(stub, method)(to_wire(order), timeout=seconds)))

    def put(self, node: str, order: Signed, data: Bytes, then: Signed | None = None) -> Signed:
        """Send a byte run, its order first, and perhaps an order that needs it; the answer to the last order."""

        def parcels() -> Iterator[node_pb2.Parcel]:
            yield node_pb2.Parcel(order=to_wire(order))
            for piece in pieces([data]):
                yield node_pb2.Parcel(piece=piece)
            if then is not None:
                yield node_pb2.Parcel(then=to_wire(then))

        seconds = self.deadlines.chunk_seconds * (1 + len(data) // (1 << 24))
        stub = self._stub(node)
        return self._tried(node, lambda: from_wire(stub.Put(parcels(), timeout=seconds)))

    def fetch(self, node: str, method: StreamMethod, order: Signed, offset: int) -> Iterator[bytes | Signed]:
        """Pieces as they come, and what comes behind them; a node that sends none for too long counts as away."""
        stub = self._stub(node)
        call = self._tried(node, lambda: getattr(stub, method)(to_wire(order)))
        with _Watch(call, self.deadlines.chunk_seconds) as watch:
            yield from contents(self._pieces(node, call, watch), offset)

    def _pieces(self, node: str, call: Any, watch: "_Watch") -> Iterator[node_pb2.Piece]:  # Any: gRPC's call object
        while True:
            try:
                piece = self._tried(node, lambda: next(call, None))
            except NodeUnreachable as error:
                raise (_slow(self.peers[node], self.deadlines) if watch.timed_out else error) from None
            if piece is None:
                return
            watch.progress()
            yield piece

    def close(self) -> None:
        """Close every channel; calls under way end as cancelled."""
        with self._lock:
            channels = list(self._channels.values())
            self._channels.clear()
            self._stubs.clear()
        for channel in channels:
            channel.close()

    def _stub(self, node: str) -> Any:  # Any: generated code has no types
        with self._lock:
            if node not in self._stubs:
                self._channels[node] = _channel(self.caller, self.peers[node], self.now())
                self._stubs[node] = self.client(self._channels[node])
            return self._stubs[node]

    def _tried(self, node: str, call: Callable[[], T]) -> T:
        try:
            return call()
        except grpc.RpcError as error:
            raise as_ours(error, self.peers[node]) from None
        except ValueError as error:  # gRPC's word for a channel that was closed
            raise NodeUnreachable("the connection was closed", code="UNAVAILABLE", node=node) from error


def _channel(caller: Caller, peer: Peer, now: datetime) -> grpc.Channel:
    card = check_before_dialling(caller, peer, now)
    credentials = grpc.ssl_channel_credentials(
        root_certificates=card.certificate.encode("ascii"),
        private_key=caller.leaf.private_pem,
        certificate_chain=caller.leaf.certificate_pem,
    )
    return grpc.secure_channel(peer.address, credentials, (*_OPTIONS, ("grpc.ssl_target_name_override", peer.name)))


def as_ours(error: grpc.RpcError, peer: Peer) -> FedstatsError:
    """The exception that a failed call stands for."""
    sent = next((value for key, value in error.trailing_metadata() or () if key == ERROR_KEY), None)
    if sent is not None:
        found = error_from_bytes(sent)
        found.node = found.node or peer.name
        return found
    code, details = error.code(), str(error.details() or "")
    if code in _AWAY:
        return _away(code, details, peer)
    if code in _DENIED:
        return Refused(f"the node denies this call: {details}", code=code.name, node=peer.name)
    if code is grpc.StatusCode.UNIMPLEMENTED:
        return Failed("the node does not know this call; it runs another version", code="UNIMPLEMENTED", node=peer.name)
    return Failed(f"the call failed ({code.name.lower()}): {details}", code=code.name, node=peer.name)


def _away(code: grpc.StatusCode, details: str, peer: Peer) -> NodeUnreachable:
    if code is grpc.StatusCode.DEADLINE_EXCEEDED:
        return NodeUnreachable(f"no answer in time from {peer.address}", code="DEADLINE", node=peer.name)
    if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
        return NodeUnreachable("the node is too busy to answer", code="BUSY", node=peer.name)
    cause = cause_of(details)
    message = f"nobody answers at {peer.address}" + (f": {cause.words}" if cause.words else "")
    if cause.code == "FOREIGN_CERTIFICATE":
        message = f"whoever answers at {peer.address} does not show the certificate of {peer.name}.card"
    return NodeUnreachable(message, code=cause.code, hint=cause.hint.format(peer=peer.name), node=peer.name)


def _slow(peer: Peer, deadlines: Deadlines) -> NodeUnreachable:
    return NodeUnreachable(
        f"connected, but has sent nothing for {deadlines.chunk_seconds:g} s", code="SLOW", node=peer.name
    )


class _Watch:
    """Cancels a stream on which nothing has come for too long."""

    def __init__(self, call: Any, seconds: float) -> None:  # Any: gRPC's call object has no public type
        self._call, self._seconds = call, seconds
        self._last = time.monotonic()
        self.timed_out = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="stream watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._call.cancel()

    def progress(self) -> None:
        """Note that something came."""
        self._last = time.monotonic()

    def _look(self) -> None:
        while not self._over.wait(max(0.01, self._last + self._seconds - time.monotonic())):
            if time.monotonic() - self._last >= self._seconds:
                self.timed_out = True
                self._call.cancel()
                return
