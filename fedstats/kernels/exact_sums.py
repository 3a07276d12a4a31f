"""Sums of columns as exact integers, whatever their size, without a loop over people.

Raw values are doubles. Each value or product is rounded once to 64 fraction bits and cut into limbs of 32 bits,
which are doubles that hold integers, so that every step is exact; limbs are added over people as int64
and joined as Python integers. No step can lose a digit to cancellation, and any order gives the same integer.
"""

import numpy as np

from fedstats.arrays import Fixed, Reals, Wide
from fedstats.errors import RangeOverflow

#: Fraction bits of sums of raw values.
RAW_BITS = 64
#: Raw values must be smaller than this in size, so that totals of products fit the words they are declared with.
RAW_LIMIT = 2.0**50

_LIMB = 32
_LIMBS = 7
_PEOPLE_AT_ONCE = 65_536
_SPLITTER = 2.0**27 + 1


def sum_of_values(values: Reals) -> Wide:
    """Sum of each column at 64 fraction bits, exact integers of shape (column,).

    Raises
    ------
    RangeOverflow
        A value is 2^50 or larger.
    """
    _check_range(values)
    return _sum_of_scaled(np.ldexp(values, RAW_BITS))


def sum_of_squares(values: Reals) -> Wide:
    """Sum of squares of each column at 64 fraction bits, exact integers of shape (column,).

    Notes
    -----
    A square is split into its rounded value and the rounding error (Dekker's product [1]_), each of which is rounded
    to 64 fraction bits: only IEEE operations, so the same integer on every machine.

    References
    ----------
    .. [1] Dekker (1971), A floating-point technique for extending the available precision.
    """
    _check_range(values)
    square = values * values
    high = values * _SPLITTER
    high = high - (high - values)
    low = values - high
    error = ((high * high - square) + 2 * (high * low)) + low * low
    return _sum_of_scaled(np.ldexp(square, RAW_BITS)) + _sum_of_scaled(np.ldexp(error, RAW_BITS))


def _check_range(values: Reals) -> None:
    if values.size and not np.abs(values).max() < RAW_LIMIT:
        raise RangeOverflow(
            "a trait or covariate has a value of 2^50 or more, or one that is not finite; nothing was released",
            code="RANGE_OVERFLOW",
            hint="Rescale the column, for example to other units.",
        )


def _sum_of_scaled(scaled: Reals) -> Wide:
    """Exact sum over people of rint(scaled), shape (column,)."""
    total = np.zeros(scaled.shape[1], object)
    for first in range(0, len(scaled), _PEOPLE_AT_ONCE):
        rest = np.rint(scaled[first : first + _PEOPLE_AT_ONCE])
        for limb in range(_LIMBS - 1):
            higher = np.floor(np.ldexp(rest, -_LIMB))
            digits = (rest - np.ldexp(higher, _LIMB)).astype(np.int64).sum(axis=0)
            total += digits.astype(object) * (1 << (_LIMB * limb))
            rest = higher
        total += rest.astype(np.int64).sum(axis=0).astype(object) * (1 << (_LIMB * (_LIMBS - 1)))
    return total


def cross_products(left: Fixed, right: Fixed) -> Wide:
    """Left' right of int64 columns as exact integers, shape (left column, right column).

    Columns are cut into limbs of 20 bits; over 8,192 people a product of limbs stays under 2^53,
    so that a matrix product of doubles is exact whatever the order in which it adds.
    """
    total = np.zeros((left.shape[1], right.shape[1]), object)
    for first in range(0, len(left), 8192):
        chunk = slice(first, first + 8192)
        for i, a in enumerate(_limbs(left[chunk])):
            for j, b in enumerate(_limbs(right[chunk])):
                product = (a.T @ b).astype(np.int64)
                total += product.astype(object) * (1 << (20 * (i + j)))
    return total


def _limbs(values: Fixed) -> tuple[Reals, ...]:
    mask = (1 << 20) - 1
    low, middle, high = values & mask, (values >> 20) & mask, values >> 40
    return tuple(limb.astype(np.float64) for limb in (low, middle, high))
