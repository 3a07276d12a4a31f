"""The points of a Manhattan plot, thinned so that the plot looks as it would with all of them."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: One point is kept per cell of this many bases ...
CELL_BASES = 3_000_000
#: ... and this much −log10 P, which is less than the height of a dot.
CELL_HEIGHT = 0.05
#: Points this high are all kept, up to so many of the highest.
HIGH = 5.0
HIGH_POINTS = 20_000

_POSITION_CELLS = 128  # of 3 Mb: longer than any human chromosome; what lies beyond shares the last one
_HEIGHT_CELLS = 256


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

    def of(self, names: npt.NDArray[np.object_]) -> Integers:
        """The code of each name; `names` are the distinct ones of a chunk."""
        self.names.extend(str(name) for name in names if name not in self.names)
        return np.array([self.names.index(name) for name in names], np.int64)


class ManhattanThinner:
    """Keeps the first point of every cell, and the highest points besides."""

    def __init__(self) -> None:
        self._taken: list[npt.NDArray[np.bool_]] = []  # per chromosome, (position cell x height cell,)
        self._lengths: list[int] = []
        self._low: list[tuple[Integers, Integers, Reals]] = []
        self._high = (np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.float64))

    def add(self, chromosome: Integers, position: Integers, height: Reals) -> None:
        """Add points in the order of the panel; `chromosome` are codes from 0."""
        if not len(height):
            return
        self._make_room(int(chromosome.max()) + 1)
        high = height >= HIGH
        self._keep_highest(chromosome[high], position[high], height[high])
        cell = _cell(position, height)
        for code in np.unique(chromosome):
            here = np.flatnonzero(chromosome == code)
            self._lengths[code] = max(self._lengths[code], int(position[here].max()))
            cells, first = np.unique(cell[here], return_index=True)
            fresh = ~self._taken[code][cells]
            self._taken[code][cells] = True
            kept = here[np.sort(first[fresh])]
            self._low.append((chromosome[kept], position[kept], height[kept]))

    def points(self, chromosomes: tuple[str, ...]) -> Points:
        """All points kept; a high one may be there twice, at the same place."""
        parts = [*self._low, self._high]
        chromosome, position, height = (np.concatenate([part[k] for part in parts]) for k in range(3))
        self._make_room(len(chromosomes))
        return Points(chromosomes, tuple(self._lengths), chromosome, position, height)

    def _make_room(self, chromosomes: int) -> None:
        while len(self._lengths) < chromosomes:
            self._taken.append(np.zeros(_POSITION_CELLS * _HEIGHT_CELLS, np.bool_))
            self._lengths.append(0)

    def _keep_highest(self, chromosome: Integers, position: Integers, height: Reals) -> None:
        new = (chromosome, position, height)
        joined = tuple(np.concatenate([old, add]) for old, add in zip(self._high, new, strict=True))
        kept = np.sort(np.argsort(-joined[2], kind="stable")[:HIGH_POINTS])
        self._high = (joined[0][kept], joined[1][kept], joined[2][kept])


def _cell(position: Integers, height: Reals) -> Integers:
    """The cell of each point; beyond −log10 P = 10 cells grow with the height, as the axis does."""
    linear = np.minimum(height, 10.0) / CELL_HEIGHT
    beyond = np.log(np.maximum(height, 10.0) / 10.0) * 12.0
    level = np.minimum(linear + beyond, _HEIGHT_CELLS - 1).astype(np.int64)
    return np.minimum(position // CELL_BASES, _POSITION_CELLS - 1) * _HEIGHT_CELLS + level
