from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from fedstats.kernels import hardy_weinberg
from fedstats.kernels.hardy_weinberg import PValues, exact_p, exact_p_on_x
from fedstats.kernels.hardy_weinberg_rows import Alleles

COUNT = st.integers(0, 40)
SMALL = st.integers(0, 9)
#: The tie rule of PLINK, in whole numbers.
TIES = 1 + Fraction(1, 10**8)


def p_of(*counts: int) -> tuple[float, float]:
    """P and mid-P of one variant; counts of males are on X."""
    test = exact_p if len(counts) == 3 else exact_p_on_x
    found: PValues = test(*(np.array([count]) for count in counts))
    return found.p[0], found.mid[0]


def weights(people: int, alleles: int) -> dict[int, int]:
    """How many ways there are to hand out the alleles for every number of heterozygotes."""
    found = {}
    for het in range(alleles % 2, min(alleles, 2 * people - alleles) + 1, 2):
        hom = (alleles - het) // 2
        found[het] = comb(people, het) * comb(people - het, hom) * 2**het
    return found


def by_enumeration(het: int, hom: int, other: int, mid: bool) -> float:
    ways = weights(het + hom + other, 2 * hom + het)
    tail = sum(w for w in ways.values() if w <= ways[het] * TIES)
    ties = sum(w for w in ways.values() if Fraction(w) * TIES >= ways[het] and w <= ways[het] * TIES)
    return float(Fraction(2 * tail - (ties if mid else 0), 2 * sum(ways.values())))


@pytest.mark.parametrize("mid", [False, True])
@given(het=COUNT, hom=COUNT, other=COUNT)
def test_exact_p_is_that_of_enumeration(mid: bool, het: int, hom: int, other: int) -> None:
    assert p_of(het, hom, other)[mid] == pytest.approx(by_enumeration(het, hom, other, mid), rel=1e-10)


