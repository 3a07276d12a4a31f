"""The regularised incomplete beta function I_x(a, b), as logarithms of both tails, for any a and b > 0.

References
----------
Abramowitz and Stegun (1964), Handbook of Mathematical Functions, 26.5.8 (continued fraction), 26.5.22 (quantiles).
"""

from math import lgamma

import numpy as np

from fedstats.arrays import Bools, Reals

_MOST_TERMS = 20_000
_TINY = 1e-300
_NEWTON_STEPS = 6


def log_tails(a: Reals, b: Reals, x: Reals, y: Reals) -> tuple[Reals, Reals]:
    """Logarithms of I_x(a, b) and of the rest, 1 - I_x(a, b), all of one shape (value,).

    Parameters
    ----------
    a, b
        Positive.
    x, y
        In (0, 1], with y = 1 - x given too, so that neither loses digits.
    """
    swapped = x > (a + 1) / (a + b + 2)
    one, other = np.where(swapped, b, a), np.where(swapped, a, b)
    inside, outside = np.where(swapped, y, x), np.where(swapped, x, y)
    with np.errstate(divide="ignore"):
        front = one * np.log(inside) + other * np.log(outside) - np.log(one) - log_beta(a, b)
    small = np.minimum(front + np.log(_continued_fraction(one, other, inside)), 0.0)
    with np.errstate(divide="ignore"):
        rest = np.log1p(-np.exp(small))
    return np.where(swapped, rest, small), np.where(swapped, small, rest)


def log_beta(a: Reals, b: Reals) -> Reals:
    """Log of B(a, b), computed once for each pair; shape of `a` and `b`."""
    pairs, inverse = np.unique(np.column_stack([a, b]), axis=0, return_inverse=True)
    logs = [_log_beta(max(pair), min(pair)) for pair in pairs.tolist()]
    return np.array(logs)[inverse.reshape(-1)]


def _log_beta(large: float, small: float) -> float:
    """Stirling's series keeps the digits that differences of lgamma lose when both arguments are large."""
    if large < 100:
        return lgamma(large) + lgamma(small) - lgamma(large + small)
    both = large + small
    # log Γ(large) - log Γ(both), without the terms that cancel
    quotient = -(large - 0.5) * np.log1p(small / large) - small * np.log(both) + small
    return float(quotient + _stirling(large) - _stirling(both) + lgamma(small))


def _stirling(x: float) -> float:
    """What Stirling's formula lacks of log Γ(x), for x >= 100."""
    return 1 / (12 * x) - 1 / (360 * x**3) + 1 / (1260 * x**5)


def _continued_fraction(a: Reals, b: Reals, x: Reals) -> Reals:
    """The fraction of the incomplete beta function, by Lentz's method; values leave as they converge."""
    found, at = np.empty_like(x), np.arange(len(x))
    c = np.ones_like(x)
    d = 1 / _away_from_zero(1 - (a + b) * x / (a + 1))
    total = d
    for m in range(1, _MOST_TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = total
        for term in (even, odd):
            d = 1 / _away_from_zero(1 + term * d)
            c = _away_from_zero(1 + term / c)
            total = total * c * d
        going = np.abs(total - before) > 1e-15 * np.abs(total)
        if not going.all():
            found[at[~going]] = total[~going]
            at = at[going]
            a, b, x, c, d, total = (np.asarray(values[going]) for values in (a, b, x, c, d, total))
        if not len(at):
            break
    found[at] = total
    return found


def _away_from_zero(values: Reals) -> Reals:
    return np.where(np.abs(values) < _TINY, _TINY, values)


def quantile(probability: float, a: Reals, b: Reals, normal_quantile: float) -> Reals:
    """Quantiles of the beta distribution, for a picture: coverage right to 1e-4 where a and b exceed 100, else 1e-9.

    Parameters
    ----------
    probability, normal_quantile
        What lies below, and the standard normal quantile of it.
    a, b
        At least one, shape (value,).
    """
    x = _approximate_quantile(a, b, normal_quantile)
    exact: Bools = np.minimum(a, b) <= 100
    x[exact] = _refined(probability, a[exact], b[exact], x[exact])
    return x


def _approximate_quantile(a: Reals, b: Reals, normal_quantile: float) -> Reals:
    """Abramowitz and Stegun 26.5.22."""
    mean_a, mean_b = 1 / np.maximum(2 * a - 1, 0.5), 1 / np.maximum(2 * b - 1, 0.5)
    third = (normal_quantile**2 - 3) / 6
    h = 2 / (mean_a + mean_b)
    w = -normal_quantile * np.sqrt(np.maximum(h + third, 0.0)) / h - (mean_b - mean_a) * (third + 5 / 6 - 2 / (3 * h))
    return np.asarray(a / (a + b * np.exp(2 * w)))


def _refined(probability: float, a: Reals, b: Reals, x: Reals) -> Reals:
    """Newton's method on the logarithm of the smaller tail, in the log odds of x."""
    lower = probability < 0.5
    wanted = np.log(probability if lower else 1 - probability)
    log_odds = np.log(x) - np.log1p(-x)
    for _ in range(_NEWTON_STEPS):
        x, y = 1 / (1 + np.exp(-log_odds)), 1 / (1 + np.exp(log_odds))
        logs = log_tails(a, b, x, y)[0 if lower else 1]
        # d/d(log odds) of I is x^a y^b / B(a, b)
        slope = np.exp(a * np.log(x) + b * np.log(y) - log_beta(a, b) - logs)
        log_odds = log_odds + np.clip((wanted - logs) / (slope if lower else -slope), -2, 2)
    return np.asarray(1 / (1 + np.exp(-log_odds)))
