"""Sums of dosage times column as products of bytes, exact: columns are cut into digits, and sums put together again.

A fixed-point number is a sum of digits from -128 to 127, each times a power of 256, so that a sum over people is one
of small products for every digit. The sums are the integers that byte tables give, whatever the order.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from fedstats.arrays import Fixed
from fedstats.kernels import aligned
from fedstats.kernels.simd import use_whole_vectors
from fedstats.kernels.tiles import (
    AT_ONCE,
    ROWS,
    TILE_BYTES,
    add_products,
    begin_tiles,
    configuration,
    end_tiles,
    load_sums,
    spread_dosages,
    store_sums,
    usable,
)

Words = npt.NDArray[np.uint64]
Digits = npt.NDArray[np.int8]
Bytes = npt.NDArray[np.uint8]
Products = npt.NDArray[np.int32]

#: Up to so many people a sum of dosages times digits, 256 a person at most, fits 32 bits.
MOST_PEOPLE = 2**23 - 1

#: A line of 64 packed bytes, as long as a row of a tile, holds the calls of so many people.
#: They are multiplied in four steps, one for each call of a byte.
_PEOPLE_OF_LINE = 256
_STEPS_OF_LINE = 4
#: Lines whose dosages lie spread at a time; with the digits of two tiles of columns they fill a first-level cache.
_LINES_AT_ONCE = 2
#: Variants whose sums of digits are kept before they are put together: with the digits they fit a second-level cache.
_VARIANTS_AT_ONCE = 256
_STEP_BYTES = 2 * TILE_BYTES
_PEOPLE_OF_STRIP = _LINES_AT_ONCE * _PEOPLE_OF_LINE


@dataclass(frozen=True, eq=False)
class TiledColumns:
    """Columns as digits, in the order in which tiles read them.

    Attributes
    ----------
    width, places
        Number of columns, and of digits in each of their numbers.
    digits
        The digits by strips of people, pairs of tiles of columns, steps of 64 people, tile and byte.
        Columns lie by place, then by number; shape (strip, pair, step, 2 * 1024).
    """

    width: int
    places: int
    digits: Digits


def tiled_columns(columns: Fixed) -> TiledColumns | None:
    """Cut columns, shape (person, column), into digits; nothing where this machine cannot multiply tiles of them."""
    people, width = columns.shape
    if not usable() or people > MOST_PEOPLE:
        return None
    places = _places_of(columns)
    strips, pairs = -(-people // _PEOPLE_OF_STRIP), -(-width * places // AT_ONCE)
    digits = aligned.as_found((strips, pairs, _LINES_AT_ONCE * _STEPS_OF_LINE, _STEP_BYTES), np.int8)
    for strip in range(strips):  # one at a time: numbers in between take eight times the room of digits
        of_people = columns[strip * _PEOPLE_OF_STRIP : (strip + 1) * _PEOPLE_OF_STRIP]
        digits[strip] = _in_order_of_tiles(_digits_of(of_people, places), pairs)
    return TiledColumns(width, places, digits)


def _places_of(columns: Fixed) -> int:
    """How many digits the largest and the smallest number need, one at least."""
    extremes, places = [int(columns.min(initial=0)), int(columns.max(initial=0))], 1
    while not all(-128 * _ones(places) <= extreme <= 127 * _ones(places) for extreme in extremes):
        places += 1
    return places


def _ones(places: int) -> int:
    """The number whose digits are all 1."""
    return ((1 << 8 * places) - 1) // 255


def _digits_of(columns: Fixed, places: int) -> Digits:
    """Digits from the lowest to the highest, shape (person, place * column)."""
    rest, found = columns, list[Digits]()
    for _ in range(places):
        digit = ((rest + 128) & 255) - 128
        rest = (rest - digit) >> 8
        found.append(digit.astype(np.int8))
    return np.hstack(found)


def _in_order_of_tiles(found: Digits, pairs: int) -> Digits:
    """Digits of a strip of people as `TiledColumns` has them, with zeros for people and columns that are not there."""
    padded = np.zeros((_PEOPLE_OF_STRIP, pairs * AT_ONCE), np.int8)
    padded[: found.shape[0], : found.shape[1]] = found
    # Of a person: line, row of a tile, byte of four in it, and call of a packed byte.
    apart = padded.reshape(_LINES_AT_ONCE, ROWS, 4, _STEPS_OF_LINE, pairs, 2, ROWS)
    line, row, byte, call, pair, tile, column = range(7)
    ordered = apart.transpose(pair, line, call, tile, row, column, byte)
    return ordered.reshape(pairs, _LINES_AT_ONCE * _STEPS_OF_LINE, _STEP_BYTES)


def add_tiled_sums(words: Words, columns: TiledColumns, sums: Fixed) -> None:
    """Add sums over called people of the dosage of the file's first allele times column.

    Parameters
    ----------
    words
        The block's `genotype_words`: rows of whole lines.
    columns
        Zero for people who are out.
    sums
        Shape (variant, column or more).
    """
    lanes = columns.digits.shape[1] * AT_ONCE
    dosages = aligned.zeros((_LINES_AT_ONCE * _STEPS_OF_LINE, _STEP_BYTES), np.uint8)
    products = aligned.as_found((_VARIANTS_AT_ONCE, lanes), np.int32)
    _add_sums(words, columns.digits, configuration(), dosages, products, (columns.places, columns.width), sums)


@nb.njit(nogil=True, cache=True)
def _add_sums(
    words: Words, digits: Digits, tiles: Bytes, dosages: Bytes, products: Products, shape: tuple[int, int], sums: Fixed
) -> None:
    begin_tiles(tiles.ctypes.data)
    for first in range(0, len(words), _VARIANTS_AT_ONCE):
        last = min(first + _VARIANTS_AT_ONCE, len(words))
        products[:] = 0
        for strip in range(digits.shape[0]):
            for at in range(first, last, AT_ONCE):
                lines = _spread(words, strip * _LINES_AT_ONCE, at, min(at + AT_ONCE, last), dosages)
                _multiply(dosages, digits[strip], lines * _STEPS_OF_LINE, products[at - first :])
        _put_together(products, shape, sums[first:last])
    end_tiles()


@nb.njit(nogil=True, cache=True)
def _spread(words: Words, line: int, first: int, last: int, dosages: Bytes) -> int:
    """Fill in the dosages of some variants in the lines from `line` on; returns how many lines these are."""
    lines = min(_LINES_AT_ONCE, words.strides[0] // aligned.LINE - line)
    for variant in range(first, last):
        source = words.ctypes.data + variant * words.strides[0] + line * aligned.LINE
        target = dosages.ctypes.data + (variant - first) * aligned.LINE
        for number in range(lines):
            start = target + number * _STEPS_OF_LINE * _STEP_BYTES
            spread_dosages(start, source + number * aligned.LINE, _STEP_BYTES)
    return lines


@nb.njit(nogil=True, cache=True)
def _multiply(dosages: Bytes, digits: Digits, steps: int, products: Products) -> None:
    """Add to the sums of 32 variants, for all digits of all columns."""
    stride = products.strides[0]
    for pair in range(digits.shape[0]):
        target = products.ctypes.data + 4 * AT_ONCE * pair
        left, right = dosages.ctypes.data, digits[pair].ctypes.data
        load_sums(target, stride)
        for step in range(steps):
            add_products(left + step * _STEP_BYTES, right + step * _STEP_BYTES)
        store_sums(target, stride)


@nb.njit(nogil=True, cache=True)
def _put_together(products: Products, shape: tuple[int, int], sums: Fixed) -> None:
    use_whole_vectors()
    places, width = shape
    for variant in range(len(sums)):
        for place in range(places):
            for column in range(width):
                sums[variant, column] += np.int64(products[variant, place * width + column]) << (8 * place)
