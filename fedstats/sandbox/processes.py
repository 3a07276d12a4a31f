"""Agents of a sandbox as processes: start, ask whether they are ready, stop."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import Failed, NodeUnreachable, UsageError
from fedstats.sandbox.folder import KEY_HOLDER, Sandbox
from fedstats.sandbox.ports import is_free
from fedstats.transport.health import is_serving

#: A cold start compiles kernels for the first time; a warm one takes about a second.
START_SECONDS = 180.0
STOP_SECONDS = 35.0


@dataclass(frozen=True)
class AgentState:
    """One agent as seen from outside: its process, and what its health service says."""

    name: str
    address: str
    process: int | None
    ready: bool

    @property
    def word(self) -> str:
        """One word for a table."""
        if self.process is None:
            return "down"
        return "ready" if self.ready else "starting"


def start(sandbox: Sandbox, *, environment: Mapping[str, str] | None = None) -> None:
    """Start every agent that is not running, each a process of its own session; returns when all are ready.

    The first goes ahead: where no kernel was ever compiled on this machine it compiles them, and the others find them.
    """
    absent = [name for name in sandbox.agents if process_of(sandbox, name) is None]
    for names in (absent[:1], absent[1:]):
        for name in names:
            start_one(sandbox, name, environment=environment)
        wait_until_ready(sandbox, names)
    wait_until_ready(sandbox)


def start_one(sandbox: Sandbox, name: str, *, environment: Mapping[str, str] | None = None) -> None:
    """Start one agent; its output goes to agent.out in its folder."""
    folder = sandbox.node_folder(name)
    program, config = ("key_holder", "keyholder.toml") if name == KEY_HOLDER else ("node_agent", "node.toml")
    with (folder / "agent.out").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", program, "serve", "--config", str(folder / config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={**os.environ, **(environment or {})},
        )
    _pid_file(sandbox, name).write_text(f"{process.pid}\n")
    _CHILDREN[process.pid] = process


#: Children of this process, so that one that ended is reaped and not taken for a running agent.
_CHILDREN: dict[int, subprocess.Popen[bytes]] = {}


def wait_until_ready(sandbox: Sandbox, names: Iterable[str] | None = None, *, seconds: float = START_SECONDS) -> None:
    """Wait until these agents, or all, answer ready.

    Raises
    ------
    Failed
        An agent ended; the last lines of its output are in the message, and where something else has its port, the
        code is PORT_IN_USE.
    NodeUnreachable
        An agent is not ready in time.
    """
    deadline = time.monotonic() + seconds
    waiting = list(sandbox.agents if names is None else names)
    while waiting:
        waiting = [name for name in waiting if not _is_ready(sandbox, name)]
        if waiting and time.monotonic() > deadline:
            raise NodeUnreachable(f"{', '.join(waiting)} not ready after {seconds:g} s", code="NOT_READY")
        if waiting:
            time.sleep(0.05)


def _is_ready(sandbox: Sandbox, name: str) -> bool:
    if process_of(sandbox, name) is None:
        raise _ended(sandbox, name)
    return is_serving(sandbox.coordinator, sandbox.card(name), sandbox.agents[name])


def _ended(sandbox: Sandbox, name: str) -> Failed:
    message = f"agent {name} ended while starting:\n{_last_lines(sandbox, name)}"
    address = sandbox.agents[name]
    if is_free(int(address.rpartition(":")[2])):
        return Failed(message, code="AGENT_ENDED")
    hint = f"Something else listens at {address}: stop it, or make the sandbox anew, which finds other ports."
    return Failed(message, code="PORT_IN_USE", hint=hint)


def _last_lines(sandbox: Sandbox, name: str) -> str:
    text = (sandbox.node_folder(name) / "agent.out").read_text(errors="replace")
    return "\n".join(f"  {line}" for line in text.splitlines()[-12:])


def states(sandbox: Sandbox) -> list[AgentState]:
    """Every agent's state."""
    found = []
    for name, address in sandbox.agents.items():
        process = process_of(sandbox, name)
        ready = process is not None and is_serving(sandbox.coordinator, sandbox.card(name), address)
        found.append(AgentState(name, address, process, ready))
    return found


def stop(sandbox: Sandbox) -> None:
    """Ask every agent to drain and end; after 35 seconds, end it."""
    processes = [pid for name in sandbox.agents if (pid := process_of(sandbox, name)) is not None]
    for pid in processes:
        _signal(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while any(_runs(pid) for pid in processes) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in processes:
        if _runs(pid):
            _signal(pid, signal.SIGKILL)
    for name in sandbox.agents:
        _pid_file(sandbox, name).unlink(missing_ok=True)


def kill(sandbox: Sandbox, name: str) -> None:
    """End one agent at once, as a crash would."""
    pid = process_of(sandbox, name)
    if pid is None:
        raise UsageError(f"agent {name} is not running")
    _signal(pid, signal.SIGKILL)
    while _runs(pid):
        time.sleep(0.01)


def process_of(sandbox: Sandbox, name: str) -> int | None:
    """Process id of an agent that runs, None otherwise."""
    path = _pid_file(sandbox, name)
    if not path.is_file():
        return None
    pid = int(path.read_text())
    return pid if _runs(pid) else None


def _pid_file(sandbox: Sandbox, name: str) -> Path:
    return sandbox.node_folder(name) / "agent.pid"


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _runs(pid: int) -> bool:
    child = _CHILDREN.get(pid)
    if child is not None:
        return child.poll() is None
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    # A process id may have been given to somebody else since; a zombie has no command line.
    return b"node_agent" in command or b"key_holder" in command


def wait(sandbox: Sandbox) -> None:
    """Return when the last agent has ended."""
    while any(process_of(sandbox, name) is not None for name in sandbox.agents):
        time.sleep(0.2)
