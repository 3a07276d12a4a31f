"""What the summary of a trait takes from columns that all traits of a model share, worked out once for all of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Bools = npt.NDArray[np.bool_]
Integers = npt.NDArray[np.int64]
Reals = npt.NDArray[np.float64]

#: Rows with fewer minor alleles are left out of lambda GC and of the quantile-quantile plot.
MINOR_ALLELE_COUNT = 20


@dataclass(frozen=True, eq=False)
class Facts:
    """Of some rows of a batch, shape (row,) each.

    Attributes
    ----------
    rows
        Which rows of the batch, ascending.
    chromosome, chromosomes
        A number for each row, and the names that they stand for, in the order in which they come.
    position
        In bases.
    frequent
        Whether there are `MINOR_ALLELE_COUNT` minor alleles.
    people
        The largest OBS_CT of any of the rows.
    """

    rows: Integers
    chromosome: Integers
    chromosomes: Sequence[str]
    position: Integers
    frequent: Bools
    people: int


class SharedFacts:
    """Facts of a batch; traits mostly have estimates in the same rows, so that the last answer is remembered."""

    def __init__(self, table: pa.Table) -> None:
        """Of a table with the columns that traits share."""
        self._table = table
        self._last: Facts | None = None

    def of(self, rows: Integers) -> Facts:
        """Facts of some rows, at least one."""
        if self._last is None or not np.array_equal(self._last.rows, rows):
            self._last = _facts(self._table, rows)
        return self._last


def _facts(table: pa.Table, rows: Integers) -> Facts:
    chromosome, names = _chromosomes(table["CHROM"], rows)
    return Facts(
        rows=rows,
        chromosome=chromosome,
        chromosomes=names,
        position=table["POS"].to_numpy()[rows],
        frequent=_minor_alleles(table)[rows] >= MINOR_ALLELE_COUNT,
        people=int(table["OBS_CT"].fill_null(0).to_numpy()[rows].max()),
    )


def _chromosomes(column: pa.ChunkedArray, rows: Integers) -> tuple[Integers, list[str]]:
    """The number of each row's chromosome in the order in which they come, and their names."""
    encoded = coded(column)
    indices: Integers = encoded.indices.to_numpy(zero_copy_only=False)[rows].astype(np.int64)
    # A panel is in order, so that chromosomes come in runs.
    runs = indices[np.flatnonzero(np.diff(indices, prepend=-1))]
    occurring, first = np.unique(runs, return_index=True)
    occurring = occurring[np.argsort(first)]
    numbers = np.zeros(len(encoded.dictionary), np.int64)
    numbers[occurring] = np.arange(len(occurring))
    return numbers[indices], encoded.dictionary.take(pa.array(occurring)).to_pylist()


def coded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    """A column of few levels as codes."""
    whole = column.combine_chunks()
    return whole if isinstance(whole, pa.DictionaryArray) else whole.dictionary_encode()


def _minor_alleles(table: pa.Table) -> Reals:
    """Minor allele count of each row; the number of alleles is A1_CT / A1_FREQ, which holds on X and MT too."""
    frequency = table["A1_FREQ"].to_numpy()
    count = table["A1_CT"].cast(pa.float64()).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        other = count * (1.0 - frequency) / frequency
    return np.where(frequency > 0, np.minimum(count, other), 0.0)
