"""The compiled loops under `packed`: nothing here allocates, and all of it runs without the interpreter's lock.

Codes of a call, low bit first: 00 = two first alleles, 01 (low bit set) = missing, 10 (high bit set) = one, 11 = none.
"""

from collections.abc import Callable
from functools import cache

import numba as nb
import numpy as np
import numpy.typing as npt

from fedstats.arrays import Counts, Fixed, Indices, Reals
from fedstats.kernels.simd import add_four_rows, add_row, lowest_bit, popcount, word_at
from fedstats.kernels.vectors import LANES

LOW_BITS = np.uint64(0x5555555555555555)
ONE = np.uint64(1)

#: What a bit scan adds: the column of people with a missing call, or dosage times column for one of the alleles.
MISSING, FIRST_ALLELE, SECOND_ALLELE = 0, 1, 2

Words = npt.NDArray[np.uint64]
Bytes = npt.NDArray[np.uint8]
HalfWords = npt.NDArray[np.uint32]


@nb.njit(nogil=True, cache=True)
def gather(packed: Bytes, rows: Indices, out: Bytes) -> None:
    """Copy rows of `packed` to the start of the rows of `out`, shape (variant, byte), and clear what lies behind."""
    length = packed.shape[1]
    for number in range(len(rows)):
        row = rows[number]
        for at in range(length):
            out[number, at] = packed[row, at]
        for at in range(length, out.shape[1]):
            out[number, at] = 0


@nb.njit(nogil=True, cache=True)
def _last_word(packed: Bytes, row: int, first: int) -> np.uint64:
    """The bytes of a row from `first` on, fewer than eight."""
    word = np.uint64(0)
    for at in range(first, packed.shape[1]):
        word |= np.uint64(packed[row, at]) << np.uint64(8 * (at - first))
    return word


@nb.njit(nogil=True, cache=True)
def count_calls(packed: Bytes, rows: Indices, keep: Words, people: int, counts: Counts) -> None:
    """Called, heterozygous, and homozygous for the first allele, into `counts` of shape (variant, 3).

    Rows are read where they lie in the file, word by word, and past the last whole word byte by byte.
    """
    length = packed.shape[1]
    whole = length // 8
    end = min(whole, len(keep) - 1)  # of no matter where rows end with a whole word
    first = packed.ctypes.data
    for variant in range(len(rows)):
        start = first + rows[variant] * length
        missing = np.uint64(0)
        heterozygous = np.uint64(0)
        other = np.uint64(0)
        for at in range(whole):
            word = word_at(start + 8 * at)
            low = word & keep[at]
            high = (word >> ONE) & keep[at]
            missing += popcount(low & ~high)
            heterozygous += popcount(high & ~low)
            other += popcount(low & high)
        word = _last_word(packed, rows[variant], 8 * whole)
        low = word & keep[end]
        high = (word >> ONE) & keep[end]
        missing += popcount(low & ~high)
        heterozygous += popcount(high & ~low)
        other += popcount(low & high)
        counts[variant, 0] = people - np.int64(missing)
        counts[variant, 1] = np.int64(heterozygous)
        counts[variant, 2] = people - np.int64(missing + heterozygous + other)


@nb.njit(nogil=True, cache=True)
def _chosen_calls(word: np.uint64, keep: np.uint64, what: int) -> tuple[np.uint64, np.uint64]:
    """Low bits of the calls that a scan visits once, and of those that it counts twice."""
    low = word & keep
    high = (word >> ONE) & keep
    if what == MISSING:
        return low & ~high, np.uint64(0)
    if what == FIRST_ALLELE:
        return high & ~low, keep & ~(low | high)
    return high & ~low, low & high


