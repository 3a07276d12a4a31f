"""Sums over packed genotypes: tiles or byte tables for called genotypes, bit scans for missing ones, bit counts.

A packed byte holds four genotypes. For every position of a byte a table of 256 rows says what each value of the
byte adds to the sums of all columns, so that a variant costs one vector addition for four genotypes ("four
Russians"). The table is built once for a block of variants. Processors that multiply tiles of bytes need no tables
(`tiled_sums`). Sums are int64 fixed point: exact, in any order, so either way gives the same integers.

Rows of people who are out are zero in the columns, and no bit of theirs is set in a keep mask;
the same holds for the calls of nobody that fill the last byte. So nothing is ever repacked.

This module imports numba, which takes half a second: a local step imports it when it runs, so that the
coordinator, which runs none, never pays for it.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Counts, Fixed, Indices, Reals
from fedstats.genotypes import PackedBlock
from fedstats.kernels import aligned, tiled_sums
from fedstats.kernels import packed_loops as loops
from fedstats.kernels.vectors import LANES

Words = npt.NDArray[np.uint64]

#: Below this share of people who carry an allele, visiting carriers one by one is cheaper than byte tables.
CARRIER_SHARE = 0.02
_CALLS_PER_WORD = 32


@dataclass(frozen=True)
class CallCounts:
    """Calls of the people in a mask, each of shape (variant,), for the alleles as the panel has them."""

    called: Counts
    heterozygous: Counts
    homozygous_alternative: Counts

    @property
    def dosage(self) -> Counts:
        """Number of ALT alleles, as the file's 0, 1 and 2."""
        return self.heterozygous + 2 * self.homozygous_alternative


