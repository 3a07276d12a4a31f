"""Tiles of variants x people for the kernels of logistic fits: small enough that all of a tile stays in cache.

Calls become dosages and weights here, one variant of a tile at a time.
"""

from typing import TypeVar

import numba as nb
import numpy as np
import numpy.typing as npt

from fedstats.arrays import Reals
from fedstats.genotypes import DOSAGE_OF_CODE, PackedBlock

#: Variants of a tile, and most people of one.
TILE_VARIANTS = 64
MOST_PEOPLE = 512

#: Loops and matrix products like lengths that fill whole vectors, and tiles begin with whole bytes of calls.
LANES = 8

_Scalar = TypeVar("_Scalar", bound=np.generic)


def tiling(people: int) -> tuple[int, int]:
    """How many tiles so many people take, and people of each, few of them empty places."""
    tiles = max(1, -(-people // MOST_PEOPLE))
    return tiles, max(LANES, padded(-(-people // tiles), LANES))


def padded(length: int, multiple: int) -> int:
    """The next multiple."""
    return -(-length // multiple) * multiple


def lengthened(values: npt.NDArray[_Scalar], length: int) -> npt.NDArray[_Scalar]:
    """The values with zeros behind them."""
    longer = np.zeros(length, values.dtype)
    longer[: len(values)] = values
    return longer


def tiled_calls(block: PackedBlock, rows: int, people: int) -> npt.NDArray[np.uint8]:
    """The block's bytes with rows and columns to fill whole tiles; calls of nobody have weight zero there."""
    raw = block.bytes()
    filled = np.zeros((rows, people // 4), np.uint8)
    filled[: len(raw), : raw.shape[1]] = raw
    return filled


def _tables() -> tuple[Reals, Reals]:
    """Dosage by file order and byte, shape (2, 256, 4), missing as zero; and who is missing, shape (256, 4)."""
    codes = np.array([[(byte >> shift) & 3 for shift in (0, 2, 4, 6)] for byte in range(256)])
    dosage = DOSAGE_OF_CODE[codes].astype(np.float64)
    missing = dosage < 0
    straight, swapped = np.where(missing, 0.0, dosage), np.where(missing, 0.0, 2.0 - dosage)
    return np.stack([straight, swapped]), missing.astype(np.float64)


DOSAGES, MISSING = _tables()


@nb.njit(nogil=True, cache=True)
def decode(packed, dosages, missing, imputed, dropped, keep, g, mask):  # type: ignore[no-untyped-def]  # numba infers
    """Dosages and weights of one variant's calls of one tile; whether anybody is missing decides the slow half."""
    some = 0
    for k in range(packed.shape[0]):
        byte = packed[k]
        d0, d1, d2, d3 = dosages[byte, 0], dosages[byte, 1], dosages[byte, 2], dosages[byte, 3]
        g[4 * k] = d0
        g[4 * k + 1] = d1
        g[4 * k + 2] = d2
        g[4 * k + 3] = d3
        some |= byte & ~(byte >> 1) & 0x55
    for i in range(g.shape[0]):
        mask[i] = keep[i]
    if some:
        for k in range(packed.shape[0]):
            byte = packed[k]
            if byte & ~(byte >> 1) & 0x55:
                for s in range(4):
                    g[4 * k + s] += missing[byte, s] * imputed
                    mask[4 * k + s] *= 1.0 - missing[byte, s] * dropped
