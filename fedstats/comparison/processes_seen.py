"""What /proc says of running processes: CPU seconds, memory, and who belongs to a session."""

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Memory:
    """Peak resident and anonymous memory, MiB."""

    resident: float = 0.0
    anonymous: float = 0.0

    def at_least(self, other: "Memory") -> "Memory":
        """The larger of each."""
        return Memory(max(self.resident, other.resident), max(self.anonymous, other.anonymous))


def cpu_seconds(process: int) -> float:
    """User and system seconds of a process, all its threads and the children that it has waited for."""
    fields = _fields(process)
    return sum(map(int, fields[11:15])) / _TICKS if fields else 0.0


def session_members(leader: int) -> list[int]:
    """Processes of the session that a process leads, itself among them, and all that these started."""
    numbers = (int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit())
    known = {number: fields for number in numbers if (fields := _fields(number))}
    members = {number for number, fields in known.items() if int(fields[3]) == leader}
    while more := {number for number, fields in known.items() if int(fields[1]) in members} - members:
        members |= more
    return sorted(members)


def memory_now(process: int) -> Memory:
    """Peak resident memory so far, anonymous memory now; zero where the process has ended."""
    with contextlib.suppress(OSError):
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
        return Memory(_mebibytes(lines.get("VmHWM")), _mebibytes(lines.get("RssAnon")))
    return Memory()


def memory_with_children(process: int) -> Memory:
    """The largest of a process and its children: plink2 may be a small program that starts the one for this CPU."""
    found = memory_now(process)
    with contextlib.suppress(OSError):
        for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
            found = found.at_least(memory_with_children(int(child)))
    return found


def forget_peak(process: int) -> None:
    """Let the peak of resident memory start at what is resident now."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{process}/clear_refs").write_text("5")


def _mebibytes(entry: str | None) -> float:
    return int(entry.split()[0]) / 1024 if entry else 0.0


def _fields(process: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on: a process may be called anything, parentheses included."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
