"""Exact tests of Hardy-Weinberg equilibrium from genotype counts, many variants at once.

The number of heterozygotes, given the alleles, has terms whose ratio to their neighbours is simple. Sums start at the
mode and at the observation and go outwards until nothing is added, so the work grows with the square root of the
number of people, and p-values are relative to the observation's own probability: they keep their digits in the tails.

References
----------
Wigginton, Cutler and Abecasis (2005), A note on exact tests of Hardy-Weinberg equilibrium.
Graffelman and Moreno (2013), The mid p-value in exact tests for Hardy-Weinberg equilibrium.
Graffelman and Weir (2016), Testing for Hardy-Weinberg
equilibrium at biallelic genetic markers on the X chromosome.
"""

from collections.abc import Callable

import numpy as np

from fedstats.arrays import Bools, Counts, Reals

#: Configurations whose probability is within this share of the observed one tie with it, as in PLINK.
TIE = 1e-8
#: Terms below this share of a sum add nothing to a double.
_NEGLIGIBLE = 1e-18

#: Configurations less likely than the observed one by more than this many units of log add nothing to a double.
_FAR = 40.0


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
    total, log_observed, mode = _normalised(heterozygous, rare, people)
    side = np.where(heterozygous >= mode, 2, -2)
    own = _outward_sum(heterozygous, side, rare, people, np.ones(len(rare)))
    start, log_start = _first_as_unlikely(mode, -side, rare, people, log_observed)
    first = np.exp(np.minimum(log_start - log_observed, np.log1p(TIE)))
    inside = (start >= 0) & (start <= rare)
    other = np.where(inside, _outward_sum(start, -side, rare, people, np.where(inside, first, 0.0)), 0.0)
    ties = 1.0 + np.where(
        start == heterozygous, _equal_neighbours(heterozygous, rare, people), inside & (first >= 1 - TIE)
    )
    scale = np.exp(log_observed) / total
    at_mode = log_observed >= -TIE
    p = np.where(at_mode, 1.0, scale * (own + other))
    return np.asarray(np.clip(p - 0.5 * scale * ties if mid else p, 0.0, 1.0))


def _equal_neighbours(h: Counts, rare: Counts, people: Counts) -> Bools:
    """Whether a neighbour of the mode is as likely as the mode itself."""
    ratios = [_ratio(h.astype(np.float64), np.full_like(h, step), rare, people) for step in (2, -2)]
    return np.asarray(np.maximum(*ratios) >= 1 - TIE)


def _ratio(h: Reals, step: Counts, rare: Counts, people: Counts) -> Reals:
    """Probability of h + step heterozygotes over that of h, step being 2 or -2; 0 past either end."""
    common = 2 * people - rare
    with np.errstate(divide="ignore", invalid="ignore"):
        up = (rare - h) * (common - h) / ((h + 2) * (h + 1))
        down = h * (h - 1) / ((rare - h + 2) * (common - h + 2))
    ratio = np.where(step > 0, up, down)
    # Past either end the formulas are negative or undefined; there is no such configuration.
    return np.where((h >= 0) & (h <= rare) & (ratio > 0), ratio, 0.0)


def _mode(rare: Counts, people: Counts) -> Counts:
    """The likeliest number of heterozygotes, of the parity of the rare allele's count."""
    middle = rare * (2 * people - rare) // np.maximum(2 * people, 1)
    middle = middle + (middle + rare) % 2
    middle = np.clip(middle, 0, rare)
    for _ in range(3):
        up = (_ratio(middle.astype(np.float64), np.full_like(middle, 2), rare, people) > 1) & (middle < rare)
        down = (_ratio(middle.astype(np.float64), np.full_like(middle, -2), rare, people) > 1) & (middle > 1)
        middle = middle + 2 * up - 2 * (down & ~up)
    return np.asarray(middle)


def _normalised(heterozygous: Counts, rare: Counts, people: Counts) -> tuple[Reals, Reals, Counts]:
    """Sum of all probabilities and log of the observed one, both over that of the mode; and the mode."""
    mode = _mode(rare, people)
    one = np.ones(len(rare))
    both = [_outward_sum(mode, np.full_like(mode, step), rare, people, one) for step in (2, -2)]
    steps = np.where(heterozygous >= mode, 2, -2)
    log_observed = _walk(mode, steps, rare, people, lambda h, _: h != heterozygous)[1]
    return both[0] + both[1] - 1, log_observed, mode


def _outward_sum(start: Counts, step: Counts, rare: Counts, people: Counts, first: Reals) -> Reals:
    """Sum of terms from `start` outwards, the term at `start` being `first`."""
    total, at = first.copy(), np.arange(len(start))
    h, term = start.astype(np.float64), first.copy()
    while len(at):
        term = term * _ratio(h, step[at], rare[at], people[at])
        h = h + step[at]
        total[at] += term
        going = term > _NEGLIGIBLE * total[at]
        at, h, term = at[going], h[going], term[going]
    return total


