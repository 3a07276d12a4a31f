"""The agent behind gRPC: mutual TLS, one short method a call, errors as status and document.

A refused certificate never gets here; a message that a coordinator of the roster did not sign ends in the agent.
Nothing waits on the event loop: handlers run in threads.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias, TypeVar

import grpc
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from fedstats.errors import FedstatsError, NodeUnreachable, ProtocolRefused, Refused, UsageError
from fedstats.identity.signing import Signed
from fedstats.wire.envelope import ERROR_KEY, checked, error_to_bytes, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2, node_pb2_grpc
from node_agent.agent import HANDLERS, Agent
from node_agent.config import Settings
from node_agent.node import Keys

V = TypeVar("V")
Context: TypeAlias = Any  # grpc.aio.ServicerContext; grpc ships no types

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

_log = structlog.get_logger("service")
_STATUS: tuple[tuple[type[FedstatsError], grpc.StatusCode], ...] = (
    (UsageError, grpc.StatusCode.INVALID_ARGUMENT),
    (Refused, grpc.StatusCode.FAILED_PRECONDITION),
    (NodeUnreachable, grpc.StatusCode.UNAVAILABLE),
)
_STATUS_OF_CODE = {
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


@dataclass(frozen=True)
class _Caller:
    """Runs handlers in threads and turns their errors into answers."""

    agent: Agent
    pool: ThreadPoolExecutor

    async def run(self, context: Context, action: Callable[[], V]) -> V:
        """The result of an action, or the end of the call."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self.pool, action)
        except FedstatsError as error:
            await self.refuse(context, error)

    async def refuse(self, context: Context, error: FedstatsError) -> NoReturn:
        """End a call with what may be said of an error."""
        _log.info("call.refused", kind=type(error).__name__, code=error.code, message=error.message)
        document = error_to_bytes(error, self.agent.node.name, getattr(error, "incident", ""))
        await context.abort(status_of(error), error.code, ((ERROR_KEY, document),))
        raise AssertionError("abort always raises")


def _answering(method: str) -> Callable[["NodeService", node_pb2.Signed, Context], object]:
    async def answer(self: "NodeService", request: node_pb2.Signed, context: Context) -> node_pb2.Signed:
        found = await self.caller.run(context, lambda: self.caller.agent.call(method, from_wire(request)))
        return to_wire(found)

    return answer


class NodeService(node_pb2_grpc.NodeServicer):
    """The servicer; calls with one order and one answer are all alike, and made from the table of handlers."""

    def __init__(self, caller: _Caller) -> None:
        self.caller = caller

    async def Put(self, request_iterator: AsyncIterator[node_pb2.Parcel], context: Context) -> node_pb2.Signed:  # noqa: N802  # gRPC gives the name
        """An order, then the pieces of the blob that it announces."""
        agent = self.caller.agent
        try:
            order, data = await self._parcel(request_iterator, context)
        except FedstatsError as error:
            await self.caller.refuse(context, error)
        return to_wire(await self.caller.run(context, lambda: agent.put(order, data)))

    async def _parcel(self, parcels: AsyncIterator[node_pb2.Parcel], context: Context) -> tuple[Signed, bytes]:
        first = await anext(aiter(parcels), None)
        if first is None or first.WhichOneof("content") != "order":
            raise ProtocolRefused("a blob came without its order", code="MALFORMED")
        order = from_wire(first.order)
        announced = await self.caller.run(context, lambda: self.caller.agent.announced(order))
        data = bytearray()
        async for parcel in parcels:
            data += checked(parcel.piece, len(data))
            if len(data) > announced.length:
                raise ProtocolRefused("a blob is longer than announced", code="DAMAGED_BLOB")
        return order, bytes(data)

    async def Availability(self, request: node_pb2.Signed, context: Context) -> AsyncIterator[node_pb2.Piece]:  # noqa: N802  # as above
        """One byte a variant of the panel."""
        async for piece in self._stream("Availability", request, context):
            yield piece

    async def Fetch(self, request: node_pb2.Signed, context: Context) -> AsyncIterator[node_pb2.Piece]:  # noqa: N802  # as above
        """Protected words from an offset on."""
        async for piece in self._stream("Fetch", request, context):
            yield piece

    async def _stream(self, method: str, request: node_pb2.Signed, context: Context) -> AsyncIterator[node_pb2.Piece]:
        agent = self.caller.agent
        first, data = await self.caller.run(context, lambda: agent.fetch(method, from_wire(request)))
        parts: Iterator[node_pb2.Piece] = pieces(data, first)
        while (piece := await self.caller.run(context, lambda: next(parts, None))) is not None:
            yield piece


for _method in HANDLERS:
    setattr(NodeService, _method, _answering(_method))


@dataclass(frozen=True)
class Server:
    """A started server, the port that it listens on, and its health."""

    server: grpc.aio.Server
    port: int
    health: health.aio.HealthServicer
    pool: ThreadPoolExecutor

    async def set_serving(self, *, serving: bool) -> None:
        """Say whether the agent is ready, for the whole server and for the service by name."""
        known = health_pb2.HealthCheckResponse
        state = known.SERVING if serving else known.NOT_SERVING
        for service in ("", "fedstats.v1.Node"):
            await self.health.set(service, state)

    async def stop(self, grace_seconds: float) -> None:
        """Refuse new calls, let those at hand end, then close."""
        await self.server.stop(grace_seconds)
        self.pool.shutdown(wait=True, cancel_futures=True)


async def start_server(agent: Agent) -> Server:
    """Listen where node.toml says; not ready yet."""
    settings = agent.node.settings
    pool = ThreadPoolExecutor(MOST_CALLS, "call")
    server = grpc.aio.server(maximum_concurrent_rpcs=MOST_CALLS, options=KEEPALIVE)
    node_pb2_grpc.add_NodeServicer_to_server(NodeService(_Caller(agent, pool)), server)
    servicer = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    port = server.add_secure_port(_address(settings), credentials(agent.node.keys))
    started = Server(server, port, servicer, pool)
    await started.set_serving(serving=False)
    await server.start()
    return started


def _address(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"


def credentials(keys: Keys) -> grpc.ServerCredentials:
    """Mutual TLS: this node's leaf, and as roots the pinned leaves of the coordinators that may ask, nobody else."""
    pinned = "".join(card.certificate for card in keys.coordinators.values()).encode("ascii")
    return grpc.ssl_server_credentials(
        [(keys.leaf.private_pem, keys.leaf.certificate_pem)], root_certificates=pinned, require_client_auth=True
    )
