"""The points of a Manhattan plot, thinned so that the plot looks as it would with all of them."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: One point is kept per cell of so many bases (doubled while more than `CELL_POINTS` cells are taken) ...
FINEST_CELL_BASES = 25_000
CELL_POINTS = 100_000
#: ... and this much −log10 P, which is less than the height of a dot.
CELL_HEIGHT = 0.05
#: Points this high are all kept, up to so many of the highest.
HIGH = 5.0
HIGH_POINTS = 20_000

_MERGE_POINTS = 200_000  # points that wait before they are thinned together
#: Of the number of a cell. No position is beyond 2^31, which is less than 2^17 of the narrowest cells.
_HEIGHT_BITS, _PLACE_BITS = 10, 17
_MOST_CELL_BITS = 30  # cells grow no further
_NO_POINTS = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))

Columns = tuple[Integers, Integers, Reals]


@dataclass(frozen=True, eq=False)
class Points:
    """Points of a Manhattan plot, all arrays of shape (point,).

    `chromosome` indexes `chromosomes`, whose `lengths` are the largest positions seen.
    """

    chromosomes: tuple[str, ...]
    lengths: tuple[int, ...]
    chromosome: Integers
    position: Integers
    height: Reals

    def __len__(self) -> int:
        return len(self.height)


@dataclass
class ChromosomeCodes:
    """Chromosomes in the order in which they were first seen."""

    names: list[str] = field(default_factory=list)

    def of(self, names: Sequence[str]) -> Integers:
        """The code of each name; `names` are the distinct ones of a chunk."""
        self.names.extend(name for name in names if name not in self.names)
        return np.array([self.names.index(name) for name in names], np.int64)


class ManhattanThinner:
    """Keeps the first point of every cell, and the highest points besides.

    The first point of a wide cell is the first of one of the narrow cells in it, and the number of cells taken only
    grows; so what is kept in the end does not depend on how the stream was cut.
    """

    def __init__(self) -> None:
        self.cell_bases = FINEST_CELL_BASES
        self._lengths: list[int] = []
        self._kept: Columns = _NO_POINTS
        self._waiting: list[Columns] = []
        self._waiting_points = 0
        self._highest: Columns = _NO_POINTS

    def add(self, chromosome: Integers, position: Integers, height: Reals) -> None:
        """Add points in the order of the panel; `chromosome` are codes from 0."""
        if not len(height):
            return
        self._note_lengths(chromosome, position)
        high = height >= HIGH
        self._keep_highest((chromosome[high], position[high], height[high]))
        self._waiting.append((chromosome, position, height))
        self._waiting_points += len(height)
        if self._waiting_points >= _MERGE_POINTS:
            self._merge()

    def points(self, chromosomes: tuple[str, ...]) -> Points:
        """All points kept; a high one may be there twice, at the same place."""
        self._merge()
        return Points(chromosomes, tuple(self._lengths), *_joined([self._kept, self._highest]))

    def _merge(self) -> None:
        points = _joined([self._kept, *self._waiting])
        self._waiting, self._waiting_points = [], 0
        first = _first_of_cells(points, self.cell_bases)
        while len(first) > CELL_POINTS and self.cell_bases < 1 << _MOST_CELL_BITS:
            self.cell_bases *= 2
            first = _first_of_cells(points, self.cell_bases)
        self._kept = _rows(points, first)

    def _note_lengths(self, chromosome: Integers, position: Integers) -> None:
        self._lengths.extend([0] * (int(chromosome.max()) + 1 - len(self._lengths)))
        # A panel is in order: a chromosome is one run of rows.
        starts = np.flatnonzero(np.diff(chromosome, prepend=-1))
        for code, length in zip(chromosome[starts], np.maximum.reduceat(position, starts), strict=True):
            self._lengths[code] = max(self._lengths[code], int(length))

    def _keep_highest(self, new: Columns) -> None:
        joined = _joined([self._highest, new])
        self._highest = _rows(joined, np.sort(np.argsort(-joined[2], kind="stable")[:HIGH_POINTS]))


def _first_of_cells(points: Columns, cell_bases: int) -> Integers:
    """Rows of the first point in each cell, ascending."""
    chromosome, position, height = points
    # Above −log10 P = 10 cells grow with the height.
    level = np.minimum(height, 10.0) / CELL_HEIGHT + 50.0 * np.log(np.maximum(height, 10.0) / 10.0)
    level = np.minimum(level, (1 << _HEIGHT_BITS) - 1)
    place: Integers = (chromosome << _PLACE_BITS) | (position // cell_bases)
    cell = (place << _HEIGHT_BITS) | level.astype(np.int64)
    # Numbers are sorted sooner than rows by number: the row is the end of the number.
    row_bits = len(cell).bit_length()
    ordered = np.sort((cell << row_bits) | np.arange(len(cell)))
    begins = np.diff(ordered >> row_bits, prepend=-1) != 0
    return np.sort(ordered[begins] & ((1 << row_bits) - 1))


def _joined(parts: list[Columns]) -> Columns:
    chromosome, position, height = zip(*parts, strict=True)
    return np.concatenate(chromosome), np.concatenate(position), np.concatenate(height)


def _rows(points: Columns, rows: Integers) -> Columns:
    return points[0][rows], points[1][rows], points[2][rows]
