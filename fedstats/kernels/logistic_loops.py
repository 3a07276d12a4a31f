"""Loops over one variant's calls in one strip of people, which the compiler turns into vector instructions.

Sums of products pass over a few columns of the design at a time: so many running sums stay in registers. A matrix
product of the same numbers takes twice as long, because few columns do not pay for laying them out anew.
"""

import numba as nb
import numpy as np

from fedstats.kernels.simd import copy_four_reals

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

#: What loops may do to sums. Rounding by `_ROUNDER` must happen as it is written: that loop may not reorder.
_REORDERED = {"contract", "nsz", "reassoc"}
_AS_WRITTEN = {"contract", "nsz"}


@nb.njit(nogil=True, cache=True)
def decode(packed, dosages, imputed, g):  # type: ignore[no-untyped-def]  # numba infers
    """Dosages of calls, with `imputed` where one is missing; whether any is."""
    to, table = g.ctypes.data, dosages.ctypes.data
    some = np.uint8(0)
    for k in range(packed.shape[0]):
        some |= _missing(packed[k])
        copy_four_reals(to + 32 * k, table + 32 * np.int64(packed[k]))
    if some:
        for k in range(packed.shape[0]):
            at = _missing(packed[k])
            for s in range(4):
                if at >> 2 * s & 1:
                    g[4 * k + s] = imputed
    return some != 0


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
    for k in range(0, columns.shape[0], COLUMNS_AT_ONCE):
        a, b, c, d = effects[k], effects[k + 1], effects[k + 2], effects[k + 3]
        z_a, z_b, z_c, z_d = columns[k], columns[k + 1], columns[k + 2], columns[k + 3]
        if k == 0:
            for i in range(eta.shape[0]):
                eta[i] = a * z_a[i] + b * z_b[i] + c * z_c[i] + d * z_d[i]
        else:
            for i in range(eta.shape[0]):
                eta[i] += a * z_a[i] + b * z_b[i] + c * z_c[i] + d * z_d[i]


@nb.njit(nogil=True, cache=True, fastmath=_AS_WRITTEN)
def _exponentials(eta, bits, power):  # type: ignore[no-untyped-def]  # numba infers
    """Turns eta into exp(-eta) = 2^n exp(r); `power` is `bits` seen as reals.

    No instruction of processors without AVX-512 turns doubles into 64-bit integers; adding a large number does.
    Parts of the polynomial are computed side by side: one long chain of additions would wait for itself.
    """
    for i in range(eta.shape[0]):
        x = min(max(-eta[i], -700.0), 700.0)
        shifted = x * _LOG2E + _ROUNDER
        power[i] = shifted
        n = shifted - _ROUNDER
        eta[i] = (x - n * _LN2_HIGH) - n * _LN2_LOW
    for i in range(eta.shape[0]):
        bits[i] <<= 52  # 2^n, as a double
    for i in range(eta.shape[0]):
        r = eta[i]
        square = r * r
        fourth = square * square
        low = (1.0 + r * _P1) + square * (_P2 + r * _P3)
        middle = (_P4 + r * _P5) + square * (_P6 + r * _P7)
        high = (_P8 + r * _P9) + square * _P10
        eta[i] = (low + fourth * (middle + fourth * high)) * power[i]


@nb.njit(nogil=True, cache=True, fastmath=_REORDERED, error_model="numpy")
def residuals_and_weights(eta, g, mask, y, bits, power, residual, weight, weighted_g):  # type: ignore[no-untyped-def]  # numba
    """Residuals, weights and weighted dosages; `power` is `bits` seen as reals. Destroys `eta`."""
    _exponentials(eta, bits, power)
    for i in range(eta.shape[0]):
        mu = 1.0 / (1.0 + eta[i])
        w = eta[i] * mu * mu * mask[i]
        residual[i] = (y[i] - mu) * mask[i]
        weight[i] = w
        weighted_g[i] = w * g[i]


@nb.njit(nogil=True, cache=True, fastmath=_REORDERED)
def add_products(columns, residual, weighted_g, score, cross):  # type: ignore[no-untyped-def]  # numba infers
    """Adds the sums of column times residual, and of column times weighted dosage."""
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
    total = 0.0
    for i in range(eta.shape[0]):
        x = eta[i]
        total += mask[i] * (y[i] * x - max(x, 0.0) - np.log1p(np.exp(-abs(x))))
    return total
