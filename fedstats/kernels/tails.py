"""−log10 of two-sided p-values, computed without ever forming a p-value that underflows."""

from math import lgamma

import numpy as np

from fedstats.arrays import Counts, Reals

_LN10 = float(np.log(10.0))
#: Below this p-value the logarithm is computed from a continued fraction; above, from the incomplete beta itself.
_DIRECT = 1e-200
#: Terms of the continued fraction: at such tails each halves the error or better; convergence is checked by tests.
_MOST_TERMS = 400
_TINY = 1e-300


def log10_p_of_t(t: Reals, degrees_of_freedom: Reals | Counts) -> Reals:
    """−log10 of the two-sided p-value of Student's t, shape (variant,); NaN where t is, or without degrees of freedom.

    Notes
    -----
    p = I_x(df / 2, 1 / 2) with x = df / (df + t^2). Where p would underflow, log p comes from the
    continued fraction of the incomplete beta function [1]_, with log x as −log1p(t^2 / df).

    References
    ----------
    .. [1] Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.5.8.
    """
    from scipy.special import betaincc  # where it is needed: importing it takes longer than most commands

    t, df = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(degrees_of_freedom, np.float64))
    known = np.isfinite(t) & (df > 0)
    square, df = np.where(known, t * t, 0.0), np.where(known, df, 1.0)
    p = betaincc(0.5, df / 2, square / (df + square))
    far = p < _DIRECT
    log10_p = -np.log10(np.where(far, 1.0, p))
    if far.any():
        log10_p[far] = -_log_beta_tail(df[far] / 2, square[far] / df[far]) / _LN10
    # Adding zero turns the −0.0 of p = 1 into 0.
    return np.where(known, log10_p + 0.0, np.nan)


def _log_beta_tail(a: Reals, ratio: Reals) -> Reals:
    """Log of I_x(a, 1/2) at x = 1 / (1 + ratio), for small values."""
    x = 1 / (1 + ratio)
    log_front = -a * np.log1p(ratio) + 0.5 * np.log(ratio / (1 + ratio)) - np.log(a) - _log_beta_with_half(a)
    return np.asarray(log_front + np.log(_continued_fraction(a, x)))


def _log_beta_with_half(a: Reals) -> Reals:
    """Log of B(a, 1/2)."""
    values, inverse = np.unique(a, return_inverse=True)
    logs = [lgamma(v) + lgamma(0.5) - lgamma(v + 0.5) if v < 1e3 else _log_beta_asymptotic(v) for v in values.tolist()]
    return np.array(logs)[inverse]


def _log_beta_asymptotic(a: float) -> float:
    """Log of B(a, 1/2) for large a, where differences of lgamma lose digits (expansion of Γ(a + 1/2) / Γ(a))."""
    ratio = -1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)
    return float(0.5 * np.log(np.pi) - (0.5 * np.log(a) + ratio))


def _continued_fraction(a: Reals, x: Reals) -> Reals:
    """The fraction of the incomplete beta function with b = 1/2, by Lentz's method."""
    b = 0.5
    c = np.ones_like(x)
    d = 1 / (1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = total
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            total = total * c * d
        if np.array_equal(before, total):
            break
    return total


def _away_from_zero(values: Reals) -> Reals:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def log10_p_of_z(z: Reals) -> Reals:
    """−log10 of the two-sided p-value of a standard normal statistic, NaN where z is."""
    from scipy.special import log_ndtr  # as above

    with np.errstate(invalid="ignore"):
        return np.asarray(-(log_ndtr(-np.abs(z)) + np.log(2.0)) / _LN10 + 0.0)


def p_of_f(f: float, between: int, within: int) -> float:
    """Upper tail of the F distribution."""
    from scipy.special import fdtrc  # as above

    return float(fdtrc(between, within, f))
