"""Programs take turns, A B A B, so that a drift of the machine hits all of them; medians at the end."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.tasks import Program
from fedstats.comparison.measure import Measured, median_of

#: Programs that take longer than this are run once.
LONG_SECONDS = 60.0


def in_turn(programs: Sequence[Program], repeats: int, say: Callable[[str], None]) -> dict[str, list[Measured]]:
    """Measurements of each program by its name; the first round warms caches and is not among them.

    A program that takes longer than `LONG_SECONDS` runs once: what a warm-up could save is nothing beside that.
    """
    found: dict[str, list[Measured]] = {program.name: [] for program in programs}
    long: set[str] = set()
    for repeat in range(repeats + 1):
        for program in (one for one in programs if one.name not in long):
            measured = _one(program)
            if measured.wall > LONG_SECONDS:
                long.add(program.name)
            counts = repeat or program.name in long
            if counts:
                found[program.name].append(measured)
            seconds = f"{measured.wall:7.2f} s wall {measured.cpu:8.2f} s CPU"
            say(f"  {program.name:<44} {seconds}{'' if counts else '  warm-up'}")
    return found


def medians(found: dict[str, list[Measured]]) -> dict[str, Measured]:
    """The median of each program's repeats."""
    return {name: median_of(runs) for name, runs in found.items()}


def _one(program: Program) -> Measured:
    folder = Path(tempfile.mkdtemp(prefix="fedstats-bench-"))
    try:
        return program.run(folder / "out")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
