"""−log10 of two-sided p-values, computed without ever forming a p-value that underflows."""

from math import gamma, pi, sqrt

import numpy as np

from fedstats.arrays import Counts, Reals
from fedstats.kernels.error_function import log_erfc, scaled_erfc
from fedstats.kernels.incomplete_beta import log_tails

_LN10 = float(np.log(10.0))
_LN2 = float(np.log(2.0))

#: The expansion of t's tail is used where log(1 + t^2 / df) is at most this (it is a series in the 2 pi-th of it) ...
_LARGEST_LOG = 1.0
#: ... and from so many degrees of freedom on (it is also asymptotic in their number).
_FEWEST_DEGREES = 20.0
#: Terms of the expansion beyond the first; at those limits the last is 1e-15 of the first.
_TERMS = 9
#: Values computed at a time: the working arrays stay in the processor's cache.
_SLICE = 8192
#: Where df / 2 * log(1 + t^2 / df) is below this, p is near one, and its logarithm is that of one minus the rest.
_NEAR_ONE = 0.05


def log10_p_of_t(t: Reals, degrees_of_freedom: Reals | Counts) -> Reals:
    """−log10 of the two-sided p-value of Student's t, shape (variant,); NaN where t is, or without degrees of freedom.

    Notes
    -----
    p = I_x(df / 2, 1 / 2) with x = df / (df + t^2). For common values it is a short sum of incomplete gamma functions
    of half-integer order (Temme's expansion [1]_), of which the first is erfc; all of them are positive, and come with
    the exponential taken out. For few degrees of freedom or t^2 above 1.7 df it is a continued fraction.

    References
    ----------
    .. [1] Temme (1987), Incomplete Laplace integrals: uniform asymptotic expansion with application to the incomplete
       beta function, SIAM Journal on Mathematical Analysis 18:1638.
    """
    t, df = np.broadcast_arrays(np.asarray(t, np.float64), np.asarray(degrees_of_freedom, np.float64))
    known = np.isfinite(t) & (df > 0)
    square, df = np.where(known, t * t, 0.0).ravel(), np.where(known, df, 1.0).ravel()
    slices = range(0, len(square), _SLICE)
    log_p = [_log_tail(df[first : first + _SLICE], square[first : first + _SLICE]) for first in slices]
    # Adding zero turns the −0.0 of p = 1 into 0.
    found = np.concatenate([np.zeros(0), *log_p]).reshape(known.shape) / -_LN10 + 0.0
    return np.where(known, found, np.nan)


def _log_tail(df: Reals, square: Reals) -> Reals:
    """Log of p, by whichever way suits each value."""
    log_ratio = np.log1p(square / df)
    common = (log_ratio <= _LARGEST_LOG) & (df >= _FEWEST_DEGREES)
    if common.all():
        return _log_common_tail(df, log_ratio)
    log_p, rest = np.empty_like(log_ratio), ~common
    log_p[common] = _log_common_tail(df[common], log_ratio[common])
    log_p[rest] = _log_other_tail(df[rest], square[rest])
    return log_p


def _series() -> list[float]:
    """Coefficients of z^2n in sqrt(z / sinh z), by the recurrence for powers of a series (Knuth, 4.7)."""
    inner, found = [1.0], [1.0]
    for n in range(1, _TERMS + 1):
        inner.append(inner[-1] / (2 * n * (2 * n + 1)))
        found.append(sum((k * -0.5 - (n - k)) * inner[k] * found[n - k] for k in range(1, n + 1)) / n)
    return found


_SERIES = _series()


