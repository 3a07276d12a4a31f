"""The strongest independent loci of a stream of variants, exactly as if all rows were at hand."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.results.decimal_text import text_of_probability

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: A variant belongs to the locus of a stronger one within this many bases.
WINDOW_BASES = 500_000
TOP_LOCI = 20
#: Variants of a batch among which its strongest loci are looked for first.
_STRONG = 500


@dataclass(frozen=True)
class Locus:
    """The strongest variant of a locus."""

    chromosome: str
    position: int
    name: str
    ref: str
    alt: str
    effect_allele: str
    effect_allele_frequency: float
    people: int
    beta: float
    standard_error: float
    minus_log10_p: float

    @property
    def label(self) -> str:
        """The variant's name, or its place where it has none."""
        return self.name if self.name not in ("", ".") else f"{self.chromosome}:{self.position}"

    @property
    def p_text(self) -> str:
        """P with three significant digits, also where it is below the smallest double."""
        mantissa, _, exponent = text_of_probability(self.minus_log10_p).partition("e")
        return f"{float(mantissa):.3g}" + (f"e{exponent}" if exponent else "")


def greedy(chromosome: Integers, position: Integers, height: Reals, *, window: int, count: int) -> Integers:
    """Rows of the `count` strongest variants no two of which lie within `window` bases of each other.

    The strongest variant is taken, everything within the window of it leaves, and so on; of equals the first row.
    """
    order = np.argsort(-height, kind="stable")
    left = np.ones(len(order), np.bool_)
    picked: list[int] = []
    while len(picked) < count and left.any():
        row = int(order[np.argmax(left)])
        picked.append(row)
        near = (chromosome[order] == chromosome[row]) & (np.abs(position[order] - position[row]) <= window)
        left &= ~near
    return np.array(picked, np.int64)


class TopLoci:
    """Keeps the rows that can still matter for the `TOP_LOCI` strongest loci.

    Notes
    -----
    Let T be the strength of the weakest of 20 variants that lie more than two windows apart.  Each of them is picked
    by `greedy` or lies within one window of a stronger pick, and no pick is within one window of two of them.  So 20
    picks are at least as strong as T, and rows weaker than T change nothing.  T only grows, and rows below it are
    dropped.
    """

    def __init__(self) -> None:
        self._floor = 0.0
        self._rows: pa.Table | None = None
        self._keys = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))

    def add(self, rows: pa.Table, chosen: Integers, chromosome: Integers, position: Integers, height: Reals) -> None:
        """Add some rows in the order of the panel.

        Parameters
        ----------
        rows
            With the columns of a result.
        chosen
            Which of the rows, shape (row,).
        chromosome, position, height
            Of those, shape (row,); no height is NaN.
        """
        kept = np.flatnonzero(height >= max(self._floor, _floor_of(chromosome, position, height)))
        if not len(kept):
            return
        new = (chromosome[kept], position[kept], height[kept])
        self._keys = (
            np.concatenate([self._keys[0], new[0]]),
            np.concatenate([self._keys[1], new[1]]),
            np.concatenate([self._keys[2], new[2]]),
        )
        taken = rows.select(_LOCUS_COLUMNS).take(pa.array(chosen[kept]))
        self._rows = taken if self._rows is None else pa.concat_tables([self._rows, taken]).combine_chunks()
        self._raise_floor()

    def loci(self) -> tuple[Locus, ...]:
        """The strongest loci, best first."""
        if self._rows is None:
            return ()
        best = greedy(*self._keys, window=WINDOW_BASES, count=TOP_LOCI)
        return tuple(_locus(row) for row in self._rows.take(pa.array(best)).to_pylist())

    def _raise_floor(self) -> None:
        floor = _floor_of(*self._keys)
        if floor <= self._floor or self._rows is None:
            return
        self._floor = floor
        kept = np.flatnonzero(self._keys[2] >= self._floor)
        self._keys = (self._keys[0][kept], self._keys[1][kept], self._keys[2][kept])
        self._rows = self._rows.take(pa.array(kept))


def _floor_of(chromosome: Integers, position: Integers, height: Reals) -> float:
    """Strength of the weakest of 20 variants that lie more than two windows apart, 0 where there are not so many."""
    strong = np.arange(len(height))
    if len(height) > _STRONG:
        # The strongest hold 20 that are apart, unless there are blocks of many strong ones.
        strong = np.flatnonzero(height >= np.partition(height, -_STRONG)[-_STRONG])
    for some in (strong, slice(None)):
        heights = height[some]
        witnesses = greedy(chromosome[some], position[some], heights, window=2 * WINDOW_BASES, count=TOP_LOCI)
        if len(witnesses) == TOP_LOCI:
            return float(heights[witnesses[-1]])
        if len(strong) == len(height):
            break
    return 0.0


_LOCUS_COLUMNS = ["CHROM", "POS", "ID", "REF", "ALT", "A1", "A1_FREQ", "OBS_CT", "BETA", "SE", "LOG10P"]


def _locus(row: dict[str, object]) -> Locus:
    texts = [str(row[name] or "") for name in ("CHROM", "ID", "REF", "ALT", "A1")]
    position, people = (int(str(row[name] or 0)) for name in ("POS", "OBS_CT"))
    reals = [float("nan" if row[name] is None else str(row[name])) for name in ("A1_FREQ", "BETA", "SE", "LOG10P")]
    return Locus(texts[0], position, texts[1], texts[2], texts[3], texts[4], reals[0], people, *reals[1:])
