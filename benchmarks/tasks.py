"""What is timed against plink2: each task with its size, its programs and what the project demands of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmarks import ours, plink2
from benchmarks.data import Size
from fedstats.comparison.measure import Measured
from fedstats.sandbox.folder import Sandbox

Kind = Literal["whole", "kernel", "one process", "plain", "memory"]
MISSING = 0.005
COVARIATES = 10


@dataclass(frozen=True)
class Demand:
    """What is asked of a task: the least number of times less CPU and wall than the rival; 0 asks nothing.

    `seconds` are added to what is allowed: a table of counts has a start-up that no scan pays for.
    `agent_mib` and `client_mib` are the most anonymous memory that an agent and the client may take.
    `named` asks for CPU against programs by the beginning of their names, where not the fastest alone is the measure.
    """

    cpu: float = 0.0
    wall: float = 0.0
    seconds: float = 0.0
    agent_mib: float = 0.0
    client_mib: float = 0.0
    named: tuple[tuple[str, float], ...] = ()

    @property
    def asks(self) -> bool:
        """Whether anything is asked at all."""
        return any((self.cpu, self.wall, self.agent_mib, self.client_mib, self.named))


@dataclass(frozen=True)
class Task:
    """One row of the table.

    Attributes
    ----------
    name, title
        For `--task`, and for the table; the title without its size.
    full, quick
        People and variants; the people must be enough for what policies allow, with --quick, too.
    traits
        Traits of a scan; none for tables of counts, whose command is then `table`.
    kind
        What of ours is compared: everything, the kernel, everything against the same in one process or without masks,
        or the memory of everything, against nobody.
    demands
        With missing calls, and without.
    """

    name: str
    title: str
    full: tuple[int, int]
    quick: tuple[int, int]
    demands: tuple[Demand, Demand]
    traits: tuple[str, ...] = ()
    table: str = ""
    kind: Kind = "whole"

    def size(self, missing: float, *, quick: bool) -> Size:
        """The data set."""
        return Size(*(self.quick if quick else self.full), missing, 50 if len(self.traits) > 1 else 2)

    def demand(self, missing: float) -> Demand:
        """What is asked with this share of missing calls."""
        return self.demands[0 if missing else 1]


FIFTY = tuple(f"q{i + 1}" for i in range(50))
_COUNTS = (Demand(1 / 3, 1 / 3, seconds=1.0),) * 2

TASKS = (
    Task(
        *("demo", "linear, the scan of the demo", (6_000, 20_000), (2_000, 10_000)),
        demands=(Demand(0), Demand(0)),
        traits=("q1",),
    ),
    Task(
        *("linear", "linear", (10_000, 100_000), (2_000, 20_000)),
        demands=(Demand(5, 4), Demand(1 / 1.5, 1 / 2)),
        traits=("q1",),
    ),
    Task(
        *("linear-large", "linear", (10_000, 400_000), (2_000, 40_000)),
        demands=(Demand(7), Demand(1)),
        traits=("q1",),
    ),
    Task(
        *("kernel", "linear kernel alone", (10_000, 100_000), (2_000, 20_000)),
        demands=(Demand(20), Demand(2.5)),
        traits=("q1",),
        kind="kernel",
    ),
    Task(
        *("traits", "linear, 50 traits", (10_000, 50_000), (6_000, 1_000)),
        demands=(Demand(30), Demand(2)),
        traits=FIFTY,
    ),
    Task(
        *("logistic", "logistic, balanced", (10_000, 30_000), (6_000, 2_000)),
        # 2.00a3 is the faster one, in single precision; 2.0.0-a.7 computes in double precision, as we do.
        demands=(Demand(1.5, named=(("plink2 2.0.0-a.7", 4.0),)), Demand(1)),
        traits=("b1",),
    ),
    Task("freq", "freq", (10_000, 100_000), (2_000, 20_000), _COUNTS, table="freq"),
    Task("hardy", "hardy", (10_000, 100_000), (2_000, 20_000), _COUNTS, table="hardy"),
    Task("missing", "missing", (10_000, 100_000), (2_000, 20_000), _COUNTS, table="missing"),
    Task(
        *("federated", "linear, federated and masked", (10_000, 100_000), (2_000, 20_000)),
        demands=(Demand(1 / 1.3, 1 / 1.3), Demand(1 / 1.5, 1 / 1.5)),
        traits=("q1",),
        kind="one process",
    ),
    Task(
        *("masked", "linear, masked against plain", (10_000, 100_000), (2_000, 20_000)),
        demands=(Demand(1 / 1.15),) * 2,
        traits=("q1",),
        kind="plain",
    ),
    Task(
        *("million", "linear, for its memory", (3_000, 1_000_000), (2_000, 40_000)),
        demands=(Demand(agent_mib=300, client_mib=500),) * 2,
        traits=("q1",),
        kind="memory",
    ),
    # So many that passes under way are few of them: what is held for each variant shows.
    Task(
        *("millions", "linear, for its memory", (1_000, 3_000_000), (2_000, 50_000)),
        demands=(Demand(), Demand()),
        traits=("q1",),
        kind="memory",
    ),
)


@dataclass(frozen=True)
class Program:
    """One of the programs that take turns: its name, how it is run, and whether its answer is exact."""

    name: str
    run: Callable[[Path], Measured]
    exact: bool = True


def programs(
    task: Task, size: Size, made: Sandbox, rivals: Sequence[plink2.Plink2], threads: Sequence[int]
) -> list[Program]:
    """Ours first, then each rival."""
    words = ours.gwas_words(task.traits, COVARIATES) if task.traits else [task.table]
    if task.kind == "one process":
        return [
            Program("fedstats", lambda out: ours.run(made, words, out)),
            Program("one process", lambda out: ours.run_in_one_process(made, words, out)),
        ]
    if task.kind == "plain":
        return [
            Program("fedstats", lambda out: ours.run(made, words, out)),
            Program("plain", lambda out: ours.run(made, [*words, "--privacy", "plain"], out)),
        ]
    if task.kind == "memory":
        return [Program("fedstats", lambda out: ours.run(made, words, out))]
    own = ours.run_kernel if task.kind == "kernel" else ours.run
    name = "fedstats kernel" if task.kind == "kernel" else "fedstats"
    return [Program(name, lambda out: own(made, words, out)), *_rivals(task, size, rivals, threads)]


def _rivals(task: Task, size: Size, rivals: Sequence[plink2.Plink2], threads: Sequence[int]) -> list[Program]:
    found = []
    for rival in rivals:
        approximations = [False, True] if task.traits[:1] == ("q1",) and rival.residualizes else [False]
        for approximate in approximations:
            words = plink2.TABLE_WORDS.get(task.table) or plink2.gwas_words(
                size, task.traits, COVARIATES, approximate=approximate
            )
            for number in threads:
                method = " qt-residualize (approximate)" if approximate else ""
                name = f"plink2 {rival.version}{method}, {_threads(number)}"
                found.append(Program(name, _run(rival, size, words, number), exact=not approximate))
    return found


def _run(rival: plink2.Plink2, size: Size, words: Sequence[str], threads: int) -> Callable[[Path], Measured]:
    return lambda out: plink2.run(rival, size, words, threads, out)


def _threads(number: int) -> str:
    return f"{number} thread{'s' if number > 1 else ''}"
