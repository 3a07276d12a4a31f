"""Configurations of genotypes given their alleles: closed probabilities, and rows of them walked many at a time.

A configuration is a number of males with the allele and a number of heterozygotes among the others. A row has all
configurations with one number of males; where nobody is male there is one row. From one configuration the next has its
probability by a ratio of small products, which costs far less than logarithms. Numbers are whole numbers in doubles,
whose products are still exact.

References
----------
Loader (2000), Fast and accurate computation of binomial probabilities.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from fedstats.arrays import Bools, Indices, Reals

#: exp of more than this is no double.
_LOG_MOST = 709.0
#: Rows walked together: they are of about the same length, and what they need stays in a usual L2 cache.
_TOGETHER = 4096
#: Steps between two looks at how many rows are still walked: the more, the fewer these are, up to so many values.
_FEWEST_STEPS, _MOST_STEPS, _VALUES = 4, 32, 32_768
#: From here on Stirling's series, cut after four terms, is good to the last digit of a double.
_STIRLING = 64


@dataclass(frozen=True, eq=False)
class Alleles:
    """What is given of some variants, shape (variant,) each.

    Attributes
    ----------
    females, males
        People called.
    alleles, others
        Copies of either allele among all of them.
    """

    females: Reals
    males: Reals
    alleles: Reals
    others: Reals

    def take(self, chosen: Indices) -> "Alleles":
        """The same of some of the variants, which may come more than once."""
        return Alleles(*(getattr(self, f.name)[chosen] for f in fields(self)))

    @property
    def frequencies(self) -> tuple[Reals, Reals]:
        """Of either allele."""
        total = np.maximum(self.alleles + self.others, 1.0)
        return self.alleles / total, self.others / total

    def log_p(self, het: Reals, male: Reals) -> Reals:
        """Log of the probability of a configuration: heterozygotes, and males with the allele; shape (variant,).

        Notes
        -----
        Poisson probabilities at the means under equilibrium, multiplied, and divided by those of what is given: logs
        of factorials, which are large and cancel, would lose the digits that this keeps.
        """
        p, q = self.frequencies
        hom = (self.alleles - male - het) / 2
        other = self.females - hom - het
        of_females = _log_poisson(hom, self.females * p * p) + _log_poisson(other, self.females * q * q)
        log = of_females + _log_poisson(het, 2 * self.females * (p * q)) - _log_at_mean(self.females)
        return log + self._log_males(male) + self._log_given()

    def log_row(self, male: Reals) -> Reals:
        """Log of the probability of this number of males with the allele, which is hypergeometric."""
        p, q = self.frequencies
        alleles, chromosomes = self.alleles - male, 2 * self.females
        of_females = _log_poisson(alleles, chromosomes * p) + _log_poisson(chromosomes - alleles, chromosomes * q)
        return of_females - _log_at_mean(chromosomes) + self._log_males(male) + self._log_given()

    def _log_males(self, male: Reals) -> Reals:
        if not self.males.any():
            return np.zeros(1)
        p, q = self.frequencies
        log = _log_poisson(male, self.males * p) + _log_poisson(self.males - male, self.males * q)
        return np.asarray(log - _log_at_mean(self.males))

    def _log_given(self) -> Reals:
        either = _log_at_mean(self.alleles) + _log_at_mean(self.others)
        return np.asarray(_log_at_mean(self.alleles + self.others) - either)

    def mode(self, male: Reals) -> Reals:
        """The likeliest number of heterozygotes beside these males, of the parity of the females' alleles."""
        alleles = self.alleles - male
        others = 2 * self.females - alleles
        # The ratio to the next number falls below one where (alleles - h)(others - h) = (h + 1)(h + 2).
        root = np.ceil((alleles * others - 2) / (2 * self.females + 3))
        mode = np.clip(root, 0, np.minimum(alleles, others))
        return np.asarray(mode + (mode + alleles) % 2)

    def range_of_males(self) -> tuple[Reals, Reals]:
        """The least and the greatest number of males with the allele."""
        return np.maximum(self.alleles - 2 * self.females, 0.0), np.minimum(self.alleles, self.males)

    def deviation_of_males(self) -> Reals:
        """Standard deviation of the number of males with the allele."""
        total = np.maximum(self.alleles + self.others, 2)
        p, q = self.frequencies
        return np.asarray(np.sqrt(self.males * p * q * (total - self.males) / (total - 1)))


def _log_poisson(count: Reals, mean: Reals) -> Reals:
    """Log of the probability of a count; the error does not grow with either, but with what is between them."""
    beyond = count - mean
    # Nobody where nobody is expected; a count of zero takes nothing from the logarithm.
    ratio = np.maximum(beyond / np.maximum(mean, 1e-300), -1 + 1e-15)
    return np.asarray(_log_at_mean(count) + beyond - count * np.log1p(ratio))


def _log_at_mean(count: Reals) -> Reals:
    """Log of the Poisson probability of a count that is the mean, too."""
    most = int(count.max(initial=0.0))
    return np.asarray(_table_at_mean(1 << max(most.bit_length(), 10))[count.astype(np.int64)])


