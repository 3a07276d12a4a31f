"""The batched logistic kernel against dense arrays, one variant at a time."""

import numpy as np
import pytest
from scipy.special import expit

from fedstats.genotypes import DOSAGE_OF_CODE, PackedBlock, pack
from fedstats.kernels import logistic
from fedstats.kernels.logistic import logistic_people, logistic_sums, weighted_squares
from fedstats.kernels.logistic_loops import decode, decode_by_bytes, residuals_and_weights
from fedstats.kernels.logistic_tiles import DOSAGES
from fedstats.kernels.newton import border, unpack
from fedstats.kernels.vectors import LANES
from tests.naive.logistic import sums

PEOPLE, COVARIATES = 1203, 3


def people_and_calls(variants: int, missing: float):
    rng = np.random.default_rng(11)
    keep = rng.random(PEOPLE) < 0.9
    design = np.column_stack([np.ones(PEOPLE), rng.normal(size=(PEOPLE, COVARIATES))]) * keep[:, None]
    outcome = (rng.random(PEOPLE) < 0.3) * keep * 1.0
    calls = rng.binomial(2, rng.uniform(0.01, 0.99, (variants, 1)), (variants, PEOPLE)).astype(np.int8)
    calls[rng.random(calls.shape) < missing] = -1
    effects = rng.normal(0, 0.5, (variants, COVARIATES + 1))
    return keep, design, outcome, calls, effects, rng.normal(0, 2, variants)


def naive(keep, design, outcome, calls, effects, effect, imputed, dropped):
    for j, dosage in enumerate(calls):
        rows = keep & ~(dropped[j] & (dosage < 0))
        columns = np.column_stack([design, np.where(dosage < 0, imputed[j], dosage)])[rows]
        yield sums(columns, outcome[rows], np.append(effects[j], effect[j]))


@pytest.mark.parametrize("variants", [1, 32, 70])
@pytest.mark.parametrize("missing", [0.0, 0.03])
def test_sums_are_those_of_dense_arrays(variants, missing):
    keep, design, outcome, calls, effects, effect = people_and_calls(variants, missing)
    imputed, dropped = np.linspace(0.1, 1.9, variants), np.arange(variants) % 2 == 0
    layout = logistic_people(keep, design, outcome)

    found = logistic_sums(layout, pack(calls), effects, effect, imputed, dropped, likelihood=True)

    information = border(unpack(found.information, 4), found.cross_information, found.genotype_information)
    for j, expected in enumerate(naive(keep, design, outcome, calls, effects, effect, imputed, dropped)):
        # A sum of 1,203 terms of order 1 is good to about 1e-12.
        np.testing.assert_allclose(found.score[j], expected.score[:4], atol=1e-11)
        np.testing.assert_allclose(found.genotype_score[j], expected.score[4], atol=1e-11)
        np.testing.assert_allclose(information[j], expected.information, atol=1e-11)
        np.testing.assert_allclose(found.log_likelihood[j], expected.log_likelihood, rtol=1e-12)


def test_a_swapped_row_counts_the_other_allele():
    keep, design, outcome, calls, effects, effect = people_and_calls(8, 0.02)
    block, layout = pack(calls), logistic_people(keep, design, outcome)
    turned = PackedBlock(block.packed, block.rows, np.ones(8, np.bool_), PEOPLE)
    other = pack(np.where(calls < 0, -1, 2 - calls).astype(np.int8))
    fill = (effects, effect, np.full(8, 0.7), np.zeros(8, np.bool_))

    found, expected = logistic_sums(layout, turned, *fill), logistic_sums(layout, other, *fill)

    np.testing.assert_array_equal(found.genotype_score, expected.genotype_score)
    np.testing.assert_array_equal(found.information, expected.information)


