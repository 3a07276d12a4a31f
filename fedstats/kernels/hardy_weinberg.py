"""Exact tests of Hardy-Weinberg equilibrium from genotype counts, many variants at once.

Configurations are looked at in units of the observed one, row by row and from the likeliest outwards, many rows at a
time. Where P is not small it is what the likelier ones leave of 1: those lie within a deviation or two of the middle.
Where it is small, those that are no likelier are added up as far as anything is added, and P keeps its digits down to
the smallest double.

References
----------
Wigginton, Cutler and Abecasis (2005), A note on exact tests of Hardy-Weinberg equilibrium.
Graffelman and Moreno (2013), The mid p-value in exact tests for Hardy-Weinberg equilibrium.
Graffelman and Weir (2016), Testing for Hardy-Weinberg equilibrium at biallelic genetic markers on the X chromosome.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fedstats.arrays import Counts, Indices, Reals
from fedstats.kernels.hardy_weinberg_rows import Alleles, Rows, rows_between, walk

#: Configurations whose probability is within this share of the observed one tie with it, as in PLINK.
TIE = 1e-8
#: In units of the observed configuration.
_LEAST_TIE, _MOST_TIE = 1 - TIE, 1 + TIE
#: Configurations and rows of less than this add nothing to a P, which is at least 1 in this unit.
_NEGLIGIBLE = 1e-16
#: A P below this is added up; what is left of 1 would have lost three digits.
_SMALL = 1e-3
#: A likeliest configuration that is exp of this times likelier than the observed one leaves a small P.
_FAR = 8.0
#: exp of less than this is as good as zero.
_LOG_LEAST = -709.0
#: Rows made together: a few megabytes.
_BATCH = 65_536


@dataclass(frozen=True, eq=False)
class PValues:
    """The exact P, and the mid-P, in which configurations as likely as the observed one count half; (variant,)."""

    p: Reals
    mid: Reals


def exact_p(heterozygous: Counts, homozygous: Counts, other_homozygous: Counts) -> PValues:
    """Exact two-sided p-values; P is 1 and mid-P 0.5 where nobody is called or one allele is absent.

    Parameters
    ----------
    heterozygous, homozygous, other_homozygous
        Genotype counts, shape (variant,).
    """
    nobody = np.zeros(len(heterozygous), np.int64)
    return exact_p_on_x(heterozygous, homozygous, other_homozygous, nobody, nobody)


def exact_p_on_x(
    heterozygous: Counts, homozygous: Counts, other_homozygous: Counts, male: Counts, other_male: Counts
) -> PValues:
    """Exact p-values on chromosome X, where males' alleles count as evidence, too.

    Parameters
    ----------
    heterozygous, homozygous, other_homozygous
        Genotype counts of females, shape (variant,).
    male, other_male
        Males with the allele of `homozygous`, and with the other.

    Notes
    -----
    Given the alleles of everybody, females' heterozygotes and males' alleles vary together:
    all configurations that are no likelier than the observed one count.
    """
    given = Alleles(
        females=(heterozygous + homozygous + other_homozygous).astype(np.float64),
        males=(male + other_male).astype(np.float64),
        alleles=(2 * homozygous + heterozygous + male).astype(np.float64),
        others=(2 * other_homozygous + heterozygous + other_male).astype(np.float64),
    )
    observed = _Observed.of(given, heterozygous.astype(np.float64), male.astype(np.float64))
    found = PValues(np.zeros(len(heterozygous)), np.zeros(len(heterozygous)))
    near = np.flatnonzero(observed.log_middle <= _FAR)
    _fill(found, near, observed, _what_is_left, _log_most_likely, np.log(_LEAST_TIE))
    small = np.flatnonzero((found.p < _SMALL) & (observed.log_p > _LOG_LEAST))
    _fill(found, small, observed, _added_up, Alleles.log_row, np.log(_NEGLIGIBLE))
    return found


@dataclass(frozen=True, eq=False)
class _Observed:
    """Variants with the log of the probability of what was observed.

    Attributes
    ----------
    middle, log_middle
        About the likeliest number of males with the allele, and how far the log of the probability of the likeliest
        configuration with so many is above that of what was observed.
    """

    given: Alleles
    log_p: Reals
    middle: Reals
    log_middle: Reals

    @classmethod
    def of(cls, given: Alleles, het: Reals, male: Reals) -> "_Observed":
        """Of these heterozygotes and males with the allele."""
        log_p = given.log_p(het, male)
        middle = np.clip(np.rint(given.males * given.frequencies[0]), *given.range_of_males())
        return cls(given, log_p, middle, given.log_p(given.mode(middle), middle) - log_p)

    def take(self, chosen: Indices) -> "_Observed":
        """Some of the variants."""
        return _Observed(self.given.take(chosen), *(a[chosen] for a in (self.log_p, self.middle, self.log_middle)))

    def rows(self, first: Reals, last: Reals) -> Rows:
        """Rows in units of what was observed, from `first` to `last` males with the allele of each variant."""
        return rows_between(self.given, self.middle, self.log_middle, first, last)

    def sums(self, rows: Rows, values: Reals) -> Reals:
        """Sums of the values of each variant's rows."""
        return np.bincount(rows.variant, values, len(self.log_p)).astype(np.float64, copy=False)


