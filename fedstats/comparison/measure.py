"""Measure one command, and the agents that serve it: wall, CPU, memory."""

import os
import statistics
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path

from fedstats.comparison.processes_seen import (
    Memory,
    cpu_seconds,
    forget_peak,
    memory_now,
    memory_with_children,
    session_members,
)
from fedstats.errors import Failed

#: Often enough for the peak of a command of a fifth of a second; 0.5 % of a core.
SAMPLE_SECONDS = 0.02

#: What agents still do when the client has gone (receipts, fsync) counts as theirs.
SETTLE_SECONDS = 0.3


@dataclass(frozen=True)
class Measured:
    """One run of one program, or the medians of several.

    Seconds of wall and CPU; memory in MiB, of agents the largest of any one; bytes of all nodes together, as run.json
    counts them.
    """

    wall: float
    client_cpu: float
    agents_cpu: float = 0.0
    client_resident: float = 0.0
    client_anonymous: float = 0.0
    agent_resident: float = 0.0
    agent_anonymous: float = 0.0
    bytes_to_nodes: float = 0.0
    bytes_from_nodes: float = 0.0

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes together."""
        return self.client_cpu + self.agents_cpu


class CommandFailed(Failed):
    """A measured command ended with an error; the message ends with what it said."""


def median_of(runs: Sequence[Measured]) -> Measured:
    """The median of every figure by itself."""
    return Measured(**{f.name: statistics.median(getattr(run, f.name) for run in runs) for f in fields(Measured)})


def measure(
    command: Sequence[str], log: Path, *, agents: Sequence[int] = (), environment: Mapping[str, str] | None = None
) -> Measured:
    """Run a command and measure it together with the agents, each the leader of a session.

    Raises
    ------
    CommandFailed
        The command ended with an error.
    """
    members = [pid for leader in agents for pid in session_members(leader)]
    for pid in members:
        forget_peak(pid)
    before = sum(map(cpu_seconds, members))
    with log.open("wb") as output:
        started = time.perf_counter()
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**_as_installed(), **(environment or {})},
        )
        watch = _Watch(child.pid, members)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
    watch.stop()
    if child.returncode:
        said = f"{' '.join(command[:4])} ... ended with {child.returncode}:\n{_last(log)}"
        raise CommandFailed(said, code="COMMAND_FAILED")
    time.sleep(SETTLE_SECONDS if members else 0)
    after = sum(map(cpu_seconds, {pid for leader in agents for pid in session_members(leader)} | set(members)))
    return Measured(
        wall,
        usage.ru_utime + usage.ru_stime,
        after - before,
        *(watch.client.resident, watch.client.anonymous),
        *(watch.agent.resident, watch.agent.anonymous),
    )


def _as_installed() -> dict[str, str]:
    """The environment, but with compiled modules kept, as those of an installed package are."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _last(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])


@dataclass
class _Watch:
    """A thread that reads the memory of a client and of agents until it is stopped.

    The peak that wait4 tells would be that of this process, where it is larger: a child starts as its parent's copy.
    """

    process: int
    agents: Sequence[int]
    client: Memory = field(default_factory=Memory)
    agent: Memory = field(default_factory=Memory)

    def __post_init__(self) -> None:
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            self.client = self.client.at_least(memory_with_children(self.process))
            for pid in self.agents:
                self.agent = self.agent.at_least(memory_now(pid))