def test_far_out_coefficients_give_finite_sums_with_vanishing_weights():
    keep, design, outcome, calls, effects, _ = people_and_calls(4, 0.0)
    layout = logistic_people(keep, design, outcome)
    far = effects + np.array([2000.0, 0, 0, 0])

    found = logistic_sums(layout, pack(calls), far, np.zeros(4), np.zeros(4), np.zeros(4, np.bool_))

    np.testing.assert_allclose(found.information, 0.0, atol=1e-12)
    np.testing.assert_allclose(found.score[:, 0], -(keep.sum() - outcome.sum()), rtol=1e-14)


def test_weighted_squares_are_exact_integers_with_either_allele_first():
    rng = np.random.default_rng(3)
    calls = rng.integers(-1, 3, (40, 301)).astype(np.int8)
    weights = rng.integers(-(2**50), 2**50, 301)
    swap = np.arange(40) % 3 == 0

    found = weighted_squares(pack(calls).packed, swap, weights)

    dosage = np.where(calls < 0, 0, np.where(swap[:, None], 2 - calls, calls)).astype(np.int64)
    np.testing.assert_array_equal(found, (dosage**2 * weights).sum(axis=1))


def test_warming_up_leaves_nothing_to_compile():
    logistic.warm_up()
    compiled = len(logistic._sums.signatures), len(logistic._squares.signatures)
    keep, design, outcome, calls, effects, effect = people_and_calls(3, 0.02)

    logistic_sums(
        logistic_people(keep, design, outcome), pack(calls), effects, effect, effect, keep[:3], likelihood=True
    )
    weighted_squares(pack(calls).packed, keep[:3], np.ones(PEOPLE, np.int64))

    assert (len(logistic._sums.signatures), len(logistic._squares.signatures)) == compiled


def test_residuals_and_weights_are_those_of_scipy_to_the_last_bits():
    eta = np.concatenate([np.linspace(-40, 40, 9_992), np.linspace(-0.35, 0.35, 9_992)])
    rng = np.random.default_rng(5)
    g, mask = rng.uniform(0, 2, len(eta)), (rng.random(len(eta)) < 0.9) * 1.0
    y = np.zeros(len(eta))  # residuals are then the fitted probabilities themselves, which are not rounded against 1
    residual, weight, weighted_g = np.empty((3, len(eta)))

    residuals_and_weights(eta, g, mask, y, residual, weight, weighted_g)

    # The polynomial of the exponential is off by one unit in the last place, and each of a dozen roundings by half of
    # one, in part; the weight has the probability twice.
    mu = expit(eta)
    np.testing.assert_allclose(residual, -mu * mask, rtol=2e-15)
    np.testing.assert_allclose(weight, mu * expit(-eta) * mask, rtol=4e-15)
    np.testing.assert_allclose(weighted_g, weight * g, rtol=3e-16)


@pytest.mark.parametrize("eta", [700.0, 800.0, 1e300])
def test_people_without_doubt_have_no_weight_and_finite_residuals(eta):
    far, ones = np.tile([eta, -eta], LANES // 2), np.ones(LANES)
    residual, weight, weighted_g = np.empty((3, LANES))

    residuals_and_weights(far, ones, ones, ones, residual, weight, weighted_g)

    np.testing.assert_allclose(residual, np.tile([0.0, 1.0], LANES // 2), atol=1e-15)
    np.testing.assert_allclose(weight, 0.0, atol=1e-15)


@pytest.mark.parametrize("turned", [0, 1])
@pytest.mark.parametrize("decoder", [decode, decode_by_bytes])
def test_either_way_to_decode_gives_dosages_of_every_byte(decoder, turned):
    packed = np.arange(256, dtype=np.uint8)
    found = np.empty(4 * len(packed))

    decoder(packed, DOSAGES[turned], 0.125, found)

    dosages = DOSAGE_OF_CODE[(packed[:, None] >> np.array([0, 2, 4, 6])) & 3].ravel()
    np.testing.assert_array_equal(found, np.where(dosages < 0, 0.125, 2.0 - dosages if turned else dosages))
