"""Time the demo's scan in variants per second, against plink2 where plink2 is installed.

    make bench
    .venv/bin/python benchmarks/scan_against_plink2.py --samples 6000 --variants 50000

Three agents over TLS, masked, against one plink2 process on the pooled files, in the same run.
plink2 is run with OPENBLAS_NUM_THREADS=1: with more, its threads fight over the cores and it looks slower than it is.
CPU is user and system time of every process of ours: the agents while they serve the run, the command with its start.
Every figure is the median of several repeats; ratios are taken against plink2 in the same run.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from fedstats.sandbox import processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate

COVARIATES = "age,sex,PC1-PC4"


@dataclass(frozen=True)
class Timing:
    """Wall and CPU seconds of one task."""

    wall: float
    cpu: float

    def rate(self, variants: int) -> float:
        """Variants a second of wall time."""
        return variants / self.wall


def main() -> None:
    """Simulate, start agents, time each task, print the table."""
    arguments = _arguments()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        recipe = Recipe(samples=arguments.samples, variants=arguments.variants, missing_rate=arguments.missing_rate)
        simulate(data, recipe)
        sandbox = _sandbox(Path(folder), data)
        processes.start(sandbox)
        try:
            rows = [_task(task, sandbox, data, Path(folder), arguments) for task in ("q1", "b1")]
        finally:
            processes.stop(sandbox)
    _print(rows, arguments)
    if arguments.json:
        Path(arguments.json).write_text(json.dumps({"machine": _machine(), "rows": rows}, indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=6000)
    parser.add_argument("--variants", type=int, default=50_000)
    parser.add_argument("--missing-rate", type=float, default=0.005)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2, help="threads of plink2")
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args()


def _sandbox(folder: Path, data: Path) -> Sandbox:
    pheno, covar = Path(f"{data}.pheno.tsv"), Path(f"{data}.covar.tsv")
    return create(folder / "sandbox", bfile=data, pheno=pheno, covar=covar, site_column="site").sandbox


def _task(trait: str, sandbox: Sandbox, data: Path, folder: Path, arguments: argparse.Namespace) -> dict[str, object]:
    """Time one trait on both sides, in turn, so that a drift of the machine hits both."""
    ours, theirs = [], []
    for repeat in range(arguments.repeats + 1):  # the first repeat warms caches and is not counted
        ours.append(_ours(trait, sandbox, folder / f"ours{repeat}"))
        if shutil.which("plink2"):
            theirs.append(_plink2(trait, data, folder / f"plink2{repeat}", arguments.threads))
    row: dict[str, object] = {"trait": trait, "fedstats": asdict(_median(ours[1:]))}
    row["plink2"] = asdict(_median(theirs[1:])) if theirs else None
    return row


def _median(timings: list[Timing]) -> Timing:
    return Timing(statistics.median(t.wall for t in timings), statistics.median(t.cpu for t in timings))


def _ours(trait: str, sandbox: Sandbox, out: Path) -> Timing:
    command = [
        *(sys.executable, "-m", "fedstats.cli.main", "gwas", "--federation", str(sandbox.federation_file)),
        *("--pheno", trait, "--covar", COVARIATES, "--out", str(out)),
    ]
    agents = [pid for name in sandbox.nodes if (pid := processes.process_of(sandbox, name)) is not None]
    before = sum(map(_cpu_of, agents))
    timing = _timed(lambda: subprocess.run(command, check=True, capture_output=True))
    return Timing(timing.wall, timing.cpu + sum(map(_cpu_of, agents)) - before)


def _plink2(trait: str, data: Path, out: Path, threads: int) -> Timing:
    command = [
        *("plink2", "--bfile", str(data), "--pheno", f"{data}.pheno.tsv", "--pheno-name", trait, "--1"),
        *("--covar", f"{data}.covar.tsv", "--covar-name", "age,PC1-PC4", "--covar-variance-standardize"),
        *("--glm", "no-firth", "sex", "hide-covar", "omit-ref"),
        *("--threads", str(threads), "--out", str(out)),
    ]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return _timed(lambda: subprocess.run(command, check=True, capture_output=True, env=environment))


def _timed(run: Callable[[], object]) -> Timing:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    run()
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Timing(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _cpu_of(process: int) -> float:
    """CPU seconds that a running process has used, all its threads together."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _machine() -> dict[str, object]:
    version = (
        subprocess.run(["plink2", "--version"], capture_output=True, text=True).stdout.strip()
        if shutil.which("plink2")
        else ""
    )
    return {"cores": os.cpu_count(), "python": platform.python_version(), "plink2": version}


def _print(rows: list[dict[str, object]], arguments: argparse.Namespace) -> None:
    size = f"{arguments.samples:,} people x {arguments.variants:,} variants"
    print(f"{size}, {arguments.missing_rate:.1%} missing calls, 3 agents over TLS, masked; {_machine()}")
    print(f"{'trait':<6} {'program':<9} {'wall s':>8} {'CPU s':>8} {'variants/s':>12} {'CPU':>8} {'wall':>8}")
    for row in rows:
        ours, theirs = (Timing(**row[name]) if row[name] else None for name in ("fedstats", "plink2"))  # type: ignore[arg-type]  # made from Timing above
        for name, timing in (("fedstats", ours), ("plink2", theirs)):
            print(f"{row['trait']:<6} {name:<9} {_line(timing, theirs, arguments.variants)}")


def _line(timing: Timing | None, rival: Timing | None, variants: int) -> str:
    """Seconds, rate, and how many times less than the rival's seconds these are."""
    if timing is None:
        return "is not installed"
    ratios = (f"{rival.cpu / timing.cpu:.2f}x", f"{rival.wall / timing.wall:.2f}x") if rival else ("", "")
    return f"{timing.wall:8.2f} {timing.cpu:8.2f} {timing.rate(variants):>12,.0f} {ratios[0]:>8} {ratios[1]:>8}"


if __name__ == "__main__":
    main()
