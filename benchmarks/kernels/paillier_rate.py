"""Statistics per CPU second and bytes per statistic of `paillier`, beside one value per ciphertext with phe.

    .venv/bin/python benchmarks/kernels/paillier_rate.py

One process, one core; CPU time, because machines are shared; the median of several repeats, all in one run. A statistic
is a word of 64 bits; counts are words of 23. Asked for at 3072 bits: at least 20,000 statistics a second and core, at
most 20 bytes a statistic, at least 200 times the speed of phe. The command ends with 1 where one of them is missed.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import phe

from fedstats.privacy.paillier import encrypt_block, multiply, open_block
from fedstats.privacy.paillier_tasks import decryption, encryption
from fedstats.privacy.paillier_workers import InProcess
from fedstats.privacy.primitives.paillier import DEFAULT_BITS, PrivateKey, generate

LEAST_A_SECOND = 20_000
MOST_BYTES = 20.0
LEAST_TIMES_PHE = 200.0

#: Plaintexts of a repeat.
PLAINTEXTS = 128


@dataclass(frozen=True)
class Rates:
    """What one run found; seconds are CPU seconds of one process."""

    bits: int
    seconds_tables: float
    statistics_a_second: float
    counts_a_second: float
    bytes_a_statistic: float
    phe_values_a_second: float
    times_phe: float
    multiplied_a_second: float
    opened_a_second: float


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, default=DEFAULT_BITS)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", help="also write the figures to this file")
    arguments = parser.parse_args()
    rates = measure(generate(arguments.bits), arguments.repeats)
    for name, value in asdict(rates).items():
        print(f"{name.replace('_', ' '):<24} {value:>12,.5g}")
    if arguments.json:
        Path(arguments.json).write_text(json.dumps(asdict(rates), indent=1) + "\n")
    missed = shortfalls(rates)
    print("\n".join(missed) or "every demand is met")
    return int(bool(missed))


def measure(key: PrivateKey, repeats: int) -> Rates:
    """All rates of one key, each the median of `repeats`."""
    public, phe_public = key.public, phe.PaillierPublicKey(key.public.n)
    start = time.process_time()
    encrypt = InProcess(encryption(public))
    tables = time.process_time() - start
    decrypt = InProcess(decryption(key))
    words, counts = _block(public.plaintext_bits, 64), _block(public.plaintext_bits, 23)
    upload = encrypt_block(public, encrypt, *words)
    product = multiply(public, [upload] * 3)
    n = len(words[0])
    ours = n / _seconds(lambda: encrypt_block(public, encrypt, *words), repeats)
    theirs = 1 / _seconds(lambda: phe_public.encrypt(12345).ciphertext(), repeats)
    return Rates(
        bits=public.bits,
        seconds_tables=tables,
        statistics_a_second=ours,
        counts_a_second=len(counts[0]) / _seconds(lambda: encrypt_block(public, encrypt, *counts), repeats),
        bytes_a_statistic=len(upload) / n,
        phe_values_a_second=theirs,
        times_phe=ours / theirs,
        multiplied_a_second=2 * n / _seconds(lambda: multiply(public, [upload] * 3), repeats),
        opened_a_second=n / _seconds(lambda: open_block(public, decrypt, product, words[1]), repeats),
    )


def shortfalls(rates: Rates) -> list[str]:
    """The demands that a run misses, in words."""
    found = []
    if rates.statistics_a_second < LEAST_A_SECOND:
        found.append(f"{rates.statistics_a_second:,.0f} statistics a second are fewer than {LEAST_A_SECOND:,}")
    if rates.bytes_a_statistic > MOST_BYTES:
        found.append(f"{rates.bytes_a_statistic:.1f} bytes a statistic are more than {MOST_BYTES:g}")
    if rates.times_phe < LEAST_TIMES_PHE:
        found.append(f"{rates.times_phe:.0f} times the speed of phe are fewer than {LEAST_TIMES_PHE:g}")
    return found


def _block(plaintext_bits: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Random words that fill PLAINTEXTS plaintexts, and their widths."""
    count = PLAINTEXTS * (plaintext_bits // (width + 8))
    words = np.random.default_rng(width).integers(0, 2**64, count, dtype=np.uint64)
    return words, np.full(count, width, np.uint8)


def _seconds(work: Callable[[], object], repeats: int) -> float:
    found = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return statistics.median(found)


if __name__ == "__main__":
    sys.exit(main())
