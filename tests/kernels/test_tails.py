from decimal import Decimal, localcontext

import mpmath
import numpy as np
import pytest
from scipy import stats

from fedstats.kernels.tails import log10_p_of_t, log10_p_of_z, p_of_f, z_of_log10_p


def log10_p_exactly(t: float, df: int) -> float:
    """−log10 of the two-sided p of Student's t by a series of positive terms at 80 digits, for even df.

    p = x^a (1-x)^(1/2) / (a B(a, 1/2)) * sum over n of (a + 1/2)_n / (a + 1)_n x^n, x = df / (df + t^2) (DLMF 8.17.8);
    for whole a, 1 / (a B(a, 1/2)) = product of (2i + 1) / (2i) for i in 1..a-1, over 2 a.
    """
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 80, -(10**9), 10**9
        square, a = Decimal(t) ** 2, df // 2
        x = df / (df + square)
        inverse_beta = Decimal(1) / 2
        for i in range(1, a):
            inverse_beta *= Decimal(2 * i + 1) / (2 * i)
        front = x**a * (1 - x).sqrt() * inverse_beta / a
        total = term = Decimal(1)
        n = 0
        while term > total * Decimal(10) ** -60:
            term *= x * (a + Decimal(1) / 2 + n) / (a + 1 + n)
            total += term
            n += 1
        return float(-(front * total).log10())


@pytest.mark.parametrize("df", [2, 10, 946, 20_000])
@pytest.mark.parametrize("t", [0.01, 0.5, 3.0, 12.0])
def test_log_p_of_common_statistics_is_that_of_scipy(t: float, df: int) -> None:
    found = log10_p_of_t(np.array([t]), np.array([df]))[0]

    assert found == pytest.approx(-np.log10(2 * stats.t.sf(t, df)), rel=1e-10)


# The series needs t^2 / df that is not small.
@pytest.mark.parametrize(
    ("t", "df"),
    [(3.0, 2), (90.0, 10), (12.0, 946), (29.7, 946), (38.0, 946), (300.0, 946), (38.0, 20_000), (300.0, 20_000)],
)
def test_log_p_has_ten_digits_down_to_any_size(t: float, df: int) -> None:
    found = log10_p_of_t(np.array([t]), np.array([df]))[0]

    assert found == pytest.approx(log10_p_exactly(t, df), rel=1e-10)


def log10_p_by_quadrature(t: float, df: int) -> float:
    """The same for any t and df: the integral of exp(-a y) (1 - exp(-y))^(-1/2) from log(1 + t^2 / df) on."""
    with mpmath.workdps(30):
        a, start = mpmath.mpf(df) / 2, mpmath.log1p(mpmath.mpf(t) ** 2 / df)

        def integral(ends: list[mpmath.mpf]) -> mpmath.mpf:
            return mpmath.quad(lambda y: mpmath.exp(-a * (y - start)) / mpmath.sqrt(-mpmath.expm1(-y)), ends)

        if a * start < 1:  # p is near one: from the other end, with y = s^2, where the root is no pole
            below = mpmath.quad(
                lambda s: 2 * s * mpmath.exp(-a * s * s) / mpmath.sqrt(-mpmath.expm1(-s * s)), [0, mpmath.sqrt(start)]
            )
            return float(-mpmath.log1p(-below / mpmath.beta(a, 0.5)) / mpmath.log(10))
        above = integral([start + piece / a for piece in (0, 0.1, 1, 5, 20, 60, 140)])
        return float((a * start - mpmath.log(above / mpmath.beta(a, 0.5))) / mpmath.log(10))


@pytest.mark.parametrize("df", [1, 5, 19, 20, 21, 60, 400, 10_000, 2_000_000])
def test_log_p_has_twelve_digits_in_every_branch(df: int) -> None:
    t = [1e-6, 0.01, 0.2, 0.31, 0.33, 1.0, 2.5, 6.0, 20.0, 90.0, 132.0, 900.0]

    found = log10_p_of_t(np.array(t), np.array(df))

    np.testing.assert_allclose(found, [log10_p_by_quadrature(value, df) for value in t], rtol=1e-12)


@pytest.mark.parametrize("z", [1e-9, 0.01, 0.35, 0.36, 1.0, 8.0, 68.0, 3000.0])
def test_normal_p_has_fourteen_digits_and_an_inverse(z: float) -> None:
    with mpmath.workdps(30):
        exact = float(-mpmath.log10(mpmath.erfc(mpmath.mpf(z) / mpmath.sqrt(2))))

    assert log10_p_of_z(np.array([z]))[0] == pytest.approx(exact, rel=1e-14)
    assert z_of_log10_p(np.array([exact]))[0] == pytest.approx(z, rel=1e-14)


def test_bits_do_not_depend_on_the_values_beside() -> None:
    t = np.random.default_rng(1).standard_normal(20_000) * 3

    alone, beside = log10_p_of_t(t, np.array(9000)), log10_p_of_t(np.append([120.0, 2.0], t), np.array(9000))

    # More terms are taken where one value needs them; they add nothing to the others.
    assert np.array_equal(beside[2:], alone)


def test_exact_series_is_the_known_distribution() -> None:
    assert log10_p_exactly(2.5, 40) == pytest.approx(-np.log10(2 * stats.t.sf(2.5, 40)), rel=1e-12)


def test_p_of_a_thousandth_power_is_not_zero() -> None:
    assert log10_p_of_t(np.array([120.0]), np.array([100_000]))[0] > 1000


def test_branches_meet() -> None:
    t = np.linspace(25, 36, 2001)

    steps = np.diff(log10_p_of_t(t, np.array([1500])))

    # A jump between the two ways to compute would show as a kink in second differences.
    assert np.abs(np.diff(steps)).max() < 1e-4
    assert (steps > 0).all()


def test_no_degrees_of_freedom_or_no_statistic_is_nan() -> None:
    assert np.isnan(log10_p_of_t(np.array([np.nan, 1.0, np.inf]), np.array([5, 0, 5]))).all()


def test_p_of_one_is_plain_zero() -> None:
    found = log10_p_of_t(np.array([0.0]), np.array([9]))

    assert found[0] == 0
    assert not np.signbit(found[0])


@pytest.mark.parametrize("z", [0.0, 0.3, -2.0, 9.0])
def test_normal_p_is_that_of_scipy_where_it_does_not_underflow(z: float) -> None:
    assert log10_p_of_z(np.array([z]))[0] == pytest.approx(-np.log10(2 * stats.norm.sf(abs(z))), rel=1e-12, abs=1e-15)


def test_normal_p_of_far_tails_follows_the_asymptotic_series() -> None:
    z = 100.0
    # Mills ratio: sf(z) = phi(z) / z (1 - 1/z^2 + 3/z^4 - ...)
    mills = np.log(2 / z * (1 - z**-2 + 3 * z**-4 - 15 * z**-6)) - 0.5 * np.log(2 * np.pi) - z * z / 2

    assert log10_p_of_z(np.array([z]))[0] == pytest.approx(-mills / np.log(10), rel=1e-12)


def test_p_of_f_is_that_of_scipy() -> None:
    assert p_of_f(7.5, 2, 900) == pytest.approx(stats.f.sf(7.5, 2, 900), rel=1e-12)
