"""The life of a node's agent: kernels are warmed and interrupted passes resumed before it is ready."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from fedstats.serving.running import run_until_stopped
from fedstats.serving.server import Server
from node_agent.agent import Agent
from node_agent.node import Node, keys_warnings
from node_agent.service import start_server
from node_agent.warm import warm_kernels


def serve(node: Node, ready: Callable[[int], None] = lambda _port: None) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is called with the port once the agent is."""
    run_until_stopped(_NodeLife(Agent(node)), ready)


@dataclass(frozen=True)
class _NodeLife:
    agent: Agent

    @property
    def address(self) -> str:
        return f"{self.agent.node.settings.host}:{self.agent.node.settings.port}"

    @property
    def ledger_head(self) -> str:
        return self.agent.node.ledger.head

    def start(self) -> Awaitable[Server]:
        return start_server(self.agent)

    def prepare(self) -> None:
        warm_kernels()
        self.agent.resume()

    def tend(self) -> None:
        self.agent.tend()

    def warnings(self) -> Sequence[str]:
        return keys_warnings(self.agent.node.keys, datetime.now(UTC))

    def stop_soon(self) -> None:
        self.agent.node.workers.stop_soon()

    def close(self) -> None:
        self.agent.node.close()
