"""The batched logistic kernel against dense arrays, one variant at a time."""

import numpy as np
import pytest

from fedstats.genotypes import PackedBlock, pack
from fedstats.kernels import logistic
from fedstats.kernels.logistic import logistic_people, logistic_sums, weighted_squares
from fedstats.kernels.logistic_loops import _exponentials
from fedstats.kernels.newton import border, unpack
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


def test_exponentials_are_those_of_numpy_to_the_last_bits():
    eta = np.concatenate([np.linspace(-40, 40, 9_999), np.linspace(-0.35, 0.35, 9_999), [-800.0, 800.0, 0.0]])
    found, bits = eta.copy(), np.empty(len(eta), np.int64)

    _exponentials(found, bits, bits.view(np.float64))

    expected = np.exp(-np.clip(eta, -700.0, 700.0))
    # The polynomial is off by one unit in the last place, and each of a dozen roundings by half of one, in part.
    np.testing.assert_allclose(found, expected, rtol=1e-15)
