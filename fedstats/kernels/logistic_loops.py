"""Loops over one variant's calls in one strip of people, in vector instructions.

The compiler makes those of sums of products; where a loop has more arrays than it tells apart cheaply, or wants an
instruction that it does not choose by itself, they are spelt out, eight people at a time.
Sums of products pass over a few columns of the design at a time: so many running sums stay in registers. A matrix
product of the same numbers takes twice as long, because few columns do not pay for laying them out anew.
"""

from typing import Any

import numba as nb
import numpy as np
from numba import extending
from numba.core import types

from fedstats.kernels.simd import copy_four_reals, use_whole_vectors, values_of_eight_codes
from fedstats.kernels.vectors import BYTES, LANES, WHOLE_VECTORS, Eight

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside.
# ruff: noqa: ARG001
_intrinsic: Any = extending.intrinsic

#: Columns of the design that one pass takes.
COLUMNS_AT_ONCE = 4

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10
#: The polynomial of degree 10 through exp at Chebyshev's nodes: off by 2.2e-16 at most where |r| <= log(2) / 2.
_P1, _P2, _P3, _P4, _P5 = (
    1.0000000000000067491,
    0.50000000000000056225,
    0.16666666666554314583,
    0.041666666666573067732,
    0.0083333333856992117269,
)
_P6, _P7, _P8, _P9, _P10 = (
    0.0013888888932514779355,
    0.00019841170230570286664,
    0.000024801504313785540166,
    2.7640197391694840467e-6,
    2.7626371065696356076e-7,
)
#: A double beside which others round to whole numbers, that stand in its last bits with the bias of an exponent added.
_ROUNDER = 1.5 * 2.0**52 + 1023.0

#: What loops may do to sums.
_REORDERED = {"contract", "nsz", "reassoc"}