def _log_common_tail(df: Reals, log_ratio: Reals) -> Reals:
    """Log of p for many degrees of freedom.

    Notes
    -----
    With y = -log x and T = df / 2 - 1/4, the integrand of the incomplete beta function is
    exp(-T y) y^(-1/2) sqrt((y / 2) / sinh(y / 2)); each even power of y / 2 gives an incomplete gamma function of
    order 2n + 1/2 at u = T y. The same sum at y = 0 is the whole.
    """
    scale = df / 2 - 0.25
    u = scale * log_ratio
    half = 1 / (2 * scale) ** 2
    upper = sqrt(pi) * scaled_erfc(np.sqrt(u))
    power = np.sqrt(u)
    tail, whole, factor = upper.copy(), np.full_like(u, sqrt(pi)), np.ones_like(u)
    for n in range(1, _terms_needed(df, log_ratio) + 1):
        # Γ(s + 1, u) exp(u) = s Γ(s, u) exp(u) + u^s, twice.
        for order in (2 * n - 1.5, 2 * n - 0.5):
            upper *= order
            upper += power
            power *= u
        factor *= half
        tail += _SERIES[n] * factor * upper
        whole += _SERIES[n] * gamma(2 * n + 0.5) * factor
    log_p = np.log(tail / whole) - u
    near = u < _NEAR_ONE
    if near.any():
        log_p[near] = np.log1p(-_lower_part(u[near], half[near], whole[near]))
    return np.asarray(log_p)


def _terms_needed(df: Reals, log_ratio: Reals) -> int:
    """Terms after which the rest is less than the last bit, for the hardest value of these: bits depend on no other."""
    if not len(df):
        return 0
    ratio = max(float(log_ratio.max()) / (2 * pi), 1.6 * _TERMS / (pi * float(df.min()))) ** 2
    return min(_TERMS, int(np.ceil(np.log(1e-17) / np.log(ratio))))


def _lower_part(u: Reals, half: Reals, whole: Reals) -> Reals:
    """1 - p where it is small: the same sum of lower incomplete gamma functions, of which three terms are enough."""
    total, decay = np.zeros_like(u), np.exp(-u)
    for n in range(3):
        order = 2 * n + 0.5
        term = u**order * decay / order
        lower = term.copy()
        for k in range(1, 8):
            term *= u
            term /= order + k
            lower += term
        total += _SERIES[n] * half**n * lower
    return np.asarray(total / whole)


def _log_other_tail(df: Reals, square: Reals) -> Reals:
    """Log of p for few degrees of freedom or large t."""
    one = np.full_like(df, 0.5)
    tiny = square < 1e-280
    square = np.where(tiny, 1.0, square)
    log_p = log_tails(df / 2, one, df / (df + square), square / (df + square))[0]
    return np.where(tiny, 0.0, log_p)


def log10_p_of_z(z: Reals) -> Reals:
    """−log10 of the two-sided p-value of a standard normal statistic, NaN where z is."""
    size = np.abs(np.asarray(z, np.float64))
    finite = np.isfinite(size)
    log_p = log_erfc(np.where(finite, size, 0.0) / sqrt(2))
    return np.where(finite, -log_p / _LN10 + 0.0, np.where(np.isnan(size), np.nan, np.inf))


def p_of_f(f: float, between: int, within: int) -> float:
    """Upper tail of the F distribution."""
    if not f > 0:
        return 1.0 if f <= 0 else float("nan")
    a, b, ratio = np.array([within / 2]), np.array([between / 2]), between * f / within
    x, y = np.array([1 / (1 + ratio)]), np.array([ratio / (1 + ratio)])
    return float(np.exp(log_tails(a, b, x, y)[0][0]))


def z_of_log10_p(log10_p: Reals) -> Reals:
    """Size of the standard normal statistic with this −log10 of the two-sided p-value, shape of `log10_p`."""
    log_p = -np.asarray(log10_p, np.float64) * _LN10
    # Newton on log p, which is concave in z, from a start that is too high: it comes down without overshooting.
    z = np.sqrt(-2 * log_p) + np.zeros_like(log_p)
    for _ in range(60):
        slope = -sqrt(2 / pi) / scaled_erfc(z / sqrt(2))
        step = (log_erfc(z / sqrt(2)) - log_p) / slope
        z = np.maximum(z - step, 0.0)
        if not (np.abs(step) > 1e-15 * z).any():
            break
    return z
