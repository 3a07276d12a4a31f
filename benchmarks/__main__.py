"""Time fedstats against plink2, in turn, in the same run.

make bench                                       everything, for an idle machine and an evening
python -m benchmarks --quick                     small sizes, minutes
python -m benchmarks --task linear --task growth
python -m benchmarks --plink2 plink2 --plink2 ./plink2-a7
python -m benchmarks --write-docs                the tables of the newest results, into the guide; measures nothing
python -m benchmarks --quick --write-docs        measure, then write them
"""

import argparse
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from benchmarks import expected, growth, ours, records, tables, tasks, turns
from benchmarks.data import Size
from benchmarks.machine import machine, sentence
from benchmarks.plink2 import Plink2, programs
from benchmarks.written import write_guide, write_results
from fedstats.comparison.measure import CommandFailed, Measured, median_of
from fedstats.errors import FedstatsError

GROWTH = "growth"

#: Some machines set these, for older builds of OpenBLAS that do not know their processor; they slow whoever gets them.
#: No program that is measured does.
_FOR_OLDER_OPENBLAS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")


@dataclass(frozen=True)
class Plan:
    """What is to be run, and how."""

    quick: bool
    names: tuple[str, ...]
    missing: tuple[float, ...]
    repeats: int
    rivals: tuple[Plink2, ...]
    threads: tuple[int, ...]


def main() -> None:
    """Measure what is asked for, and write it down."""
    failures: list[str] = []
    arguments = _arguments()
    for name in _FOR_OLDER_OPENBLAS:
        os.environ.pop(name, None)
    if not arguments.write_docs or arguments.quick or arguments.task:
        failures = _measure(_plan(arguments))
    found = records.latest()
    if not found:
        raise SystemExit("nothing was measured yet")
    print(tables.report(found))
    for path in write_results(found):
        print(f"wrote {path.relative_to(path.parents[2])}")
    if arguments.write_docs:
        print(f"wrote {write_guide(found).name}")
    if failures:
        raise SystemExit("\n".join(["FAILED, and missing above:", *failures]))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [*(task.name for task in tasks.TASKS), GROWTH]
    parser.add_argument("--quick", action="store_true", help="small sizes and one repeat")
    parser.add_argument("--task", action="append", choices=names, default=[], help="only this; may be repeated")
    parser.add_argument("--repeats", type=int, help="5, with --quick 1; one warm-up comes on top")
    parser.add_argument("--missing", type=float, action="append", help="share of missing calls; 0.005 and 0")
    parser.add_argument("--plink2", action="append", default=[], help="a plink2 program; may be repeated")
    parser.add_argument("--threads", help="threads of plink2, separated by commas; 1,2, with --quick 2")
    parser.add_argument("--write-docs", action="store_true", help="write the tables into docs/guides/performance.md")
    return parser.parse_args()


def _plan(arguments: argparse.Namespace) -> Plan:
    every = (*(task.name for task in tasks.TASKS), GROWTH)
    return Plan(
        quick=arguments.quick,
        names=tuple(arguments.task) or every,
        missing=tuple(arguments.missing or (tasks.MISSING, 0.0)),
        repeats=arguments.repeats or (1 if arguments.quick else 5),
        rivals=tuple(programs(arguments.plink2)),
        threads=tuple(map(int, (arguments.threads or ("2" if arguments.quick else "1,2")).split(","))),
    )


def _measure(plan: Plan) -> list[str]:
    """Measure everything; what failed, by name."""
    here, session = _machine(plan), records.now()
    print(sentence(here))
    print(f"plink2: {', '.join(one.version for one in plan.rivals) or 'not at hand; give --plink2 PROGRAM'}")
    rivals = len(plan.rivals) * len(plan.threads)
    minutes = expected.minutes(plan.names, plan.missing, plan.repeats, rivals=rivals, quick=plan.quick)
    print(f"This takes about {minutes:.0f} minutes on two idle cores, simulation of the data included.")
    log = _Log(session, plan, here)
    for size, group in _by_size(plan):
        _run_tasks(size, group, plan, log)
    if GROWTH in plan.names:
        _run_growth(plan, log)
    return log.failures


def _machine(plan: Plan) -> dict[str, object]:
    return machine() | {"plink2": [one.version for one in plan.rivals]}


@dataclass(frozen=True)
class _Log:
    """Where results of this session go."""

    session: str
    plan: Plan
    machine: dict[str, object]
    failures: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self, name: str) -> Iterator[None]:
        """Say what failed and go on with the next task: an evening's other figures are still good."""
        try:
            yield
        except (CommandFailed, FedstatsError) as error:
            self.failures.append(name)
            _say(f"FAILED: {error}")

    def write(
        self, kind: str, name: str, program: str, *, exact: bool, at: dict[str, float], runs: list[Measured]
    ) -> None:
        """Append medians and spread of one program."""
        spread = {figure: _ends([getattr(run, figure) for run in runs]) for figure in ("wall", "cpu")}
        median = median_of(runs)
        records.append(
            records.Record(
                *(self.session, self.plan.quick, kind, name, program, exact, at, len(runs)),
                *(median, spread, self.machine),
            )
        )


def _ends(values: Sequence[float]) -> tuple[float, float]:
    return min(values), max(values)


def _by_size(plan: Plan) -> Iterable[tuple[Size, list[tasks.Task]]]:
    """Tasks by data set, so that agents start once for all that use it."""
    chosen = [task for task in tasks.TASKS if task.name in plan.names]
    found: dict[Size, list[tasks.Task]] = {}
    for missing in plan.missing:
        for task in chosen:
            found.setdefault(task.size(missing, quick=plan.quick), []).append(task)
    return found.items()


def _run_tasks(size: Size, group: Sequence[tasks.Task], plan: Plan, log: _Log) -> None:
    with ours.agents(size) as made:
        for task in group:
            title = f"{task.title}, {size}, {size.missing:.1%} missing"
            _say(title)
            programs = tasks.programs(task, size, made, plan.rivals, plan.threads)
            with log.going_on(title):
                found = turns.in_turn(programs, plan.repeats, _say)
                at = _at(size, 3, len(task.traits), tasks.COVARIATES if task.traits else 0)
                for program in programs:
                    log.write("task", task.name, program.name, exact=program.exact, at=at, runs=found[program.name])


def _run_growth(plan: Plan, log: _Log) -> None:
    """Points that are the same run are measured once."""
    done: dict[tuple[Size, int, int, int], list[Measured]] = {}
    for point in growth.points(quick=plan.quick):
        key = (point.size, point.nodes, point.traits, point.covariates)
        title = f"{point.axis} {point.at:,}: {point.size}, {point.nodes} nodes"
        _say(title)
        with log.going_on(title):
            if key not in done:
                done[key] = _point(point, plan)
            log.write(GROWTH, point.axis, "fedstats", exact=True, at=_at(*key), runs=done[key])


def _point(point: growth.Point, plan: Plan) -> list[Measured]:
    with ours.agents(point.size, point.nodes) as made:
        program = growth.program(point, made)
        return turns.in_turn([program], plan.repeats, _say)[program.name]


def _at(size: Size, nodes: int, traits: int, covariates: int) -> dict[str, float]:
    return {
        "people": size.people,
        "variants": size.variants,
        "missing": size.missing,
        "nodes": nodes,
        "traits": traits,
        "covariates": covariates,
    }


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    with suppress(BrokenPipeError):
        main()
