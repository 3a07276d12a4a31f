"""Exact tests of Hardy-Weinberg equilibrium from genotype counts, many variants at once.

Given the alleles, the probability of each number of heterozygotes has a simple ratio to that of its neighbours. So
probabilities relative to the likeliest number are running products of ratios, outwards on both sides, as far as
anything is added: the work grows with the square root of the number of people, and p-values keep their digits down to
the smallest double. Variants of like width share a table.

References
----------
Wigginton, Cutler and Abecasis (2005), A note on exact tests of Hardy-Weinberg equilibrium.
Graffelman and Moreno (2013), The mid p-value in exact tests for Hardy-Weinberg equilibrium.
Graffelman and Weir (2016), Testing for Hardy-Weinberg
equilibrium at biallelic genetic markers on the X chromosome.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from fedstats.arrays import Counts, Indices, Reals

#: Configurations whose probability is within this share of the observed one tie with it, as in PLINK.
TIE = 1e-8
#: Terms below this share of the smallest that matters add nothing to a double.
_NEGLIGIBLE = 1e-17
#: Probabilities under this share of the mode's are as good as zero: they underflow.
_UNDERFLOW = 1e-305
#: Numbers in a table: a few tables stay in a usual L2 cache.
_TABLE = 1 << 14


def exact_p(heterozygous: Counts, homozygous: Counts, other_homozygous: Counts, *, mid: bool = False) -> Reals:
    """Exact two-sided p-values, shape (variant,); 1 where nobody is called or one allele is absent.

    Parameters
    ----------
    heterozygous, homozygous, other_homozygous
        Genotype counts, shape (variant,).
    mid
        Count half of the probability of configurations as likely as the observed one.
    """
    rare = heterozygous + 2 * np.minimum(homozygous, other_homozygous)
    people = heterozygous + homozygous + other_homozygous
    mode = _mode(rare, people)
    away = np.abs(heterozygous - mode) // 2
    width = _width(rare, people, away)
    p = np.empty(len(rare))
    for rows in _tables(width):
        observed = partial(_Distributions.at, heterozygous=heterozygous[rows])
        found = _distributions(mode[rows], rare[rows], people[rows], int(width[rows].max()), observed)
        p[rows] = found.unlikely(found.at(heterozygous[rows]), mid=mid) / found.total
    return np.clip(p, 0.0, 1.0)


@dataclass(frozen=True, eq=False)
class _Distributions:
    """Probabilities over that of the mode: of the mode and upwards, and of what lies below, shapes (variant, step)."""

    mode: Counts
    up: Reals
    down: Reals

    @property
    def total(self) -> Reals:
        """Sum of all, shape (variant,)."""
        return np.asarray(self.up.sum(axis=1) + self.down.sum(axis=1))

    def at(self, heterozygous: Counts) -> Reals:
        """The relative probability of one number of each variant; 0 outside of the table."""
        steps, width = (heterozygous - self.mode) // 2, self.up.shape[1]
        rows = np.arange(len(steps))
        above, below = np.clip(steps, 0, width - 1), np.clip(-steps - 1, 0, width - 2)
        value = np.where(steps >= 0, self.up[rows, above], self.down[rows, below])
        return np.where(np.abs(steps) < width, value, 0.0)

    def unlikely(self, limit: Reals, *, mid: bool) -> Reals:
        """Sum of what is no likelier than `limit`, ties half where `mid`, shape (variant,)."""
        low, high = (limit * (1 - TIE))[:, None], (limit * (1 + TIE))[:, None]
        counted = [side * (side <= high) for side in (self.up, self.down)]
        sums = counted[0].sum(axis=1) + counted[1].sum(axis=1)
        if mid:
            ties = [side * (side >= low) for side in counted]
            sums -= 0.5 * (ties[0].sum(axis=1) + ties[1].sum(axis=1))
        return np.asarray(sums)


def _distributions(
    mode: Counts, rare: Counts, people: Counts, width: int, least: Callable[[_Distributions], Reals]
) -> _Distributions:
    """Tables of this width, or wider where the ends are not negligible beside the least probability that matters."""
    while True:
        up = _running(mode, rare, people, width, upwards=True)
        down = _running(mode, rare, people, width, upwards=False)[:, 1:]
        found = _Distributions(mode, up, down)
        if (np.maximum(up[:, -1], down[:, -1]) <= np.maximum(_NEGLIGIBLE * least(found), _UNDERFLOW)).all():
            return found
        width *= 2


def _running(mode: Counts, rare: Counts, people: Counts, width: int, *, upwards: bool) -> Reals:
    """Probabilities over that of the mode, from the mode outwards, shape (variant, step)."""
    steps = 2 * np.arange(width - 1, dtype=np.float64)
    fewer = rare.astype(np.float64)
    more = 2.0 * people - fewer
    terms = np.empty((len(mode), width))
    terms[:, 0] = 1.0
    # Past either end a factor is zero, and the product stays so.
    if upwards:
        over = ((fewer - mode)[:, None] - steps) * ((more - mode)[:, None] - steps)
        h = mode[:, None] + steps
        np.divide(over, (h + 2) * (h + 1), out=terms[:, 1:])
    else:
        under = ((fewer - mode + 2)[:, None] + steps) * ((more - mode + 2)[:, None] + steps)
        h = mode[:, None] - steps
        np.divide(h * (h - 1), under, out=terms[:, 1:])
    return np.asarray(np.multiply.accumulate(terms, axis=1, out=terms))


def _mode(rare: Counts, people: Counts) -> Counts:
    """The likeliest number of heterozygotes, of the parity of the rare allele's count."""
    common = 2 * people - rare
    # The ratio to the next number falls below one where (rare - h)(common - h) = (h + 1)(h + 2).
    root = (rare * common - 2) / (rare + common + 3.0)
    mode = np.clip(np.ceil(root).astype(np.int64), 0, rare)
    mode += (mode + rare) % 2
    return np.asarray(mode)


