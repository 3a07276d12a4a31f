"""An agent behind gRPC: mutual TLS, one short method a call, errors as status and document.

A refused certificate never gets here; a message that a coordinator of the roster did not sign ends in the agent.
A thread a call: gRPC's own threads take calls in, and a call that waits holds up no other. (gRPC's server for asyncio
takes half a millisecond of CPU more for each call, to hand it from its loop to such a thread and back.)
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn, Protocol, TypeAlias, TypeVar

import grpc
import numpy as np
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fedstats.arrays import Bytes
from fedstats.errors import FedstatsError, NodeUnreachable, ProtocolRefused, Refused, UsageError
from fedstats.identity.card import Card
from fedstats.identity.keys import Leaf
from fedstats.identity.signing import Signed
from fedstats.scratch import Scratch
from fedstats.serving.guard import Guard
from fedstats.serving.room import Room
from fedstats.wire.envelope import ERROR_KEY, checked, error_to_bytes, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2

V = TypeVar("V")
Context: TypeAlias = Any  # grpc.ServicerContext; grpc ships no types

#: Calls served at once; more are refused at once, and callers come again.
MOST_CALLS = 64
#: Pings a minute apart keep a connection open through firewalls; those more often than this are refused.
KEEPALIVE = (
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 30_000),
    ("grpc.so_reuseport", 0),
)

#: A service where every order comes by itself.
NOTHING_FOLLOWS: Mapping[str, str] = {}

_log = structlog.get_logger("service")
_STATUS: tuple[tuple[type[FedstatsError], grpc.StatusCode], ...] = (
    (UsageError, grpc.StatusCode.INVALID_ARGUMENT),
    (Refused, grpc.StatusCode.FAILED_PRECONDITION),
    (NodeUnreachable, grpc.StatusCode.UNAVAILABLE),
)
_STATUS_OF_CODE = {
    "BUSY": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "CONFLICT": grpc.StatusCode.ALREADY_EXISTS,
    "WRONG_SIGNER": grpc.StatusCode.PERMISSION_DENIED,
    "BAD_SIGNATURE": grpc.StatusCode.PERMISSION_DENIED,
    "MALFORMED": grpc.StatusCode.INVALID_ARGUMENT,
    "LEDGER_UNWRITABLE": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "SPOOL_UNWRITABLE": grpc.StatusCode.RESOURCE_EXHAUSTED,
}


def status_of(error: FedstatsError) -> grpc.StatusCode:
    """The gRPC status under which an error travels; the document beside it says the rest."""
    by_class = next((status for kind, status in _STATUS if isinstance(error, kind)), grpc.StatusCode.INTERNAL)
    return _STATUS_OF_CODE.get(error.code, by_class)


class Announced(Protocol):
    """An order that goes before a run of bytes."""

    @property
    def length(self) -> int:
        """How many bytes follow."""
        ...


class Answering(Protocol):
    """An agent without a network: one signed order in, one signed answer or a run of bytes out."""

    @property
    def name(self) -> str:
        """The name in the roster."""
        ...

    @property
    def guard(self) -> Guard:
        """What stands around every order, so that its refusals are in the ledger."""
        ...

    def call(self, method: str, order: Signed) -> Signed:
        """The signed answer to a signed order."""
        ...

    def announced(self, order: Signed) -> Announced:
        """The announcement of a run of bytes, before they are taken in."""
        ...

    def put(self, order: Signed, data: Bytes) -> Signed:
        """The signed answer to an announced run of bytes."""
        ...

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes | Signed]]:
        """The offset that an order asks for, the bytes from there on, and perhaps a document behind them."""
        ...


@dataclass(frozen=True)
class Caller:
    """Runs handlers of an agent and turns their errors into answers; `room` is what its uploads may hold together."""

    agent: Answering
    room: Room

    def run(self, context: Context, action: Callable[[], V]) -> V:
        """The result of an action, or the end of the call."""
        try:
            return action()
        except FedstatsError as error:
            self.refuse(context, error)

    def refuse(self, context: Context, error: FedstatsError) -> NoReturn:
        """End a call with what may be said of an error."""
        _log.info("call.refused", kind=type(error).__name__, code=error.code, message=error.message)
        document = error_to_bytes(error, self.agent.name, getattr(error, "incident", ""))
        context.set_trailing_metadata(((ERROR_KEY, document),))
        context.abort(status_of(error), error.code)
        raise AssertionError("abort always raises")


def servicer(
    base: type,
    caller: Caller,
    calls: Collection[str],
    streams: Collection[str],
    following: Mapping[str, str] = NOTHING_FOLLOWS,
) -> Any:  # Any: as gRPC's
    """The generated base class with every method: `calls`, `streams`, and Put; all of a kind are alike.

    `following` has the method for each kind of order that may come behind a run of bytes.
    """
    methods: dict[str, object] = {name: _answering(caller, name) for name in calls}
    methods |= {name: _streaming(caller, name) for name in streams}
    return type("Servicer", (base,), {**methods, "Put": _taking_in(caller, following)})()


def _answering(caller: Caller, method: str) -> Callable[..., object]:
    def answer(_self: object, request: node_pb2.Signed, context: Context) -> node_pb2.Signed:
        return to_wire(caller.run(context, lambda: caller.agent.call(method, from_wire(request))))

    return answer


def _streaming(caller: Caller, method: str) -> Callable[..., object]:
    def stream(_self: object, request: node_pb2.Signed, context: Context) -> Iterator[node_pb2.Piece]:
        first, data = caller.run(context, lambda: caller.agent.fetch(method, from_wire(request)))
        parts: Iterator[node_pb2.Piece] = pieces(data, first)
        while (piece := caller.run(context, lambda: next(parts, None))) is not None:
            yield piece

    return stream


def _taking_in(caller: Caller, following: Mapping[str, str]) -> Callable[..., object]:
    def put(_self: object, parcels: Iterator[node_pb2.Parcel], context: Context) -> node_pb2.Signed:
        answer, then = caller.run(context, lambda: _taken_in(caller, following, parcels))
        if then is not None:
            method, order = then
            answer = caller.run(context, lambda: caller.agent.call(method, order))
        return to_wire(answer)

    return put


def _taken_in(
    caller: Caller, following: Mapping[str, str], parcels: Iterator[node_pb2.Parcel]
) -> tuple[Signed, tuple[str, Signed] | None]:
    """The answer to a run of bytes, and the order behind it with its method; the bytes are let go of."""
    agent = caller.agent
    # Only checks are guarded: a line that is cut while a parcel is awaited is no incident of the agent.
    first = next(parcels, None)
    order = agent.guard.answer("Put", None, partial(_order_of, first))
    announced = agent.announced(order)
    with caller.room.hold(announced.length):
        data, behind = _content(agent, order, announced, parcels)
        then = None if behind is None else (_method_after(caller, behind, following), behind)
        return agent.put(order, data), then


def _method_after(caller: Caller, then: Signed, following: Mapping[str, str]) -> str:
    """The method of an order that came behind a run of bytes."""

    def known() -> str:
        if then.kind not in following:
            raise ProtocolRefused("an order of this kind does not go with a blob", code="MALFORMED")
        return following[then.kind]

    return caller.agent.guard.answer("Put", then, known)


def _content(
    agent: Answering, order: Signed, announced: Announced, parcels: Iterator[node_pb2.Parcel]
) -> tuple[memoryview, Signed | None]:
    """The run of bytes that an order announces, and the order behind it; what is refused of them is in the ledger.

    Nothing is taken in beyond what is announced: the agent then sees that there was more.
    """
    data = Scratch(np.uint8)
    for parcel in parcels:
        if parcel.WhichOneof("content") == "then":
            return data.array().data, from_wire(parcel.then)
        piece = agent.guard.answer("Put", order, partial(checked, parcel.piece, data.nbytes))
        data.append(np.frombuffer(piece, np.uint8))
        if data.nbytes > announced.length:
            break
    return data.array().data, None


def _order_of(parcel: node_pb2.Parcel | None) -> Signed:
    if parcel is None or parcel.WhichOneof("content") != "order":
        raise ProtocolRefused("a blob came without its order", code="MALFORMED")
    return from_wire(parcel.order)


@dataclass(frozen=True)
class Server:
    """A started server, the port that it listens on, and its health."""

    server: grpc.Server
    service: str
    port: int
    health: health.HealthServicer
    pool: ThreadPoolExecutor

    async def set_serving(self, *, serving: bool) -> None:
        """Say whether the agent is ready, for the whole server and for the service by name."""
        known = health_pb2.HealthCheckResponse
        state = known.SERVING if serving else known.NOT_SERVING
        for service in ("", self.service):
            self.health.set(service, state)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let those at hand end, then close."""
        await asyncio.to_thread(self.server.stop(grace_seconds).wait)
        self.pool.shutdown(wait=True, cancel_futures=True)