def genotype_words(block: PackedBlock) -> Words:
    """A copy of the block in 64-bit words, 32 calls each, zero past the last byte; shape (variant, word)."""
    packed = _only_read(block.packed)
    words = aligned.as_found((len(block), -(-packed.shape[1] // 64) * 8), np.uint64)
    loops.gather(packed, block.rows, words.view(np.uint8))
    return words


def _only_read(packed: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The same bytes as a mapped file gives them, so that one compiled loop serves all."""
    view = np.ascontiguousarray(packed).view(np.ndarray)
    view.flags.writeable = False
    return view


def keep_words(people: Bools) -> Words:
    """A mask with the lower bit of each person's call set where the person is in, shape (word,)."""
    words = -(-len(people) // 256) * 8
    bits = np.zeros((words * _CALLS_PER_WORD, 2), np.uint8)
    bits[: len(people), 0] = people
    return np.packbits(bits.reshape(-1), bitorder="little").view(np.uint64)


def genotype_counts(block: PackedBlock, people: Bools) -> CallCounts:
    """Called, heterozygous and homozygous alternative calls among `people`, by bit counts, without a copy."""
    counts = np.empty((len(block), 3), np.int64)
    loops.count_calls(_only_read(block.packed), block.rows, keep_words(people), int(people.sum()), counts)
    called, heterozygous, first = counts.T
    alternative = np.where(block.swap, called - heterozygous - first, first)
    return CallCounts(called.copy(), heterozygous.copy(), alternative)


@dataclass(frozen=True, eq=False)
class PackedColumns:
    """Columns of a cohort as the kernels read them, the same for every block.

    Attributes
    ----------
    width
        Number of columns, padding apart.
    values
        People padded to whole lines of words, columns to whole vectors, aligned, shape (padded person, padded column).
    keep
        Mask of the people who are in, shape (word,).
    people
        How many are in.
    whole
        Sums of the columns, shape (padded column,).
    tiled
        The same columns cut into bytes, where the processor multiplies tiles of those.
    """

    width: int
    values: Fixed
    keep: Words
    people: int
    whole: Fixed
    tiled: tiled_sums.TiledColumns | None


def packed_columns(columns: Fixed, people: Bools) -> PackedColumns:
    """Prepare fixed-point columns, shape (person, column) and zero for people who are out."""
    count, width = columns.shape
    padded = aligned.zeros((-(-count // 256) * 256, max(LANES, -(-width // LANES) * LANES)), np.int64)
    padded[:count, :width] = columns
    whole, tiled = padded.sum(axis=0), tiled_sums.tiled_columns(columns)
    return PackedColumns(width, padded, keep_words(people), int(people.sum()), whole, tiled)


@dataclass(frozen=True, eq=False)
class PackedSums:
    """Sums of a block, in the units of the columns.

    Attributes
    ----------
    called
        Sums of dosage times column over called people, shape (variant, column).
    lacking
        Variants with a missing call, as positions in the block, shape (lacking variant,).
    lacking_sums
        Sums of the columns over people with a missing call, shape (lacking variant, column).
    """

    called: Fixed
    lacking: Indices
    lacking_sums: Fixed

    @property
    def missing(self) -> Fixed:
        """Sums of the columns over people with a missing call for all variants, shape (variant, column)."""
        spread = np.zeros_like(self.called)
        spread[self.lacking] = self.lacking_sums
        return spread

    def imputed(self, mean: Reals) -> Fixed:
        """Sums of dosage times column where missing calls are the variant's mean, rounded once, shape of `called`."""
        sums = self.called.copy()
        sums[self.lacking] += np.rint(mean[self.lacking, None] * self.lacking_sums).astype(np.int64)
        return sums


def called_and_missing_sums(block: PackedBlock, words: Words, columns: PackedColumns) -> PackedSums:
    """Sums of dosage times column over called people, and of the column over people with a missing call.

    Parameters
    ----------
    block, words
        The block, and its `genotype_words`.
    columns
        The columns with the people who are in.
    """
    counts = np.empty((len(words), 3), np.int64)
    # The copy lies in the cache already, and has no last bytes to put together.
    every = np.arange(len(words))
    loops.count_calls(_only_read(words.view(np.uint8)), every, columns.keep, columns.people, counts)
    lacking = np.flatnonzero(counts[:, 0] < columns.people)
    missing = _missing_sums(words, columns, lacking)
    called = _called_sums(words, columns, counts, missing)
    swapped = np.flatnonzero(block.swap)
    if len(swapped):
        # With the alleles turned every called dosage is 2 - dosage.
        called[swapped] = 2 * (columns.whole - missing[swapped]) - called[swapped]
    width = columns.width
    return PackedSums(called[:, :width], lacking, missing[lacking, :width])


def _missing_sums(words: Words, columns: PackedColumns, lacking: Indices) -> Fixed:
    z = columns.values
    sums = aligned.zeros((len(words), z.shape[1]), np.int64)
    if len(lacking):
        loops.scan_kernel(z.shape[1])(words, columns.keep, lacking, z, sums, loops.MISSING)
    return sums


def _called_sums(words: Words, columns: PackedColumns, counts: Counts, missing: Fixed) -> Fixed:
    """Sums over called people of the dosage of the file's first allele, by whichever path is cheaper."""
    if columns.tiled is not None:
        tiled = aligned.zeros((len(words), columns.values.shape[1]), np.int64)
        tiled_sums.add_tiled_sums(words, columns.tiled, tiled)
        return tiled
    return _called_sums_by_tables(words, columns, counts, missing)


def _called_sums_by_tables(words: Words, columns: PackedColumns, counts: Counts, missing: Fixed) -> Fixed:
    """The same, of rare alleles by a walk to those who carry them."""
    z, keep = columns.values, columns.keep
    called, heterozygous, first = counts.T
    limit = CARRIER_SHARE * words.shape[1] * _CALLS_PER_WORD
    few_first = heterozygous + first < limit
    few_second = ~few_first & (called - first < limit)
    common = np.flatnonzero(~few_first & ~few_second)
    sums = aligned.zeros((len(words), z.shape[1]), np.int64)
    scan = loops.scan_kernel(z.shape[1])
    if few_first.any():
        scan(words, keep, np.flatnonzero(few_first), z, sums, loops.FIRST_ALLELE)
    if few_second.any():
        scan(words, keep, np.flatnonzero(few_second), z, sums, loops.SECOND_ALLELE)
        # The scan summed dosages of the second allele; those of the first are 2 minus them, where called.
        sums[few_second] = 2 * (columns.whole - missing[few_second]) - sums[few_second]
    if len(common):
        half_words = words.view(np.uint32)
        tables = aligned.as_found((4, 256, z.shape[1]), np.int64)
        lines = np.empty((16, len(common)), np.uint32)
        loops.table_kernel(z.shape[1])(half_words, common, z, tables, lines, sums)
    return sums


def missing_cross_products(words: Words, people: Bools, columns: Reals, alone: slice) -> Reals:
    """Sums over people with a missing call of products of columns, shape (variant, column, column).

    Parameters
    ----------
    words, people
        The block's `genotype_words`, and who is in.
    columns
        Real, shape (person, column), zero for people who are out.
    alone
        Columns whose products with each other nobody needs: their rows, and those below, hold only the diagonal and
        the columns after them; the rest is left zero, or stands in the rows above.
    """
    products = np.zeros((len(words), columns.shape[1], columns.shape[1]))
    first, last, _ = alone.indices(columns.shape[1])
    loops.missing_products(words, keep_words(people), np.ascontiguousarray(columns), first, last, products)
    return products