def _fill(
    found: PValues,
    chosen: Indices,
    observed: _Observed,
    values: Callable[[_Observed, Rows], PValues],
    log_of_row: Callable[[Alleles, Reals], Reals],
    log_least: float,
) -> None:
    """Set the values of some variants from their rows that are not less than this in units of the observed."""
    of = observed.take(chosen)
    first, last = _window(of, log_of_row, log_least)
    batch = np.cumsum(last - first + 1) // _BATCH
    for some in np.split(np.arange(len(chosen)), np.flatnonzero(np.diff(batch)) + 1):
        one = of.take(some)
        made = values(one, one.rows(first[some], last[some]))
        found.p[chosen[some]], found.mid[chosen[some]] = made.p, made.mid


def _window(of: _Observed, log_of_row: Callable[[Alleles, Reals], Reals], log_least: float) -> tuple[Reals, Reals]:
    """First and last number of males whose row is not less than this in units of the observed, or some more."""
    given, (fewest, most) = of.given, of.given.range_of_males()
    if not given.males.any():
        return fewest, most
    log_range = np.maximum(of.log_middle, 0.0) - log_least + 0.1
    middle = given.males * given.frequencies[0]
    # As far as a normal curve would go, and a little further, as skewed ones do; then a look at the ends.
    half = given.deviation_of_males() * np.sqrt(2 * log_range) + log_range / 3
    while True:
        first = np.clip(np.floor(middle - half), fewest, most)
        last = np.clip(np.ceil(middle + half), fewest, most)
        low = (first > fewest) & (log_of_row(given, first) - of.log_p >= log_least)
        high = (last < most) & (log_of_row(given, last) - of.log_p >= log_least)
        if not (low | high).any():
            return first, last
        half = np.where(low | high, 2 * half, half)


def _log_most_likely(given: Alleles, male: Reals) -> Reals:
    """Log of the probability of the likeliest configuration of a row."""
    return given.log_p(given.mode(male), male)


def _what_is_left(of: _Observed, rows: Rows) -> PValues:
    """What the configurations that are likelier than the observed one leave."""
    rows = rows.longest_first(rows.value >= _LEAST_TIE)
    total, tied = rows.value.copy(), rows.value * (rows.value <= _MOST_TIE)
    for first, now in walk(rows, _LEAST_TIE):
        _add(now, total[first:])
        _add_ties(now, tied[first:])
    ties = of.sums(rows, tied)
    likelier = of.sums(rows, total) - ties
    p = np.exp(of.log_p)
    return PValues(np.maximum(1 - p * likelier, 0.0), np.maximum(1 - p * (likelier + ties / 2), 0.0))


def _added_up(of: _Observed, rows: Rows) -> PValues:
    """The sum of the configurations that are no likelier than the observed one."""
    whole = rows.value < _LEAST_TIE
    rest, rows = rows.take(whole), rows.longest_first(~whole)
    of_rest = of.given.take(rest.variant)
    log_rest = of_rest.log_row(of_rest.alleles - rest.alleles) - of.log_p[rest.variant]
    counted, tied = (rows.value * (rows.value <= _MOST_TIE) for _ in range(2))
    for first, now in walk(rows, _NEGLIGIBLE):
        _add(now * (now <= _MOST_TIE), counted[first:])
        _add_ties(now, tied[first:])
    ties = of.sums(rows, tied)
    unlikely = of.sums(rows, counted) + of.sums(rest, np.exp(log_rest))
    return PValues(*(np.exp(of.log_p + np.log(sums)) for sums in (unlikely, unlikely - ties / 2)))


def _add(now: Reals, sums: Reals) -> None:
    """Add values of the first so many rows, shape (step, side, row), to the sums of their rows.

    One step after the other: what a row gets does not depend on how many others are walked with it.
    """
    sums = sums[: now.shape[2]]
    for step in now[:, 0] + now[:, 1]:
        sums += step


def _add_ties(now: Reals, tied: Reals) -> None:
    """Add those that tie with the observed configuration, of which there are few."""
    at = np.flatnonzero((now >= _LEAST_TIE) & (now <= _MOST_TIE))
    np.add.at(tied, at % now.shape[2], now.ravel()[at])
