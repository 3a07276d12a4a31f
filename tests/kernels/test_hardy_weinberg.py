from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats.kernels.hardy_weinberg import exact_p, exact_p_on_x

COUNT = st.integers(0, 40)
SMALL = st.integers(0, 9)
#: The tie rule of PLINK, in whole numbers.
TIES = 1 + Fraction(1, 10**8)


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
@settings(deadline=None)
@given(het=COUNT, hom=COUNT, other=COUNT)
def test_exact_p_is_that_of_enumeration(mid: bool, het: int, hom: int, other: int) -> None:
    found = exact_p(np.array([het]), np.array([hom]), np.array([other]), mid=mid)[0]

    assert found == pytest.approx(by_enumeration(het, hom, other, mid), rel=1e-10)


def test_tails_keep_their_digits() -> None:
    # 300 people, all homozygous for one allele or the other.
    expected = by_enumeration(0, 150, 150, mid=False)

    assert expected < 1e-80
    assert exact_p(np.array([0]), np.array([150]), np.array([150]))[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("counts", [(200, 900, 900), (990, 500, 510), (40, 0, 1960), (1999, 0, 1), (0, 1, 1999)])
def test_exact_p_of_thousands_is_that_of_enumeration(counts: tuple[int, int, int]) -> None:
    # Beside each other, so that narrow and wide variants share a table.
    found = exact_p(*(np.array([count, 3 * count, 1]) for count in counts))

    assert found[0] == pytest.approx(by_enumeration(*counts, mid=False), rel=1e-10)


def test_many_variants_at_once_are_each_of_them_alone() -> None:
    rng = np.random.default_rng(2)
    het, hom, other = rng.integers(0, 800, (3, 500)) * rng.choice([0, 1, 1, 1], (3, 500))

    alone = [exact_p(het[k : k + 1], hom[k : k + 1], other[k : k + 1])[0] for k in range(500)]

    np.testing.assert_allclose(exact_p(het, hom, other), alone, rtol=1e-13)


def test_p_below_the_smallest_double_is_zero() -> None:
    assert exact_p(np.array([0]), np.array([5000]), np.array([5000]))[0] == 0


def test_swapping_the_homozygotes_changes_nothing() -> None:
    rng = np.random.default_rng(1)
    het, hom, other = rng.integers(0, 500, (3, 400))

    assert np.array_equal(exact_p(het, hom, other), exact_p(het, other, hom))


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
@settings(deadline=None)
@given(counts=st.tuples(SMALL, SMALL, SMALL, SMALL, SMALL))
def test_exact_p_on_x_is_that_of_enumeration(mid: bool, counts: tuple[int, int, int, int, int]) -> None:
    found = exact_p_on_x(*(np.array([count]) for count in counts), mid=mid)[0]

    assert found == pytest.approx(x_by_enumeration(*counts, mid=mid), rel=1e-10)


# Likely, unlikely and absurd counts, so that windows of all sizes are cut out of the configurations.
@pytest.mark.parametrize(
    "counts",
    [(90, 65, 35, 120, 80), (120, 50, 30, 90, 110), (10, 95, 95, 150, 40), (3, 190, 0, 170, 2), (0, 60, 60, 0, 150)],
)
def test_configurations_left_out_on_x_do_not_matter(counts: tuple[int, int, int, int, int]) -> None:
    found = exact_p_on_x(*(np.array([count]) for count in counts))[0]

    assert found == pytest.approx(x_by_enumeration(*counts, mid=False), rel=1e-9)


def test_nobody_called_is_no_evidence() -> None:
    none = np.array([0])

    assert exact_p(none, none, none)[0] == 1
    assert exact_p_on_x(none, none, none, none, none)[0] == 1
