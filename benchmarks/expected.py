"""How long a benchmark will take, before it starts: counted from its genotypes, at rates that two idle cores reach."""

from collections.abc import Sequence

from benchmarks import growth, tasks
from benchmarks.data import Size

#: Genotypes that are simulated and split in a second.
SIMULATED = 25e6

#: Seconds of a round of a task: fixed for all programs together, and for each genotype of each run of plink2.
FIXED_SECONDS = 3.0
SECONDS_PER_GENOTYPE = {True: 9e-9, False: 2e-9}
#: The same of ours, start-up apart, and for each variant however few people there are.
OWN_SECONDS_PER_GENOTYPE = 2e-9
OWN_SECONDS_PER_VARIANT = 6e-6
LOGISTIC_SECONDS = 1.5e-7
#: What each further trait takes, as a share of the first: plink2 prepares genotypes once.
FURTHER_TRAIT = 0.1

#: Start and stop of agents, and keys of a sandbox.
START_SECONDS = 8.0


def minutes(names: Sequence[str], missing: Sequence[float], repeats: int, *, rivals: int, quick: bool) -> float:
    """Minutes of a plan, the simulation of its data included.

    Parameters
    ----------
    names, missing, repeats, quick
        As the plan has them.
    rivals
        How often plink2 runs in a round: its versions, each with every number of threads.
    """
    chosen = [task for task in tasks.TASKS if task.name in names]
    seconds, sizes = 0.0, set()
    for share in missing:
        for task in chosen:
            size = task.size(share, quick=quick)
            sizes.add(size)
            seconds += (repeats + 1) * _round(task, size, rivals)
    if "growth" in names:
        for point in growth.points(quick=quick):
            sizes.add(point.size)
            own = FIXED_SECONDS + OWN_SECONDS_PER_GENOTYPE * _cells(point.size)
            seconds += START_SECONDS + (repeats + 1) * own
    return (seconds + sum(START_SECONDS + _cells(size) / SIMULATED for size in sizes)) / 60


def _round(task: tasks.Task, size: Size, rivals: int) -> float:
    own = FIXED_SECONDS + OWN_SECONDS_PER_VARIANT * size.variants
    if not task.traits or task.kind not in ("whole", "kernel"):
        return own
    each = LOGISTIC_SECONDS if task.traits[:1] == ("b1",) else SECONDS_PER_GENOTYPE[bool(size.missing)]
    return own + rivals * each * _cells(size) * (1 + FURTHER_TRAIT * (len(task.traits) - 1))


def _cells(size: Size) -> float:
    return float(size.people) * size.variants
