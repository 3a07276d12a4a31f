"""How long a benchmark will take, before it starts: counted from its genotypes, at rates that two idle cores reach."""

from collections.abc import Sequence

from benchmarks import growth, tasks
from benchmarks.data import Size

#: Genotypes that are simulated and split in a second.
SIMULATED = 25e6

#: Seconds of a round of all programs for a task: fixed, and for each genotype (times traits, where plink2 scans each).
FIXED_SECONDS = 8.0
SECONDS_PER_GENOTYPE = {True: 6e-8, False: 1e-8}
LOGISTIC_SECONDS = 6e-7

#: Start and stop of agents, and keys of a sandbox.
START_SECONDS = 8.0


def minutes(names: Sequence[str], missing: Sequence[float], repeats: int, *, quick: bool) -> float:
    """Minutes of a plan, the simulation of its data included."""
    chosen = [task for task in tasks.TASKS if task.name in names]
    seconds, sizes = 0.0, set()
    for share in missing:
        for task in chosen:
            size = task.size(share, quick=quick)
            sizes.add(size)
            seconds += (repeats + 1) * _round(task, size)
    if "growth" in names:
        for point in growth.points(quick=quick):
            sizes.add(point.size)
            seconds += START_SECONDS + (repeats + 1) * (
                FIXED_SECONDS + 2 * SECONDS_PER_GENOTYPE[False] * _cells(point.size)
            )
    return (seconds + sum(START_SECONDS + _cells(size) / SIMULATED for size in sizes)) / 60


def _round(task: tasks.Task, size: Size) -> float:
    each = LOGISTIC_SECONDS if task.traits[:1] == ("b1",) else SECONDS_PER_GENOTYPE[bool(size.missing)]
    return FIXED_SECONDS + each * _cells(size) * max(len(task.traits), 1) * bool(task.traits)


def _cells(size: Size) -> float:
    return float(size.people) * size.variants
