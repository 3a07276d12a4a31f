"""Accounting against dp-accounting and opendp, and against distributions that are summed in full."""

from math import log, sqrt

import numpy as np
import pytest

from fedstats.privacy import zcdp

#: Ours may be this much larger than dp-accounting's, and not smaller (issue: within 5 % on the safe side).
SAFE_SIDE = 1.05
#: dp-accounting looks at a grid of orders and rounds up; this is what its grid costs it.
GRID = 1e-3
DELTAS = (1e-6, 1e-9)
#: Noise multipliers of the passes of some runs.
RUNS = ((4.5,), (1.6,), (0.57,), (20.0, 20.0, 20.0, 20.0, 5.0), (80.0,) * 12 + (3.0,))


def rho_of_run(multipliers: tuple[float, ...]) -> float:
    return sum(zcdp.rho_of_gaussian(1.0, multiplier) for multiplier in multipliers)


@pytest.mark.parametrize("delta", DELTAS)
@pytest.mark.parametrize("run", RUNS)
def test_total_epsilon_agrees_with_dp_accounting_on_the_safe_side(run: tuple[float, ...], delta: float) -> None:
    import dp_accounting

    accountant = dp_accounting.rdp.RdpAccountant()
    for multiplier in run:
        accountant.compose(dp_accounting.GaussianDpEvent(multiplier))
    theirs = accountant.get_epsilon(delta)

    ours = zcdp.epsilon_of(rho_of_run(run), delta)
    assert theirs * (1 - GRID) <= ours <= theirs * SAFE_SIDE


@pytest.mark.parametrize("run", RUNS)
def test_total_epsilon_is_not_below_the_privacy_loss_distribution(run: tuple[float, ...]) -> None:
    import dp_accounting

    accountant = dp_accounting.pld.PLDAccountant()
    for multiplier in run:
        accountant.compose(dp_accounting.GaussianDpEvent(multiplier))

    ours = zcdp.epsilon_of(rho_of_run(run), 1e-6)
    # Privacy loss distributions are tight for continuous noise; zCDP, which holds for integers too, costs up to 10 %.
    assert accountant.get_epsilon(1e-6) <= ours <= 1.10 * accountant.get_epsilon(1e-6)


@pytest.mark.parametrize("sensitivity", [0.5, 3.0, 9.0])
def test_rho_and_epsilon_are_those_of_opendp(sensitivity: float) -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    mechanism = dp.m.make_gaussian(*space, scale=12.5)

    rho = zcdp.rho_of_gaussian(sensitivity, 12.5)
    assert rho == pytest.approx(mechanism.map(sensitivity), rel=1e-12)
    profile = dp.c.make_zCDP_to_approxDP(mechanism).map(sensitivity)
    for delta in DELTAS:
        assert zcdp.epsilon_of(rho, delta) == pytest.approx(profile.epsilon(delta), rel=1e-6)


def test_conversion_is_tighter_than_the_closed_form() -> None:
    for rho in (0.001, 0.02, 0.5, 2.0):
        for delta in DELTAS:
            assert zcdp.epsilon_of(rho, delta) < rho + 2 * sqrt(rho * log(1 / delta))


@pytest.mark.parametrize("epsilon", [0.01, 0.5, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("delta", DELTAS)
def test_rho_of_an_epsilon_spends_it_and_no_more(epsilon: float, delta: float) -> None:
    rho = zcdp.rho_of(epsilon, delta)

    assert zcdp.epsilon_of(rho, delta) <= epsilon
    assert zcdp.epsilon_of(rho * 1.001, delta) > epsilon


def test_nothing_released_costs_nothing() -> None:
    assert zcdp.epsilon_of(0.0, 1e-6) == 0.0
    assert zcdp.rho_of(0.0, 1e-6) == 0.0


def discrete(sigma: float, reach: int) -> np.ndarray:
    # Doubles of 80 bits: divergences of high orders live far out in the tails.
    values = np.arange(-reach, reach + 1).astype(np.longdouble)
    weight = np.exp(-(values**2) / (2 * sigma**2))
    return weight / weight.sum()


def renyi(first: np.ndarray, second: np.ndarray, order: float) -> float:
    """Divergence of two distributions on the same values, largest of both directions."""

    def one(p: np.ndarray, q: np.ndarray) -> float:
        both = (p > 0) & (q > 0)
        return float(np.log(np.exp(order * np.log(p[both]) + (1 - order) * np.log(q[both])).sum()) / (order - 1))

    return max(one(first, second), one(second, first))


@pytest.mark.parametrize("share", [0.5, 0.8, 1.5, 4.0])
@pytest.mark.parametrize("honest", [1, 2, 4])
@pytest.mark.parametrize("change", [1, 3])
def test_rho_of_shares_bounds_the_sum_that_is_convolved_in_full(share: float, honest: int, change: int) -> None:
    # The true divergence of a sum of discrete Gaussians from its shift, at several orders.
    noise = np.ones(1)
    for _ in range(honest):
        noise = np.convolve(noise, discrete(share, 60))
    moved = np.concatenate([np.zeros(change), noise])[: len(noise)]
    middle = slice(len(noise) // 2 - 50, len(noise) // 2 + 51)  # beyond, what was cut off would be missed
    noise, moved = noise[middle], moved[middle]

    rho = zcdp.rho_of_shares(change / (share * sqrt(honest)), 1, share, honest)
    for order in (1.5, 2.0, 4.0, 8.0):
        assert renyi(noise, moved, order) <= order * rho * (1 + 1e-6)


def test_shares_of_two_and_more_cost_nothing_beyond_one_source() -> None:
    assert zcdp.tau(2.0, 10) < 1e-15
    assert zcdp.tau(0.3, 2) > 1e-3
    assert zcdp.tau(0.3, 1) == 0.0
    assert zcdp.rho_of_shares(0.1, 10_000, 2.0, 5) == pytest.approx(zcdp.rho_of_gaussian(0.1, 1.0), rel=1e-9)


@pytest.mark.parametrize(("nodes", "honest"), [(1, 1), (2, 1), (3, 2), (4, 3), (6, 4), (15, 10), (20, 14)])
def test_noise_is_sized_for_honest_nodes(nodes: int, honest: int) -> None:
    assert zcdp.honest_nodes(nodes) == honest
    assert nodes / honest <= (1.5 if nodes >= 3 else 2.0)


def test_delta_is_small_beside_one_person() -> None:
    assert zcdp.largest_delta(1000) == 1e-6
    assert zcdp.largest_delta(10_000_000) == 1e-8


def test_exact_gaussian_profile_is_that_of_dp_accounting() -> None:
    import dp_accounting

    for multiplier in (0.57, 1.6, 4.5):
        epsilon = dp_accounting.get_epsilon_gaussian(multiplier, 1e-6)
        assert zcdp.delta_of_gaussian(1 / multiplier, epsilon) == pytest.approx(1e-6, rel=1e-3)
    assert zcdp.delta_of_gaussian(0.0, 1.0) == 0.0
