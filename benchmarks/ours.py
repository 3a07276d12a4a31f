"""fedstats as it is used: agents that serve as daemons, and one command at a time; also all in one process."""

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.data import Size, covariates, sandbox
from fedstats.comparison.measure import Measured, measure
from fedstats.sandbox import processes
from fedstats.sandbox.folder import Sandbox


@contextmanager
def agents(size: Size, nodes: int = 3) -> Iterator[Sandbox]:
    """Agents of a fresh sandbox, ready, and stopped afterwards."""
    made = sandbox(size, nodes)
    try:
        processes.start(made)
        yield made
    finally:
        processes.stop(made)


def gwas_words(traits: Sequence[str], number: int) -> list[str]:
    """A scan with everything at its default."""
    return ["gwas", "--pheno", ",".join(traits), "--covar", ",".join(covariates(number))]


def run(made: Sandbox, words: Sequence[str], out: Path) -> Measured:
    """One command, with the agents that serve it."""
    command = [
        *(sys.executable, "-m", "fedstats.cli.main", words[0], "--federation", str(made.federation_file)),
        *(*words[1:], "--out", str(out)),
    ]
    leaders = [pid for name in made.nodes if (pid := processes.process_of(made, name)) is not None]
    found = measure(command, out.with_suffix(".said"), agents=leaders)
    account = json.loads(out.with_name(f"{out.name}.run.json").read_text())
    return replace(
        found,
        bytes_to_nodes=sum(account["bytes_sent"].values()),
        bytes_from_nodes=sum(account["bytes_received"].values()),
    )


def run_in_one_process(made: Sandbox, words: Sequence[str], out: Path) -> Measured:
    """The same analysis of the same sites in one process, without network and masks, with start-up and files."""
    return measure([*_one_process(made, words, out)], out.with_suffix(".said"))


def run_kernel(made: Sandbox, words: Sequence[str], out: Path) -> Measured:
    """The nodes' steps alone: sums over genotypes, when everything is loaded and compiled."""
    measure([*_one_process(made, words, out), "--kernel", str(out.with_suffix(".json"))], out.with_suffix(".said"))
    return Measured(**json.loads(out.with_suffix(".json").read_text()))


def _one_process(made: Sandbox, words: Sequence[str], out: Path) -> list[str]:
    traits, names = words[words.index("--pheno") + 1], words[words.index("--covar") + 1]
    return [
        *(sys.executable, "-m", "benchmarks.one_process", str(made.folder)),
        *("--pheno", traits, "--covar", names, "--out", str(out)),
    ]