def _deviation(rare: Counts, people: Counts) -> Reals:
    """Standard deviation of the number of heterozygotes, in steps of two (Levene 1949)."""
    a, b = rare.astype(np.float64), (2.0 * people - rare)
    alleles = np.maximum(a + b, 4)
    mean = a * b / (alleles - 1)
    variance = mean + a * (a - 1) * b * (b - 1) / ((alleles - 1) * (alleles - 3)) - mean**2
    return np.asarray(np.sqrt(np.maximum(variance, 1.0)) / 2)


def _width(rare: Counts, people: Counts, away: Counts) -> Counts:
    """Steps outwards from the mode after which a normal curve is negligible beside the one `away` from the mode."""
    deviation = _deviation(rare, people)
    reach = np.sqrt(np.minimum(away, 40 * deviation) ** 2 + 80 * deviation**2)
    return np.asarray(np.minimum(reach + 8, rare // 2 + 2).astype(np.int64))


def _tables(width: Counts) -> list[Indices]:
    """Variants in groups of like width, so that a table of each group is small."""
    order = np.argsort(width, kind="stable")
    groups, first = [], 0
    while first < len(order):
        last = first + max(1, _TABLE // int(width[order[first]]))
        # As many as would fit at the width of the widest of them.
        last = first + max(1, _TABLE // int(width[order[min(last, len(order)) - 1]]))
        groups.append(order[first:last])
        first = last
    return groups


def exact_p_on_x(
    heterozygous: Counts,
    homozygous: Counts,
    other_homozygous: Counts,
    male: Counts,
    other_male: Counts,
    *,
    mid: bool = False,
) -> Reals:
    """Exact p-values on chromosome X, where males' alleles count as evidence, too; shape (variant,).

    Parameters
    ----------
    heterozygous, homozygous, other_homozygous
        Genotype counts of females.
    male, other_male
        Males with the allele of `homozygous`, and with the other.
    mid
        Count half of the probability of configurations as likely as the observed one.

    Notes
    -----
    Given the alleles of everybody, females' heterozygotes and males' alleles vary together:
    all configurations that are no likelier than the observed one count.
    """
    counts = np.stack([heterozygous, homozygous, other_homozygous, male, other_male], axis=1)
    different, inverse = np.unique(counts, axis=0, return_inverse=True)
    most = 2 * int(counts.sum(axis=1).max(initial=0)) + 2
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, most, dtype=np.float64)))])
    p = [_x_p(h, m, o, y, z, log_factorial, mid=mid) for h, m, o, y, z in different.tolist()]
    return np.array(p, np.float64)[inverse.reshape(-1)]


