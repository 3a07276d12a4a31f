"""The complementary error function, scaled or as a logarithm, so that its tail keeps all digits however far out.

Own code, because importing scipy takes longer than all the p-values of a genome-wide scan.
"""

from math import factorial

import numpy as np

from fedstats.arrays import Reals

#: Chebyshev coefficients of (1 + 2x) exp(x^2) erfc(x) in t = (x - 3.75) / (x + 3.75) for x >= 0, computed with 40
#: digits; the first left out is 7e-17. The substitution is that of Shepherd and Laframboise (1981),
#: Mathematics of Computation 36:249.
_COEFFICIENTS = (
    1.1775789345674017541, -0.0045900545806464773309, -0.084249133366517915584, 0.059209939998191890498,
    -0.026658668435305752277, 0.0090749976707050652939, -0.0024131635404176081909, 0.00049077583652580863229,
    -0.000069169733025012063671, 4.1390279860730101675e-6, 7.7403830661984906686e-7, -2.1886401049234395661e-7,
    1.0764999465910670377e-8, 4.5219598112182868979e-9, -7.7544002088313511065e-10, -6.3180883408866844944e-11,
    2.8687950109306698981e-11, 1.945586854577734723e-13, -9.6546967484334389059e-13, 3.2525481481487398415e-14,
    3.3478119482868053878e-14, -1.8645628804193131016e-15, -1.2507950530688647086e-15,
)  # fmt: skip
_CENTRE = 3.75

#: Below this argument erfc is near one, and the logarithm is that of 1 - erf, from the series of erf.
_NEAR_ZERO = 0.25
#: Of x^2n in erf(x) / x, times sqrt(pi) / 2, the highest power first; at the limit the last is 1e-16 of the sum.
_ERF_SERIES = tuple((-1) ** n / (factorial(n) * (2 * n + 1)) for n in reversed(range(9)))


def scaled_erfc(x: Reals) -> Reals:
    """exp(x^2) erfc(x) for x >= 0, shape of `x`; relative error below 1e-15.

    Notes
    -----
    The Chebyshev series is summed by Clenshaw's recurrence.
    """
    t = np.asarray((x - _CENTRE) / (x + _CENTRE))
    twice, last, before, following = 2 * t, np.zeros_like(t), np.zeros_like(t), np.empty_like(t)
    for coefficient in _COEFFICIENTS[:0:-1]:
        np.multiply(twice, last, out=following)
        following -= before
        following += coefficient
        before, last, following = last, following, before
    return np.asarray((t * last - before + _COEFFICIENTS[0]) / (1 + 2 * x))


def log_erfc(x: Reals) -> Reals:
    """Natural logarithm of erfc(x) for x >= 0, shape of `x`, with all digits at both ends."""
    logs = np.log(scaled_erfc(x)) - x * x
    near = x < _NEAR_ZERO
    if near.any():
        logs[near] = np.log1p(-_small_erf(x[near]))
    return np.asarray(logs)


def _small_erf(x: Reals) -> Reals:
    """Erf by its Maclaurin series."""
    square, total = x * x, np.zeros_like(x)
    for coefficient in _ERF_SERIES:
        total = total * square + coefficient
    return np.asarray(2 / np.sqrt(np.pi) * x * total)
