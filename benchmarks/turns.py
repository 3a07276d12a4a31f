"""Programs take turns, A B A B, so that a drift of the machine hits all of them; medians at the end."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.tasks import Program
from fedstats.comparison.measure import Measured, median_of


def in_turn(programs: Sequence[Program], repeats: int, say: Callable[[str], None]) -> dict[str, list[Measured]]:
    """Measurements of each program by its name; the first round warms caches and is not among them."""
    found: dict[str, list[Measured]] = {program.name: [] for program in programs}
    for repeat in range(repeats + 1):
        for program in programs:
            measured = _one(program)
            if repeat:
                found[program.name].append(measured)
            seconds = f"{measured.wall:7.2f} s wall {measured.cpu:8.2f} s CPU"
            say(f"  {program.name:<44} {seconds}{'' if repeat else '  warm-up'}")
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
