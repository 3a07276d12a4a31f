"""Run one study under every setting with real agents, and measure what each costs, how exact it is, what it leaks."""

import json
import platform
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from fedstats import __version__
from fedstats.arrays import Reals
from fedstats.comparison.choices import Choice
from fedstats.comparison.measure import Measured, measure, median_of
from fedstats.comparison.outcomes import Comparison, Outcome
from fedstats.comparison.processes_seen import cpu_seconds, session_members
from fedstats.comparison.study import COVARIATES, RANGES, TRAIT, Study, make_study, site_column
from fedstats.comparison.truth import Truth
from fedstats.sandbox import processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import KEY_HOLDER, Sandbox
from fedstats.sandbox.key_holder import DEFAULT_BITS

Say = Callable[[str], None]

#: Number of the run that warms caches and connections at new agents, and is not measured.
WARM_UP = -1


@dataclass(frozen=True)
class Order:
    """What is to be compared."""

    folder: Path
    choices: tuple[Choice, ...]
    nodes: tuple[int, ...]
    people: int = 1_500
    variants: int = 4_000
    repeats: int = 1
    seed: int = 1


def compare(order: Order, say: Say) -> Comparison:
    """Simulate the study, run every setting at every number of nodes, attack what is seen."""
    say(f"Simulating {order.people:,} people x {order.variants:,} variants, and people outside ...")
    study = make_study(order.folder, order.people, order.variants, order.nodes, order.seed)
    truth = Truth(study)
    found: list[Outcome] = []
    for nodes in order.nodes:
        with _agents(order, study, nodes) as made:
            _run(order, truth, made, order.choices[0], WARM_UP)
            found += [_outcome(order, truth, made, choice, say) for choice in order.choices]
    power = truth.power(truth.pooled[1])
    return Comparison(order.people, order.variants, order.repeats, order.seed, power, _machine(), tuple(found))


def _machine() -> dict[str, str]:
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "fedstats": __version__,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


@contextmanager
def _agents(order: Order, study: Study, nodes: int) -> Iterator[Sandbox]:
    """Agents of a new sandbox that allows every setting, as public data may."""
    made = create(
        order.folder / f"sandbox{nodes}",
        bfile=study.files.prefix,
        pheno=study.files.phenotypes,
        covar=study.files.covariates,
        site_column=site_column(nodes),
        policy="validation",
        key_bits=DEFAULT_BITS if any(choice.key_holder for choice in order.choices) else 0,
    ).sandbox
    try:
        processes.start(made)
        yield made
    finally:
        processes.stop(made)


def _outcome(order: Order, truth: Truth, made: Sandbox, choice: Choice, say: Say) -> Outcome:
    runs = [_run(order, truth, made, choice, number) for number in range(order.repeats)]
    costs, account, result = median_of([run.costs for run in runs]), runs[-1].account, runs[-1].result
    nodes, betas, log10p = len(made.nodes), result["BETA"].to_numpy(), result["LOG10P"].to_numpy()
    expected_betas, expected_log10p = truth.pooled
    outcome = Outcome(
        setting=choice.name,
        nodes=nodes,
        trust=choice.trust,
        wall=costs.wall,
        cpu_per_node=costs.agents_cpu / nodes,
        cpu_coordinator=costs.client_cpu,
        cpu_key_holder=statistics.median(run.key_holder_cpu for run in runs),
        bytes_up=sum(account["bytes_received"].values()) / nodes / order.variants,
        bytes_down=sum(account["bytes_sent"].values()) / nodes / order.variants,
        rounds=account["rounds"],
        beta_difference=_largest(betas - expected_betas),
        log10p_difference=_largest(log10p - expected_log10p),
        power=truth.power(log10p),
        auc_upload=truth.auc_of_upload(nodes, choice),
        auc_output=truth.auc(nodes, result["A1_FREQ"].to_numpy()),
    )
    say(f"  {choice.name:<20} {nodes:>2} nodes {outcome.wall:7.1f} s wall {outcome.cpu:8.1f} s CPU")
    return outcome


def _largest(differences: Reals) -> float:
    known = np.abs(differences[np.isfinite(differences)])
    return float(known.max()) if len(known) else float("nan")


@dataclass(frozen=True)
class _Run:
    """One command: its costs, OUT.run.json, and the result as a table."""

    costs: Measured
    key_holder_cpu: float
    account: dict[str, Any]  # Any: JSON
    result: pl.DataFrame


def _run(order: Order, truth: Truth, made: Sandbox, choice: Choice, number: int) -> _Run:
    out = order.folder / "runs" / f"{choice.name.replace(', ', '-').replace(' ', '')}.{len(made.nodes)}.{number}"
    out.parent.mkdir(exist_ok=True)
    command = [
        *(sys.executable, "-m", "fedstats.cli.main", "gwas", "--federation", str(made.federation_file)),
        *("--pheno", TRAIT, "--covar", ",".join(COVARIATES), "--out", str(out), *choice.flags),
        *(_flags_of_noise(truth, order, out.name) if np.isfinite(choice.epsilon) else ()),
    ]
    leaders = [pid for name in made.nodes if (pid := processes.process_of(made, name)) is not None]
    holder = processes.process_of(made, KEY_HOLDER)
    before = _cpu(holder)
    costs = measure(command, out.with_name(f"{out.name}.said"), agents=leaders)
    return _Run(
        costs,
        _cpu(holder) - before,
        json.loads(out.with_name(f"{out.name}.run.json").read_text()),
        truth.in_order(pl.read_parquet(out.with_name(f"{out.name}.{TRAIT}.parquet"))),
    )


def _cpu(leader: int | None) -> float:
    return 0.0 if leader is None else sum(map(cpu_seconds, session_members(leader)))


def _flags_of_noise(truth: Truth, order: Order, project: str) -> list[str]:
    """What `dp` must be told beforehand: ranges, which variants, and a project of its own, whose budget is whole."""
    chosen = order.folder / "variants.txt"
    chosen.write_text("\n".join(truth.panel["ID"].to_list()) + "\n")
    ranges = [f"{name}={low:g}:{high:g}" for name, (low, high) in RANGES.items()]
    return ["--project", project, "--extract", str(chosen), *(word for one in ranges for word in ("--range", one))]