@nb.njit(nogil=True, cache=True)
def decode(packed, dosages, imputed, g):  # type: ignore[no-untyped-def]  # numba infers
    """Dosages of calls, with `imputed` where one is missing."""
    if WHOLE_VECTORS:
        of_code = dosages[0, 0], imputed, dosages[2, 0], dosages[3, 0]
        for k in range(0, packed.shape[0], LANES // 4):
            values_of_eight_codes(g.ctypes.data + 32 * k, packed.ctypes.data + k, of_code)
    else:
        decode_by_bytes(packed, dosages, imputed, g)


@nb.njit(nogil=True, cache=True)
def decode_by_bytes(packed, dosages, imputed, g):  # type: ignore[no-untyped-def]  # numba infers
    """The same by table, four calls at a time, and missing ones looked for afterwards."""
    to, table = g.ctypes.data, dosages.ctypes.data
    for k in range(packed.shape[0]):
        copy_four_reals(to + 32 * k, table + 32 * np.int64(packed[k]))
    for k in range(packed.shape[0]):
        at = _missing(packed[k])
        if at:
            for s in range(4):
                if at >> 2 * s & 1:
                    g[4 * k + s] = imputed


@nb.njit(inline="always")
def _missing(byte):  # type: ignore[no-untyped-def]  # numba infers
    """The lower bit of each call that is missing, which is 01."""
    return byte & ~(byte >> 1) & 0x55


@nb.njit(nogil=True, cache=True)
def leave_out(packed, keep, mask):  # type: ignore[no-untyped-def]  # numba infers
    """The weights of people, zero for those with a missing call."""
    for k in range(packed.shape[0]):
        at = _missing(packed[k])
        for s in range(4):
            mask[4 * k + s] = 0.0 if at >> 2 * s & 1 else keep[4 * k + s]


@nb.njit(nogil=True, cache=True, fastmath=_REORDERED)
def linear_predictor(effects, columns, eta):  # type: ignore[no-untyped-def]  # numba infers
    """Sum of effects times columns, shape (person,)."""
    use_whole_vectors()
    for k in range(0, columns.shape[0], COLUMNS_AT_ONCE):
        a, b, c, d = effects[k], effects[k + 1], effects[k + 2], effects[k + 3]
        z_a, z_b, z_c, z_d = columns[k], columns[k + 1], columns[k + 2], columns[k + 3]
        if k == 0:
            for i in range(eta.shape[0]):
                eta[i] = a * z_a[i] + b * z_b[i] + c * z_c[i] + d * z_d[i]
        else:
            for i in range(eta.shape[0]):
                eta[i] += a * z_a[i] + b * z_b[i] + c * z_c[i] + d * z_d[i]


def _exp_of_minus(eta: Eight) -> Eight:
    """exp(-eta) = 2^n exp(r).

    No instruction of processors without AVX-512 turns doubles into 64-bit integers; adding a large number does.
    Parts of the polynomial are computed side by side: one long chain of additions would wait for itself.
    """
    x = (-eta).at_least(-700.0).at_most(700.0)
    shifted = x * _LOG2E + _ROUNDER
    power = shifted.with_bits_moved_up(52)  # 2^n, as a double
    n = shifted - _ROUNDER
    r = (x - n * _LN2_HIGH) - n * _LN2_LOW
    square = r * r
    fourth = square * square
    low = (1.0 + r * _P1) + square * (_P2 + r * _P3)
    middle = (_P4 + r * _P5) + square * (_P6 + r * _P7)
    high = (_P8 + r * _P9) + square * _P10
    return (low + fourth * (middle + fourth * high)) * power


@_intrinsic
def _residuals_and_weights_of_eight(typing_context: Any, addresses: Any) -> Any:
    """The same of eight people; addresses of eta, dosages, mask and outcome, then of what is set."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        at = [builder.extract_value(arguments[0], i) for i in range(addresses.count)]
        eta, g, mask, y = (Eight.load(builder, address) for address in at[:4])
        odds = _exp_of_minus(eta)
        mu = (1.0 + odds).reciprocal()
        weight = odds * mu * (mu * mask)
        for made, address in zip([(y - mu) * mask, weight, weight * g], at[4:], strict=True):
            made.store(address)
        return context.get_dummy_value()

    return types.void(addresses), generate


@nb.njit(nogil=True, cache=True)
def residuals_and_weights(eta, g, mask, y, residual, weight, weighted_g):  # type: ignore[no-untyped-def]  # numba infers
    """Residuals, weights and weighted dosages of people, whose number is a multiple of `LANES`."""
    for i in range(0, BYTES * eta.shape[0], BYTES * LANES):
        _residuals_and_weights_of_eight(
            (
                eta.ctypes.data + i,
                g.ctypes.data + i,
                mask.ctypes.data + i,
                y.ctypes.data + i,
                residual.ctypes.data + i,
                weight.ctypes.data + i,
                weighted_g.ctypes.data + i,
            )
        )


@nb.njit(nogil=True, cache=True, fastmath=_REORDERED)
def add_products(columns, residual, weighted_g, score, cross):  # type: ignore[no-untyped-def]  # numba infers
    """Adds the sums of column times residual, and of column times weighted dosage."""
    use_whole_vectors()
    for k in range(0, columns.shape[0], COLUMNS_AT_ONCE):
        z_a, z_b, z_c, z_d = columns[k], columns[k + 1], columns[k + 2], columns[k + 3]
        r_a = r_b = r_c = r_d = w_a = w_b = w_c = w_d = 0.0
        for i in range(residual.shape[0]):
            r, w = residual[i], weighted_g[i]
            r_a += z_a[i] * r
            r_b += z_b[i] * r
            r_c += z_c[i] * r
            r_d += z_d[i] * r
            w_a += z_a[i] * w
            w_b += z_b[i] * w
            w_c += z_c[i] * w
            w_d += z_d[i] * w
        score[k] += r_a
        score[k + 1] += r_b
        score[k + 2] += r_c
        score[k + 3] += r_d
        cross[k] += w_a
        cross[k + 1] += w_b
        cross[k + 2] += w_c
        cross[k + 3] += w_d


@nb.njit(nogil=True, cache=True)
def likelihood_of(eta, mask, y):  # type: ignore[no-untyped-def]  # numba infers
    """Log-likelihood, stable for either sign of eta."""
    use_whole_vectors()
    total = 0.0
    for i in range(eta.shape[0]):
        x = eta[i]
        total += mask[i] * (y[i] * x - max(x, 0.0) - np.log1p(np.exp(-abs(x))))
    return total
