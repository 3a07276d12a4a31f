"""Serving: start, become ready, drain on SIGTERM, end within thirty seconds."""

import asyncio
import signal
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

import structlog

from fedstats.errors import UsageError
from fedstats.serving.server import Server

#: Calls at hand get this long; then threads end after the work at hand.
GRACE_SECONDS = 10.0
#: How often an agent that nobody stops for years does what falls due with time alone.
TEND_SECONDS = 86_400.0

_log = structlog.get_logger("serving")


class Running(Protocol):
    """An agent as its life needs it."""

    @property
    def address(self) -> str:
        """Host and port that it listens on, as configured."""
        ...

    @property
    def ledger_head(self) -> str:
        """Hash of the last entry of its ledger."""
        ...

    def start(self) -> Awaitable[Server]:
        """Listen; not ready yet."""
        ...

    def prepare(self) -> None:
        """What must be done before the first order is answered."""
        ...

    def tend(self) -> None:
        """What falls due with time alone, once a day."""
        ...

    def warnings(self) -> Sequence[str]:
        """What its custodian should know."""
        ...

    def stop_soon(self) -> None:
        """Begin no other work."""
        ...

    def close(self) -> None:
        """End threads and ledger."""
        ...


def run_until_stopped(running: Running, ready: Callable[[int], None] = lambda _port: None) -> None:
    """Answer until SIGTERM or SIGINT; `ready` is called with the port once the agent is."""
    asyncio.run(_run(running, ready))


async def _run(running: Running, ready: Callable[[int], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    server = await _started(running)
    await asyncio.to_thread(running.prepare)
    await server.set_serving(serving=True)
    _log.info("agent.ready", port=server.port, ledger_head=running.ledger_head)
    _warn(running)
    ready(server.port)
    tending = asyncio.create_task(_tend(running))
    await stop.wait()
    tending.cancel()
    await _drain(server, running)


def _warn(running: Running) -> None:
    for warning in running.warnings():
        _log.warning("certificate", message=warning)


async def _tend(running: Running) -> None:
    """Look after an agent once a day, as it is looked after when it starts; what fails is tried again the next day."""
    while True:
        await asyncio.sleep(TEND_SECONDS)
        try:
            await asyncio.to_thread(running.tend)
            _warn(running)
        except Exception as error:  # noqa: BLE001  # whatever it is: an agent that answers goes on, and its log says so
            _log.exception("agent.not_tended", code=getattr(error, "code", "INTERNAL"))


async def _started(running: Running) -> Server:
    try:
        return await running.start()
    except RuntimeError as error:
        raise UsageError(f"cannot listen on {running.address}; is something else there?", code="PORT_IN_USE") from error


async def _drain(server: Server, running: Running) -> None:
    """Unready, no new work, the work at hand to its end."""
    _log.info("agent.draining")
    await server.set_serving(serving=False)
    running.stop_soon()
    await server.stop(GRACE_SECONDS)
    await asyncio.to_thread(running.close)
    _log.info("agent.ended")
