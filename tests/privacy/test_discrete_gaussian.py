"""The sampler against the exact mass, against opendp's exact sampler, and against arithmetic of many digits."""

import hashlib

import mpmath
import numpy as np
import pytest
from scipy import stats

from fedstats.privacy.primitives.discrete_gaussian import LARGEST_SIGMA, acceptance, discrete_gaussian

SIGMAS = (0.4, 1.0, 3.3, 12.5, 100.2)
DRAWS = 400_000
#: A sound sampler fails a test at this level once in ten thousand; seeds are fixed, so that it never does by chance.
LEVEL = 1e-4
#: The factor by which a probability may be off, as the module says.
PRECISION = 2.0**-46


def key(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def draw(sigma: float, label: str = "", count: int = DRAWS) -> np.ndarray:
    return discrete_gaussian(np.full(count, sigma), key(f"{sigma}{label}"))


def mass(sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Values within 12 sigma and their probabilities."""
    values = np.arange(-int(12 * sigma) - 3, int(12 * sigma) + 4)
    weight = np.exp(-(values**2) / (2 * sigma**2))
    return values, weight / weight.sum()


@pytest.mark.parametrize("sigma", SIGMAS)
def test_frequencies_are_the_exact_mass(sigma: float) -> None:
    values, expected = mass(sigma)
    drawn = draw(sigma)

    observed = np.bincount(drawn - values[0], minlength=len(values))
    common = expected * DRAWS >= 10
    counts = np.append(observed[common], observed[~common].sum())
    share = np.append(expected[common], expected[~common].sum())
    found = stats.chisquare(counts, share / share.sum() * DRAWS)
    assert found.pvalue > LEVEL


@pytest.mark.parametrize("sigma", [0.4, 3.3, 12.5, 2.0**33])
def test_variance_is_that_of_the_distribution(sigma: float) -> None:
    drawn = draw(sigma, "variance").astype(np.float64)

    values, expected = mass(min(sigma, 200.0))
    wanted = (expected * values**2).sum() if sigma < 200 else sigma**2
    # The variance of a sample variance of a distribution with a kurtosis of at most 6.
    assert abs(drawn.var() / wanted - 1) < 4 * np.sqrt(5 / DRAWS)
    assert abs(drawn.mean()) < 4 * np.sqrt(wanted / DRAWS)


def test_large_noise_is_gaussian() -> None:
    drawn = draw(2.0**33) / 2.0**33

    assert stats.kstest(drawn, "norm").pvalue > LEVEL


@pytest.mark.parametrize("sigma", [0.8, 12.5])
def test_opendp_draws_the_same_distribution(sigma: float) -> None:
    import opendp.prelude as dp

    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T="f64")
    theirs = np.array(dp.m.make_gaussian(*space, scale=sigma)([0] * 40_000))

    # opendp has no seed: a level at which a sound pair fails once in a hundred thousand runs.
    low, high = min(theirs.min(), -10), max(theirs.max(), 10)
    ours = draw(sigma, "opendp", 40_000)
    table = np.array([np.bincount(np.clip(one, low, high) - low, minlength=high - low + 1) for one in (ours, theirs)])
    table = table[:, table.sum(axis=0) >= 10]
    assert stats.chi2_contingency(table).pvalue > 1e-5


@pytest.mark.parametrize("sigma", [0.4, 1.0, 12.5, 1e6 + 0.3, 2.0**40])
def test_acceptances_are_as_exact_as_stated(sigma: float) -> None:
    # The one quantity that rounding could spoil: the exponent, far from the mean.
    scale = np.floor(sigma) + 1
    sizes = np.unique(np.linspace(0, 8 * sigma, 400).astype(np.int64))
    found = acceptance(sizes, np.full(len(sizes), sigma), np.full(len(sizes), scale))

    with mpmath.workdps(60):
        exact_sigma, exact_scale = mpmath.mpf(float(sigma)), mpmath.mpf(float(scale))
        for size, probability in zip(sizes.tolist(), found.tolist(), strict=True):
            exact = mpmath.exp(-((size - exact_sigma**2 / exact_scale) ** 2) / (2 * exact_sigma**2))
            assert abs(mpmath.mpf(probability) / exact - 1) < PRECISION


def test_same_key_gives_same_noise_and_another_key_other_noise() -> None:
    assert np.array_equal(draw(12.5, "a", 1000), draw(12.5, "a", 1000))
    assert not np.array_equal(draw(12.5, "a", 1000), draw(12.5, "b", 1000))


def test_words_of_an_array_are_independent() -> None:
    drawn = draw(12.5, "independent")

    for lag in (1, 2, 5, 7):
        assert abs(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]) < 4 / np.sqrt(DRAWS)


def test_each_word_has_its_own_sigma() -> None:
    sigma = np.tile([[1.0], [50.0], [1e6]], (1, 20_000))
    drawn = discrete_gaussian(sigma, key("rows"))

    assert drawn.shape == sigma.shape
    assert np.allclose(drawn.std(axis=1) / sigma[:, 0], 1, atol=0.03)


def test_values_that_cannot_be_sampled_are_refused() -> None:
    for sigma in (0.0, -1.0, np.nan, 2 * LARGEST_SIGMA):
        with pytest.raises(ValueError):
            discrete_gaussian(np.array([1.0, sigma]), key("bad"))
    assert discrete_gaussian(np.zeros(0), key("none")).shape == (0,)
