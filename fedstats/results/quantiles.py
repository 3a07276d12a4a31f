"""Order statistics of −log10 P over any number of variants, in bounded memory."""

import numpy as np
import numpy.typing as npt

from fedstats.kernels.tails import z_of_log10_p

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Up to this many values are kept as they are, and every order statistic is exact.
EXACT_VALUES = 1 << 20
#: Width of a bin on the scale log(1 + x).  A bin at x is (1 + x) times as wide; near the median under the null
#: (x = 0.30) that is 6.5e-6, and lambda changes by 5.4 per unit of x there, so half a bin moves it by 1.8e-5; for
#: inflated medians the relative error is below (1 + x) / x times 2.5e-6.  The tests hold it to 1e-4.
_BIN = 5e-6
#: −log10 P beyond this is counted in the last bin; 1e6 would need a chi-square of 4.6 million.
_LARGEST = 1e6
#: Median of the chi-square distribution with one degree of freedom.
CHI_SQUARE_MEDIAN = 0.45493642311957275


class OrderStatistics:
    """Collects values >= 0; exact while they are few, then a histogram of 2.8 million bins (22 MB)."""

    def __init__(self) -> None:
        self.count = 0
        self._values: list[Reals] = []
        self._sorted = False
        self._bins: Integers | None = None

    def add(self, values: Reals) -> None:
        """Add values >= 0, none of them NaN."""
        self.count += len(values)
        self._values.append(values.copy())
        self._sorted = False
        if self.count > EXACT_VALUES:
            self._fold()

    def at(self, ranks: Integers) -> Reals:
        """The values of these ranks, 0 the smallest; shape of `ranks`."""
        if self._bins is None:
            if len(self._values) != 1 or not self._sorted:
                self._values, self._sorted = [np.sort(np.concatenate(self._values))], True
            return self._values[0][ranks]
        cumulative = np.cumsum(self._bins)
        index = np.searchsorted(cumulative, ranks, side="right")
        inside = (ranks - (cumulative[index] - self._bins[index]) + 0.5) / self._bins[index]
        return np.expm1((index + inside) * _BIN)

    def median(self) -> tuple[float, float]:
        """The one or two middle values, as a pair; NaN without values."""
        if not self.count:
            return float("nan"), float("nan")
        low, high = self.at(np.array([(self.count - 1) // 2, self.count // 2]))
        return float(low), float(high)

    def _fold(self) -> None:
        if self._bins is None:
            self._bins = np.zeros(_bin_of(np.array([_LARGEST]))[0] + 1, np.int64)
        bins = _bin_of(np.minimum(np.concatenate(self._values), _LARGEST))
        found, counts = np.unique(bins, return_counts=True)
        self._bins[found] += counts
        self._values = []


def chi_square(minus_log10_p: Reals) -> Reals:
    """Chi-square with one degree of freedom whose upper tail is P, without forming P."""
    return np.square(z_of_log10_p(minus_log10_p))


def genomic_inflation(statistics: OrderStatistics) -> float:
    """Lambda GC: median of the chi-squares over its expectation [1]_; NaN without values.

    References
    ----------
    .. [1] Devlin and Roeder (1999), Biometrics 55:997.
    """
    middle = chi_square(np.array(statistics.median()))
    return float(middle.mean() / CHI_SQUARE_MEDIAN)


def _bin_of(values: Reals) -> Integers:
    return np.floor(np.log1p(values) / _BIN).astype(np.int64)
