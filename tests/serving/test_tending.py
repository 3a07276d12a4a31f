"""An agent that runs for years does once a day what it does when it starts."""

import os
import signal
import threading
from collections.abc import Sequence

import pytest

from fedstats.errors import Failed
from fedstats.serving import running


class Server:
    port = 1

    async def set_serving(self, *, serving: bool) -> None:
        pass

    async def stop(self, grace: float) -> None:
        pass


class Life:
    """Tended three times, the second time in vain; then somebody stops it."""

    address, ledger_head = "127.0.0.1:1", "0" * 64

    def __init__(self) -> None:
        self.tended = self.warned = 0
        self.closed = False

    async def start(self) -> Server:
        return Server()

    def prepare(self) -> None:
        pass

    def tend(self) -> None:
        self.tended += 1
        if self.tended == 2:
            raise Failed("the ledger cannot be written", code="LEDGER_UNWRITABLE")
        if self.tended == 3:
            os.kill(os.getpid(), signal.SIGTERM)

    def warnings(self) -> Sequence[str]:
        self.warned += 1
        return ["the certificate ends soon"]

    def stop_soon(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def test_an_agent_is_tended_again_and_again_though_it_fails_once(monkeypatch: pytest.MonkeyPatch, capfd):
    assert threading.current_thread() is threading.main_thread()
    monkeypatch.setattr(running, "TEND_SECONDS", 0.01)
    life = Life()

    running.run_until_stopped(life)

    assert life.tended >= 3
    assert life.warned >= 3
    assert life.closed
    assert "LEDGER_UNWRITABLE" in "".join(capfd.readouterr())
