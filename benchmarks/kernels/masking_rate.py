"""Words that a node masks in a CPU second, beside copying them and beside AES alone.

    .venv/bin/python benchmarks/kernels/masking_rate.py

One process, one core; CPU time, because machines are shared; the median of several repeats, all in one run. Fifteen
nodes: fourteen streams of pairs and the node's own on every word.
"""

import argparse
import os
import statistics
import time
from collections.abc import Callable

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from fedstats.privacy.masking import mask
from fedstats.privacy.primitives.stream import Stream

#: A million variants with fourteen statistics each.
WORDS = 14_000_000
NODES = 15


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    streams = tuple(Stream(os.urandom(32), 1 if number % 2 else -1) for number in range(NODES))
    words = np.zeros(WORDS, np.uint64)
    found = {
        "masking": _seconds(lambda: mask(words, 0, streams), repeats),
        "AES-256-CTR alone": _seconds(lambda: _keystreams(NODES), repeats),
        "copying": _seconds(lambda: words.copy(), repeats),
    }
    for name, seconds in found.items():
        print(f"{name:<18} {WORDS / seconds / 1e6:>8,.0f} M words/s  {found['masking'] / seconds:>6.1f}x")


def _keystreams(number: int) -> None:
    """As many bytes of keystream as masking takes, a MiB at a time."""
    piece, out = bytes(1 << 20), bytearray((1 << 20) + 15)
    for _ in range(number):
        encryptor = Cipher(algorithms.AES256(os.urandom(32)), modes.CTR(bytes(16))).encryptor()
        for _ in range(8 * WORDS >> 20):
            encryptor.update_into(piece, out)


def _seconds(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        taken.append(time.process_time() - start)
    return statistics.median(taken)


if __name__ == "__main__":
    main()