@dataclass(frozen=True)
class Service:
    """What is served: an agent, and the generated code of its service.

    Attributes
    ----------
    name
        Full name of the service, under which its health is asked for.
    base, add
        Generated class of its methods, and the function that adds such a one to a server.
    calls, streams
        Methods with one answer, and those with a run of bytes.
    room_bytes
        Most bytes of runs that are taken in at a time, all together.
    following
        Method for each kind of order that may come behind a run of bytes which it needs, in the same call.
    """

    agent: Answering
    name: str
    base: type
    add: Callable[[Any, Any], None]
    calls: Collection[str]
    streams: Collection[str]
    room_bytes: int
    following: Mapping[str, str] = field(default_factory=dict)


async def listen(service: Service, host: str, port: int, credentials: grpc.ServerCredentials) -> Server:
    """Listen on an address; not ready yet."""
    pool = ThreadPoolExecutor(MOST_CALLS, "call")
    server = grpc.server(pool, maximum_concurrent_rpcs=MOST_CALLS, options=KEEPALIVE)
    caller = Caller(service.agent, Room(service.room_bytes))
    methods = servicer(service.base, caller, service.calls, service.streams, service.following)
    service.add(methods, server)
    health_servicer = health.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(health_servicer, server)
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    bound = server.add_secure_port(address, credentials)
    started = Server(server, service.name, bound, health_servicer, pool)
    await started.set_serving(serving=False)
    server.start()
    return started


def mutual_tls(leaf: Leaf, permitted: Iterable[Card]) -> grpc.ServerCredentials:
    """Mutual TLS: the agent's leaf, and as roots the pinned leaves of those that may ask, nobody else."""
    pinned = "".join(card.certificate for card in permitted).encode("ascii")
    return grpc.ssl_server_credentials(
        [(leaf.private_pem, leaf.certificate_pem)], root_certificates=pinned, require_client_auth=True
    )
