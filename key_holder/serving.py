"""The life of a key holder: which methods it has, where it listens, what it does before it is ready."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fedstats.serving.running import run_until_stopped
from fedstats.serving.server import Server, Service, listen, mutual_tls
from fedstats.wire.generated.fedstats.v1 import key_holder_pb2_grpc
from key_holder.agent import HANDLERS, STREAMS, Agent
from key_holder.holder import Holder, keys_warnings

#: Bytes of products that may come beside the largest one: those of a few passes, of 64 MiB at most each.
ROOM_BESIDE = 1 << 28


def serve(holder: Holder, ready: Callable[[int], None] = lambda _port: None) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is called with the port once the key holder is."""
    run_until_stopped(_HolderLife(Agent(holder)), ready)


async def start_server(agent: Agent) -> Server:
    """Listen where keyholder.toml says; not ready yet."""
    settings, keys = agent.holder.settings, agent.holder.keys
    service = Service(
        agent=agent,
        name="fedstats.v1.KeyHolder",
        base=key_holder_pb2_grpc.KeyHolderServicer,
        add=key_holder_pb2_grpc.add_KeyHolderServicer_to_server,
        calls=HANDLERS,
        streams=STREAMS,
        room_bytes=settings.policy.max_bytes + ROOM_BESIDE,
    )
    return await listen(service, settings.host, settings.port, mutual_tls(keys.leaf, keys.coordinators.values()))


@dataclass(frozen=True)
class _HolderLife:
    agent: Agent

    @property
    def address(self) -> str:
        return f"{self.agent.holder.settings.host}:{self.agent.holder.settings.port}"

    @property
    def ledger_head(self) -> str:
        return self.agent.holder.ledger.head

    def start(self) -> Awaitable[Server]:
        return start_server(self.agent)

    def prepare(self) -> None:
        self.agent.resume()

    def tend(self) -> None:
        self.agent.tend()

    def warnings(self) -> Sequence[str]:
        return keys_warnings(self.agent.holder.keys, datetime.now(UTC))

    def stop_soon(self) -> None:
        self.agent.holder.work.stop_soon()

    def close(self) -> None:
        self.agent.holder.close()