def _x_p(het: int, hom: int, other: int, male: int, other_male: int, log_factorial: Reals, *, mid: bool) -> float:
    """The p-value of one variant: rows of equal males' alleles, each a distribution of females' heterozygotes."""
    females, males = het + hom + other, male + other_male
    alleles = 2 * hom + het + male
    if alleles in (0, 2 * females + males):
        return 0.5 if mid else 1.0
    with_allele = np.arange(max(0, alleles - 2 * females), min(males, alleles) + 1)
    log_row = _x_log_rows(with_allele, females, males, alleles, log_factorial)
    of_females = alleles - with_allele
    rare = np.minimum(of_females, 2 * females - of_females)
    mine = int(male - with_allele[0])
    log_observed = log_row[mine] + _log_share(het, int(rare[mine]), females)
    # A row all of which is less likely than the observed configuration counts whole, whatever is in it.
    shares = np.ones(len(log_row))
    mixed = np.flatnonzero(log_row > log_observed - 1e-3)
    shares[mixed] = _x_shares(rare[mixed], females, log_row[mixed], log_observed, mid=mid)
    return float(min(1.0, (np.exp(log_row) * shares).sum()))


def _x_log_rows(with_allele: Counts, females: int, males: int, alleles: int, log_factorial: Reals) -> Reals:
    """Log of the probability of each number of males with the allele, which is hypergeometric."""
    f, a = log_factorial, alleles - with_allele
    rows = -f[a] - f[2 * females - a] - f[with_allele] - f[males - with_allele]
    rows = rows - rows.max()
    return np.asarray(rows - np.log(np.exp(rows).sum()))


def _log_share(het: int, rare: int, females: int) -> float:
    """Log of the probability of a number of heterozygotes given the females' alleles."""
    hets, alleles, people = np.array([het]), np.array([rare]), np.array([females])
    mode = _mode(alleles, people)
    width = _width(alleles, people, np.abs(hets - mode) // 2)
    found = _distributions(mode, alleles, people, int(width[0]), partial(_Distributions.at, heterozygous=hets))
    with np.errstate(divide="ignore"):
        return float(np.log(found.at(hets)[0] / found.total[0]))


def _x_shares(rare: Counts, females: int, log_row: Reals, log_observed: float, *, mid: bool) -> Reals:
    """Share of each row that is no likelier than the observed configuration."""
    people = np.full(len(rare), females)
    mode, shares = _mode(rare, people), np.empty(len(rare))
    # The observed probability over that of a row, and so over that of the mode, is at least this.
    ratio = np.exp(np.minimum(log_observed - log_row, 600.0))
    width = _width(rare, people, _steps_of(rare, people, ratio))
    for rows in _tables(width):
        least = partial(_given, np.minimum(ratio[rows], 1.0))
        found = _distributions(mode[rows], rare[rows], people[rows], int(width[rows].max()), least)
        shares[rows] = found.unlikely(ratio[rows] * found.total, mid=mid) / found.total
    return shares


def _given(least: Reals, _: _Distributions) -> Reals:
    return least


def _steps_of(rare: Counts, people: Counts, ratio: Reals) -> Counts:
    """About how many steps from the mode a normal curve falls by this ratio."""
    deviations = np.sqrt(np.maximum(-2 * np.log(np.maximum(ratio, _UNDERFLOW)), 0.0))
    return np.asarray((deviations * _deviation(rare, people)).astype(np.int64))