@cache
def _table_at_mean(size: int) -> Reals:
    few = [n * math.log(n) - n - math.log(math.factorial(n)) for n in range(1, _STIRLING)]
    n = np.arange(_STIRLING, size, dtype=np.float64)
    series = 1 / (12 * n) - 1 / (360 * n**3) + 1 / (1260 * n**5)
    return np.concatenate([[0.0], few, -0.5 * np.log(2 * np.pi * n) - series])


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows of some variants, shape (row,) each.

    Attributes
    ----------
    variant
        To which of the variants a row belongs.
    mode
        The likeliest number of heterozygotes.
    value
        Probability of that, in units of the observed configuration's.
    alleles, others
        Copies of either allele among females.
    """

    variant: Indices
    mode: Reals
    value: Reals
    alleles: Reals
    others: Reals

    def __len__(self) -> int:
        return len(self.variant)

    def take(self, chosen: Bools | Indices | slice) -> "Rows":
        """Some of the rows."""
        return Rows(*(getattr(self, f.name)[chosen] for f in fields(self)))

    def longest_first(self, chosen: Bools) -> "Rows":
        """Some of the rows, in about the order of how far they are walked."""
        # As many steps as a normal curve's: only the order matters, and that only for speed.
        steps = np.sqrt(np.log(np.maximum(self.value, 1.0)) / np.maximum(self.alleles + self.others, 1.0)) * self.mode
        order = np.argsort(np.where(chosen, -steps, 1.0).astype(np.int16), kind="stable")
        return self.take(order[: np.count_nonzero(chosen)])


def rows_between(given: Alleles, middle: Reals, log_middle: Reals, first: Reals, last: Reals) -> Rows:
    """All rows of each variant from `first` to `last` males with the allele, between which `middle` lies.

    `log_middle` is the log of the probability of the likeliest configuration with that many, in the units of the rows.
    """
    value, number = np.exp(np.minimum(log_middle, _LOG_MOST)), len(middle)
    alleles = given.alleles - middle
    others = 2 * given.females - alleles
    start = Rows(np.arange(number), given.mode(middle), value, alleles, others)
    if not given.males.any():
        return start
    # Fewer males with the allele are more with the other one, so that both ways are gone at once.
    turned = Rows(start.variant + number, start.mode, value, others, alleles)
    male = np.concatenate([middle, given.males - middle])
    beyond = np.concatenate([last - middle, middle - first])
    found = _joined([start, *_rows_above(_joined([start, turned]), male, np.tile(given.males, 2), beyond)])
    of_other = found.variant >= number
    alleles = np.where(of_other, found.others, found.alleles)
    others = np.where(of_other, found.alleles, found.others)
    return Rows(found.variant - number * of_other, found.mode, found.value, alleles, others)


def _joined(parts: Sequence[Rows]) -> Rows:
    return Rows(*(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Rows)))


def _rows_above(row: Rows, male: Reals, males: Reals, beyond: Reals) -> Iterator[Rows]:
    """The rows with one male more, then with one more than these, up to so many more of each of the first rows.

    Notes
    -----
    From m to m + 1 of M males with the allele, females have one allele less: the likeliest number h of heterozygotes is
    one more or one less. With a females homozygous for the allele and b for the other, the probability is multiplied by
    (M - m) / (m + 1) times 2a / (h + 1) or h / 2(b + 1).
    """
    order = np.argsort(-beyond, kind="stable")
    row, male, males, largest = row.take(order), male[order], males[order], (row.alleles + row.others + 3)[order]
    for number in np.searchsorted(-beyond[order], -np.arange(1.0, beyond.max(initial=0.0) + 1), "right"):
        row, male, males, largest = row.take(slice(number)), male[:number], males[:number], largest[:number]
        alleles, others = row.alleles - 1, row.others + 1
        # As in `Alleles.mode`: the least number of this parity from (alleles * others - 2) / (2 females + 3) on.
        more = alleles * others - 2 > (row.mode - 1) * largest
        above = np.where(more, row.alleles - row.mode, row.mode) * (males - male)
        male = male + 1
        below = np.where(more, row.mode + 1, others - row.mode + 1) * male
        row = Rows(row.variant, row.mode + np.where(more, 1.0, -1.0), row.value * (above / below), alleles, others)
        yield row


def walk(rows: Rows, least: float) -> Iterator[tuple[int, Reals]]:
    """Values of the configurations on both sides of the modes, then of the next on either side, ...

    Some steps and some rows at a time, the longest rows first: where these rows begin, and their values, shape
    (step, side, row); values below `least` are zero, and rows end when all that follow are.
    """
    for first in range(0, len(rows), _TOGETHER):
        for values in _walked(rows.take(slice(first, first + _TOGETHER)), least):
            yield first, values


def _walked(rows: Rows, least: float) -> Iterator[Reals]:
    fewer, more, mode = rows.alleles - rows.mode, rows.others - rows.mode, rows.mode
    # Each ratio to the value before has two numbers over two, which all change by two a step. Upwards, and downwards:
    one = np.array([[fewer, mode], [mode + 1, fewer + 2]])
    two = np.array([[more, mode - 1], [mode + 2, more + 2]])
    product = one * two
    # The product is quadratic in the steps: what it changes by changes by eight.
    change = np.array([-2.0, 2.0])[:, None, None] * (one + two) + 4
    value = np.stack([rows.value, rows.value])
    while value.size:
        steps = int(np.clip(_VALUES // value.size, _FEWEST_STEPS, _MOST_STEPS))
        values = np.empty((steps, *value.shape))
        for now in values:
            np.divide(product[0], product[1], out=now)
            now *= value
            value = now
            product += change
            change += 8
        values *= values >= least
        yield values
        value = values[-1]
        left = np.flatnonzero(value[0] + value[1])
        active = int(left[-1]) + 1 if len(left) else 0
        product, change, value = (array[..., :active] for array in (product, change, value))
