"""Processes as /proc has them, read so that one that ends meanwhile disturbs nobody."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Process:
    """A process, told by its start from a later one of the same number."""

    number: int
    started: str

    @property
    def alive(self) -> bool:
        """Whether it runs; one that ended and that nobody has waited for does not."""
        fields = _fields(self.number)
        return bool(fields) and fields[0] not in "ZX" and fields[19] == self.started


def process(number: int) -> Process:
    """The process that has a number now."""
    return Process(number, _fields(number)[19])


def children_of(number: int) -> set[Process]:
    """Processes that any thread of a process has started."""
    listed = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    known = {one: fields for one in listed if (fields := _fields(one))}
    return {Process(one, fields[19]) for one, fields in known.items() if int(fields[1]) == number}


def _fields(number: int) -> list[str]:
    """Fields of /proc/PID/stat from the third on, none where there is no such process."""
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
