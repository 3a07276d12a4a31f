"""Strips of people and tiles of variants for the kernels of logistic fits: what is worked on stays in cache."""

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Reals
from fedstats.genotypes import DOSAGE_OF_CODE, PackedBlock
from fedstats.kernels import aligned

#: Most people of a strip: what loops compute of them for one variant lies in the first cache of a core.
MOST_PEOPLE = 256
#: Variants whose weights in a strip are kept, to be multiplied with products of columns together.
TILE_VARIANTS = 64

#: Loops like lengths that fill whole vectors, and strips begin with whole bytes of calls.
LANES = 8

_Scalar = TypeVar("_Scalar", bound=np.generic)


def strips(people: int) -> tuple[int, int]:
    """How many strips so many people take, and people of each, few of them empty places."""
    number = max(1, -(-people // MOST_PEOPLE))
    return number, max(LANES, padded(-(-people // number), LANES))


def tile_of(variants: int) -> int:
    """Variants of a tile for so many: few take no more room than they fill."""
    return min(TILE_VARIANTS, max(LANES, padded(variants, LANES)))


def padded(length: int, multiple: int) -> int:
    """The next multiple."""
    return -(-length // multiple) * multiple


def lengthened(values: npt.NDArray[_Scalar], length: int) -> npt.NDArray[_Scalar]:
    """The values with zeros behind them, aligned."""
    longer = aligned.zeros((length,), values.dtype.type)
    longer[: len(values)] = values
    return longer


def tiled_calls(block: PackedBlock, rows: int, people: int) -> npt.NDArray[np.uint8]:
    """The block's bytes with rows and columns to fill whole tiles; calls of nobody have weight zero there."""
    raw = block.bytes()
    filled = np.zeros((rows, people // 4), np.uint8)
    filled[: len(raw), : raw.shape[1]] = raw
    return filled


def _dosages() -> Reals:
    """Dosage by file order and byte, shape (2, 256, 4), missing as zero."""
    codes = np.array([[(byte >> shift) & 3 for shift in (0, 2, 4, 6)] for byte in range(256)])
    dosage = DOSAGE_OF_CODE[codes].astype(np.float64)
    missing = dosage < 0
    return np.stack([np.where(missing, 0.0, dosage), np.where(missing, 0.0, 2.0 - dosage)])


DOSAGES = _dosages()