def test_tails_keep_their_digits() -> None:
    # 300 people, all homozygous for one allele or the other.
    expected = by_enumeration(0, 150, 150, mid=False)

    assert expected < 1e-80
    assert p_of(0, 150, 150)[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("counts", [(200, 900, 900), (990, 500, 510), (40, 0, 1960), (1999, 0, 1), (0, 1, 1999)])
def test_exact_p_of_thousands_is_that_of_enumeration(counts: tuple[int, int, int]) -> None:
    # Beside each other, so that narrow and wide variants share a table.
    found = exact_p(*(np.array([count, 3 * count, 1]) for count in counts))

    assert found.p[0] == pytest.approx(by_enumeration(*counts, mid=False), rel=1e-10)


def test_many_variants_at_once_are_each_of_them_alone() -> None:
    rng = np.random.default_rng(2)
    het, hom, other = rng.integers(0, 800, (3, 500)) * rng.choice([0, 1, 1, 1], (3, 500))

    alone = [p_of(*counts) for counts in zip(het, hom, other, strict=True)]

    together = exact_p(het, hom, other)
    np.testing.assert_allclose(np.column_stack([together.p, together.mid]), alone, rtol=1e-13)


def test_p_below_the_smallest_double_is_zero() -> None:
    assert p_of(0, 5000, 5000) == (0, 0)


def test_swapping_the_homozygotes_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    het, hom, other = rng.integers(0, 500, (3, 400))

    one, turned = exact_p(het, hom, other), exact_p(het, other, hom)
    assert np.array_equal(one.p, turned.p)
    assert np.array_equal(one.mid, turned.mid)


def x_by_enumeration(het: int, hom: int, other: int, male: int, other_male: int, mid: bool) -> float:
    females, males = het + hom + other, male + other_male
    alleles = 2 * hom + het + male
    ways = {
        (with_allele, h): comb(males, with_allele) * w
        for with_allele in range(max(0, alleles - 2 * females), min(males, alleles) + 1)
        for h, w in weights(females, alleles - with_allele).items()
    }
    observed = ways[(male, het)]
    tail = sum(w for w in ways.values() if w <= observed * TIES)
    ties = sum(w for w in ways.values() if Fraction(w) * TIES >= observed and w <= observed * TIES)
    return float(Fraction(2 * tail - (ties if mid else 0), 2 * sum(ways.values())))


@pytest.mark.parametrize("mid", [False, True])
@given(counts=st.tuples(SMALL, SMALL, SMALL, SMALL, SMALL))
def test_exact_p_on_x_is_that_of_enumeration(mid: bool, counts: tuple[int, int, int, int, int]) -> None:
    assert p_of(*counts)[mid] == pytest.approx(x_by_enumeration(*counts, mid=mid), rel=1e-10)


# Likely, unlikely and absurd counts, so that windows of all sizes are cut out of the configurations.
@pytest.mark.parametrize(
    "counts",
    [(90, 65, 35, 120, 80), (120, 50, 30, 90, 110), (10, 95, 95, 150, 40), (3, 190, 0, 170, 2), (0, 60, 60, 0, 150)],
)
def test_configurations_left_out_on_x_do_not_matter(counts: tuple[int, int, int, int, int]) -> None:
    assert p_of(*counts)[0] == pytest.approx(x_by_enumeration(*counts, mid=False), rel=1e-9)


@pytest.mark.parametrize("counts", [(0, 0, 0), (0, 0, 0, 0, 0), (0, 0, 0, 30, 20), (0, 40, 0, 30, 0), (0, 40, 0)])
def test_where_nothing_could_have_been_otherwise_there_is_no_evidence(counts: tuple[int, ...]) -> None:
    assert p_of(*counts) == (1, 0.5)


#: The bound of what the closed form, its products and the complement to 1 may cost together.
CLOSE = 1e-10


@pytest.mark.parametrize("counts", [(1, 0, 299_999), (2, 0, 499_998), (0, 1, 499_999), (3, 2, 499_995)])
@pytest.mark.parametrize("mid", [False, True])
def test_few_carriers_among_many_people_are_tested_as_by_enumeration(mid: bool, counts: tuple[int, int, int]) -> None:
    assert p_of(*counts)[mid] == pytest.approx(by_enumeration(*counts, mid=mid), rel=CLOSE)


@pytest.mark.parametrize("people", [1, 2, 60, 900])
def test_all_heterozygous_is_tested_as_by_enumeration(people: int) -> None:
    assert p_of(people, 0, 0)[0] == pytest.approx(by_enumeration(people, 0, 0, mid=False), rel=CLOSE)


def by_walking(het: int, hom: int, other: int) -> tuple[float, float]:
    """P and mid-P from every probability in units of the observed one, by the ratios of Wigginton et al."""
    ways = [1.0]
    for step in (2, -2):
        h, m, o, way = het, hom, other, 1.0
        while way > 1e-18 or step * (h - mean_heterozygous(het, hom, other)) < 0:
            ratio = 4 * m * o / ((h + 1) * (h + 2)) if step > 0 else h * (h - 1) / (4 * (m + 1) * (o + 1))
            way *= ratio
            h, m, o = h + step, m - step // 2, o - step // 2
            ways.append(way)
    every = np.array(ways)
    few, tied = every <= 1 + 1e-8, np.abs(every - 1) <= 1e-8
    return every[few].sum() / every.sum(), (every[few].sum() - every[tied].sum() / 2) / every.sum()


def mean_heterozygous(het: int, hom: int, other: int) -> float:
    alleles, others = 2 * hom + het, 2 * other + het
    return alleles * others / (alleles + others)


# Half a million people from the middle of the distribution, and 2, 4, 8 and 20 deviations from it.
@pytest.mark.parametrize("excess", [0, 500, -1000, 2000, -5000])
def test_half_a_million_people_are_tested_as_by_walking_through_all_configurations(excess: int) -> None:
    counts = (240_000 + 2 * (excess // 2), 180_000 - excess // 2, 80_000 - excess // 2)

    np.testing.assert_allclose(p_of(*counts), by_walking(*counts), rtol=CLOSE)


# Observed at the likeliest, a few deviations away, and far away; log factorials of a million have nine digits.
@pytest.mark.parametrize(
    "counts", [(980, 2, 249_018, 480, 249_520), (970, 17, 249_013, 420, 249_580), (700, 110, 249_190, 540, 249_460)]
)
def test_half_a_million_people_on_x_are_tested_as_by_all_configurations(counts: tuple[int, ...]) -> None:
    het, hom, other, male, other_male = counts
    females, males, alleles = het + hom + other, male + other_male, 2 * hom + het + male
    with_allele, h = np.meshgrid(np.arange(alleles + 1), np.arange(alleles + 1), indexing="ij")
    possible = (alleles - with_allele - h >= 0) & ((alleles - with_allele - h) % 2 == 0)
    with_allele, h = with_allele[possible], h[possible]
    m, lf = (alleles - with_allele - h) // 2, special.gammaln
    log = h * np.log(2) - lf(h + 1) - lf(m + 1) - lf(females - h - m + 1) - lf(with_allele + 1)
    log -= lf(males - with_allele + 1)
    here = log[(with_allele == male) & (h == het)][0]
    share = np.exp(log - log.max())

    assert p_of(*counts)[0] == pytest.approx(share[log <= here + 1e-7].sum() / share.sum(), rel=1e-6)


@pytest.mark.parametrize("on_x", [False, True])
def test_adding_up_and_what_is_left_of_one_agree(monkeypatch: pytest.MonkeyPatch, on_x: bool) -> None:
    rng = np.random.default_rng(6)
    frequency = rng.uniform(0, 0.5, 300)
    probabilities = np.stack([2 * frequency * (1 - frequency), frequency**2, (1 - frequency) ** 2], axis=1)
    counts = list(rng.multinomial(700, probabilities).T)
    if on_x:
        counts += list(rng.multinomial(600, np.stack([frequency, 1 - frequency], axis=1)).T)
    test = exact_p_on_x if on_x else exact_p

    usual = test(*counts)
    monkeypatch.setattr(hardy_weinberg, "_SMALL", 2.0)
    added_up = test(*counts)

    assert (usual.p < 0.1).any()
    assert (usual.p > 0.9).any()
    np.testing.assert_allclose(added_up.p, usual.p, rtol=CLOSE)
    np.testing.assert_allclose(added_up.mid, usual.mid, rtol=CLOSE)


@pytest.mark.parametrize("counts", [(90, 65, 35, 110, 90), (120, 50, 30, 60, 140)])
def test_a_window_that_was_guessed_too_narrow_is_widened(
    monkeypatch: pytest.MonkeyPatch, counts: tuple[int, int, int, int, int]
) -> None:
    monkeypatch.setattr(Alleles, "deviation_of_males", lambda given: given.males / 1000)

    assert p_of(*counts)[0] == pytest.approx(x_by_enumeration(*counts, mid=False), rel=CLOSE)