def _first_as_unlikely(
    mode: Counts, step: Counts, rare: Counts, people: Counts, log_observed: Reals
) -> tuple[Counts, Reals]:
    """The first number on the other side of the mode that is as unlikely as the observed one, and its log term."""
    return _walk(mode, step, rare, people, lambda _, log_term: log_term > log_observed + TIE)


def _walk(
    start: Counts, step: Counts, rare: Counts, people: Counts, onward: Callable[[Counts, Reals], Bools]
) -> tuple[Counts, Reals]:
    """Go outwards from the mode while `onward`(number, log term), at most one step past the end."""
    h, log_term = start.copy(), np.zeros(len(start))
    while True:
        going = onward(h, log_term) & (h >= 0) & (h <= rare)
        if not going.any():
            return h, log_term
        at = np.flatnonzero(going)
        with np.errstate(divide="ignore"):
            log_term[at] += np.log(_ratio(h[at].astype(np.float64), step[at], rare[at], people[at]))
        h[at] += step[at]


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
    from scipy.special import gammaln  # where it is needed: importing it takes longer than most commands

    counts = np.stack([heterozygous, homozygous, other_homozygous, male, other_male], axis=1)
    different, inverse = np.unique(counts, axis=0, return_inverse=True)
    log_factorial = gammaln(np.arange(2 * int(counts.sum(axis=1).max(initial=0)) + 2) + 1.0)
    p = [_x_p(h, m, o, y, z, log_factorial, mid=mid) for h, m, o, y, z in different.tolist()]
    return np.array(p, np.float64)[inverse.reshape(-1)]


def _x_p(het: int, hom: int, other: int, male: int, other_male: int, log_factorial: Reals, *, mid: bool) -> float:
    """The p-value of one variant, from the configurations that could matter."""
    females, males = het + hom + other, male + other_male
    alleles = 2 * hom + het + male
    if alleles in (0, 2 * females + males):
        return 0.5 if mid else 1.0
    observed = float(_x_log_p(np.array(male), np.array(het), females, males, alleles, log_factorial))
    with_allele, hets = _x_window(observed, females, males, alleles, log_factorial)
    log_p = _x_log_p(with_allele[:, None], hets, females, males, alleles, log_factorial)
    relative = np.exp(log_p - log_p.max())
    counted = log_p <= observed + TIE
    tied = np.abs(log_p - observed) <= TIE
    share = relative[counted].sum() - (0.5 * relative[tied].sum() if mid else 0.0)
    return float(min(1.0, share / relative.sum()))


def _x_log_p(with_allele: Counts, hets: Counts, females: int, males: int, alleles: int, log_factorial: Reals) -> Reals:
    """Log of the ways to hand out the alleles, −inf where there is none."""
    of_females = alleles - with_allele
    hom, odd = np.divmod(of_females - hets, 2)
    rest = females - hets - hom
    possible = (odd == 0) & (hom >= 0) & (rest >= 0) & (hets >= 0)
    parts = [np.where(possible, part, 0) for part in (hets, hom, rest)]
    ways = parts[0] * np.log(2.0) - sum(log_factorial[part] for part in parts)
    return np.where(possible, ways - log_factorial[with_allele] - log_factorial[males - with_allele], -np.inf)


def _x_window(observed: float, females: int, males: int, alleles: int, log_factorial: Reals) -> tuple[Counts, Counts]:
    """Males' alleles, shape (row,), and heterozygotes, shape (row, column), outside of which nothing matters.

    Notes
    -----
    A configuration is no likelier than its males' alleles are, which is hypergeometric. Rows under e^-40 of the
    observed probability are left out. Within a row, Bernstein's inequality with steps of two bounds what lies far out.
    """
    f = log_factorial
    with_allele = np.arange(max(0, alleles - 2 * females), min(males, alleles) + 1)
    a = alleles - with_allele
    b = 2 * females - a
    # All ways of a row add up to (2 females)! / (a! b!) over the females' factorial.
    row = f[2 * females] - f[a] - f[b] - f[females] - f[with_allele] - f[males - with_allele]
    kept = row > observed - _FAR
    with_allele, a, b = with_allele[kept], a[kept].astype(np.float64), b[kept].astype(np.float64)
    mean = a * b / max(2 * females - 1, 1)
    pairs = a * (a - 1) * b * (b - 1) / max((2 * females - 1) * (2 * females - 3), 1)
    variance = max(float((mean + pairs - mean**2).max()), 0.0)
    drop = float(row.max()) - observed + _FAR
    half = int(2 * drop / 3 + np.sqrt((2 * drop / 3) ** 2 + 2 * drop * variance)) + 4
    width = np.arange(0, 2 * min(half, females) + 2, 2)
    start = np.maximum(mean.astype(np.int64) - half, 0)
    # Heterozygotes have the parity of the females' alleles.
    start += (start + (alleles - with_allele)) % 2
    return with_allele, start[:, None] + width
