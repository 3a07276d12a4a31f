"""Serving: start, become ready, drain on SIGTERM, end within thirty seconds."""

import asyncio
import signal
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from fedstats.errors import UsageError
from node_agent.agent import Agent
from node_agent.node import Node, certificate_warnings
from node_agent.service import Server, start_server
from node_agent.warm import warm_kernels

#: Calls at hand get this long; then threads end after the block at hand.
GRACE_SECONDS = 10.0

_log = structlog.get_logger("serving")


def serve(node: Node, ready: Callable[[int], None] = lambda _port: None) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is called with the port once the agent is."""
    asyncio.run(_serve(node, ready))


async def _serve(node: Node, ready: Callable[[int], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    agent = Agent(node)
    server = await _started(agent)
    await asyncio.to_thread(_prepare, agent)
    await server.set_serving(serving=True)
    _log.info("agent.ready", port=server.port, ledger_head=node.ledger.head)
    for warning in certificate_warnings(node.keys, datetime.now(UTC)):
        _log.warning("certificate", message=warning)
    ready(server.port)
    await stop.wait()
    await drain(server, node)


async def _started(agent: Agent) -> Server:
    try:
        return await start_server(agent)
    except RuntimeError as error:
        settings = agent.node.settings
        raise UsageError(
            f"cannot listen on {settings.host}:{settings.port}; is something else there?", code="PORT_IN_USE"
        ) from error


def _prepare(agent: Agent) -> None:
    warm_kernels()
    agent.resume()


async def drain(server: Server, node: Node) -> None:
    """Unready, no new work, the block at hand to its end."""
    _log.info("agent.draining")
    await server.set_serving(serving=False)
    node.workers.stop_soon()
    await server.stop(GRACE_SECONDS)
    await asyncio.to_thread(node.close)
    _log.info("agent.ended")