@nb.njit(nogil=True, cache=True)
def missing_products(words: Words, keep: Words, columns: Reals, first: int, last: int, products: Reals) -> None:
    """Add x x' of every person with a missing call to `products` of shape (variant, column, column).

    Of rows from `first` to `last`, only the diagonal and columns from `last` on; of later rows, only those columns.
    """
    width = columns.shape[1]
    for variant in range(words.shape[0]):
        for at in range(words.shape[1]):
            missing = words[variant, at] & keep[at] & ~(words[variant, at] >> ONE)
            while missing:
                person = 32 * at + (np.int64(lowest_bit(missing)) >> 1)
                missing &= missing - ONE
                for a in range(first):
                    value = columns[person, a]
                    for b in range(width):
                        products[variant, a, b] += value * columns[person, b]
                for a in range(first, last):
                    products[variant, a, a] += columns[person, a] * columns[person, a]
                for a in range(first, width):
                    value = columns[person, a]
                    for b in range(last, width):
                        products[variant, a, b] += value * columns[person, b]


@cache
def scan_kernel(width: int) -> Callable[[Words, Words, Indices, Fixed, Fixed, int], None]:
    """The bit scan for `width` columns, a multiple of eight; compiled once for each width, kept on disk."""
    vectors = width // LANES
    row = width * 8

    @nb.njit(nogil=True, cache=True)
    def scan(words: Words, keep: Words, chosen: Indices, z: Fixed, sums: Fixed, what: int) -> None:
        for number in range(len(chosen)):
            variant = chosen[number]
            target = sums.ctypes.data + variant * row
            for at in range(words.shape[1]):
                once, twice = _chosen_calls(words[variant, at], keep[at], what)
                visit = once | twice
                while visit:
                    bit = visit & (~visit + ONE)
                    source = z.ctypes.data + (32 * at + (np.int64(lowest_bit(visit)) >> 1)) * row
                    visit &= visit - ONE
                    for vector in range(vectors):
                        add_row(target + 64 * vector, source + 64 * vector)
                    if twice & bit:
                        for vector in range(vectors):
                            add_row(target + 64 * vector, source + 64 * vector)

    return scan


@nb.njit(nogil=True, cache=True)
def _build_tables(z: Fixed, first: int, tables: Fixed) -> None:
    """Tables of four byte positions: what each byte adds, for the sixteen people from `first` on."""
    width = z.shape[1]
    for position in range(4):
        start = first + 4 * position
        table = tables[position]
        for column in range(width):
            table[0, column] = 2 * (
                z[start, column] + z[start + 1, column] + z[start + 2, column] + z[start + 3, column]
            )
        size = 1
        for person in range(start, start + 4):
            # Against code 00 (dosage 2): 01 and 11 add nothing, 10 adds one.
            for entry in range(size):
                for column in range(width):
                    none = table[entry, column] - 2 * z[person, column]
                    table[size + entry, column] = none
                    table[2 * size + entry, column] = none + z[person, column]
                    table[3 * size + entry, column] = none
            size *= 4


@cache
def table_kernel(width: int) -> Callable[[HalfWords, Indices, Fixed, Fixed, HalfWords, Fixed], None]:
    """The byte-table sums for `width` columns, a multiple of eight; compiled once for each width, kept on disk."""
    vectors = width // LANES
    row = width * 8
    table = 256 * row

    @nb.njit(nogil=True, cache=True)
    def add(words: HalfWords, chosen: Indices, z: Fixed, tables: Fixed, lines: HalfWords, sums: Fixed) -> None:
        t = tables.ctypes.data
        for line in range(0, words.shape[1], 16):
            # A cache line of each variant is turned at a time, so that the loop below reads in order.
            for number in range(len(chosen)):
                for at in range(16):
                    lines[at, number] = words[chosen[number], line + at]
            for at in range(16):
                _build_tables(z, 16 * (line + at), tables)
                for number in range(len(chosen)):
                    word = np.int64(lines[at, number])
                    s0 = t + (word & 255) * row
                    s1 = t + table + ((word >> 8) & 255) * row
                    s2 = t + 2 * table + ((word >> 16) & 255) * row
                    s3 = t + 3 * table + (word >> 24) * row
                    target = sums.ctypes.data + chosen[number] * row
                    for vector in range(vectors):
                        o = 64 * vector
                        add_four_rows((target + o, s0 + o, s1 + o, s2 + o, s3 + o))

    return add
