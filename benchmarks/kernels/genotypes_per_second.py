"""Genotypes per CPU second of every kernel of the node, beside plain numpy and what the memory could deliver.

    .venv/bin/python benchmarks/kernels/genotypes_per_second.py --people 10000 --variants 4096

One process, one thread; CPU time, because machines are shared; the best and the median of several repeats. `naive` is
what a reader would write with numpy; it gives the same answer (tests/naive). The roofline is the speed at which one
core copies memory, in genotypes of two bits: kernels far below it are bound by instructions, not by memory.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before numpy: as in the agent, every kernel has one thread
sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the naive kernels are part of the tests

import numpy as np

from fedstats.genotypes import PackedBlock
from fedstats.kernels import logistic, packed
from fedstats.kernels.hardy_weinberg import exact_p
from fedstats.kernels.tails import log10_p_of_t
from tests.naive import logistic as naive_logistic
from tests.naive import packed as naive

#: Naive kernels get so many variants at most, so that nobody waits for them.
_NAIVE_VARIANTS = 64


@dataclass(frozen=True)
class Speed:
    """One line of the table: items per CPU second, and how many CPU seconds the work of one repeat took."""

    kernel: str
    missing: float
    best: float
    median: float
    seconds: float


def main() -> None:
    """Measure and print."""
    arguments = _arguments()
    lines = [_roofline(arguments)]
    for missing in (0.0, 0.005):
        block = _block(arguments, missing)
        lines += _counting(arguments, block, missing)
        for columns in (12, 61):
            lines += _linear(arguments, block, missing, columns)
        lines += _logistic(arguments, block, missing)
    lines += _coordinator(arguments)
    print(f"{'genotypes (or variants) per CPU second':<44} {'missing':>7} {'best':>9} {'median':>10}")
    for line in lines:
        print(f"{line.kernel:<44} {line.missing:>6.1%} {line.best:>10.4g} {line.median:>10.4g}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(line) for line in lines], indent=1) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--variants", type=int, default=4096)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="also write the figures to this file")
    return parser.parse_args()


def _speed(name: str, missing: float, items: int, repeats: int, work: Callable[[], object]) -> Speed:
    work()  # compiles, or loads what was compiled
    seconds = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return Speed(name, missing, items / min(seconds), items / statistics.median(seconds), min(seconds))


def _block(arguments: argparse.Namespace, missing: float) -> PackedBlock:
    """Simulated calls; half of the variants have a minor allele frequency below 5 %."""
    rng = np.random.default_rng(1)
    bytes_of_row = -(-arguments.people // 4)
    found = np.empty((arguments.variants, bytes_of_row), np.uint8)
    for row in range(arguments.variants):
        frequency = rng.uniform(0.005, 0.05) if rng.random() < 0.5 else rng.uniform(0.05, 0.5)
        codes = np.array([3, 2, 0], np.uint8)[rng.binomial(2, frequency, 4 * bytes_of_row)]
        codes[rng.random(len(codes)) < missing] = 1
        quads = codes.reshape(-1, 4)
        found[row] = quads[:, 0] | quads[:, 1] << 2 | quads[:, 2] << 4 | quads[:, 3] << 6
    nothing = np.zeros(arguments.variants, np.bool_)
    return PackedBlock(found, np.arange(arguments.variants), nothing, arguments.people)


def _some(block: PackedBlock) -> PackedBlock:
    return PackedBlock(block.packed, block.rows[:_NAIVE_VARIANTS], block.swap[:_NAIVE_VARIANTS], block.people)


def _roofline(arguments: argparse.Namespace) -> Speed:
    """Copying memory, counted as genotypes that are read once and written once."""
    source = np.ones(1 << 26, np.uint8)
    target = np.zeros_like(source)
    return _speed("roofline: copy", 0.0, 4 * len(source), arguments.repeats, lambda: np.copyto(target, source))


def _counting(arguments: argparse.Namespace, block: PackedBlock, missing: float) -> list[Speed]:
    people, some = np.ones(arguments.people, np.bool_), _some(block)
    size = arguments.people * len(block)

    def count() -> object:
        return packed.genotype_counts(block, people)

    return [
        _speed("counts, with the copy of the block", missing, size, arguments.repeats, count),
        _speed("  naive", missing, arguments.people * len(some), 2, lambda: naive.genotype_counts(some, people)),
    ]


def _linear(arguments: argparse.Namespace, block: PackedBlock, missing: float, width: int) -> list[Speed]:
    people, some = np.ones(arguments.people, np.bool_), _some(block)
    columns = np.rint(np.random.default_rng(2).standard_normal((arguments.people, width)) * 2.0**34).astype(np.int64)
    prepared, mean = packed.packed_columns(columns, people), np.ones(len(block))

    def scan() -> object:
        words = packed.genotype_words(block)
        return packed.called_and_missing_sums(block, words, prepared).imputed(mean)

    def plainly() -> object:
        return naive.called_and_missing_sums(some, columns, people)

    return [
        _speed(f"linear, {width} columns", missing, arguments.people * len(block), arguments.repeats, scan),
        _speed("  naive", missing, arguments.people * len(some), 2, plainly),
    ]


def _logistic(arguments: argparse.Namespace, block: PackedBlock, missing: float) -> list[Speed]:
    rng = np.random.default_rng(3)
    design = np.column_stack([np.ones(arguments.people), rng.standard_normal((arguments.people, 10))])
    outcome, keep = (rng.random(arguments.people) < 0.5).astype(np.float64), np.ones(arguments.people, np.bool_)
    people = logistic.logistic_people(keep, design, outcome)
    few = PackedBlock(block.packed, block.rows[:512], block.swap[:512], block.people)
    some = _some(block)

    def evaluated(of: PackedBlock) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        count = len(of)
        return np.zeros((count, 11)), np.full(count, 0.05), np.ones(count), np.zeros(count, np.bool_)

    def naively() -> object:
        effects = np.append(np.zeros(11), 0.05)
        return [naive_logistic.sums(np.column_stack([design, g]), outcome, effects) for g in some.dosages()]

    def batched(*, information: bool) -> Callable[[], object]:
        return lambda: logistic.logistic_sums(people, few, *evaluated(few), information=information)

    size, repeats = arguments.people * len(few), arguments.repeats
    return [
        _speed("logistic approach, 11 coefficients", missing, size, repeats, batched(information=False)),
        _speed("logistic round, 11 coefficients", missing, size, repeats, batched(information=True)),
        _speed("  naive", missing, arguments.people * len(some), 2, naively),
    ]


def _coordinator(arguments: argparse.Namespace) -> list[Speed]:
    """What is done once for each variant, in variants per second."""
    rng = np.random.default_rng(4)
    statistic, degrees = rng.standard_normal(65_536), np.full(65_536, arguments.people - 12)
    het, hom = rng.binomial(arguments.people, 0.3, 65_536), rng.binomial(arguments.people // 20, 0.5, 65_536)
    other = arguments.people - het - hom
    return [
        _speed("log10 p of t (variants)", 0.0, 65_536, arguments.repeats, lambda: log10_p_of_t(statistic, degrees)),
        _speed("Hardy-Weinberg, exact (variants)", 0.0, 65_536, 2, lambda: exact_p(het, hom, other)),
    ]


if __name__ == "__main__":
    main()
