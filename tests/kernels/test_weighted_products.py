"""Sums of weighted products are matrix products, added to what was there."""

import numpy as np
import pytest

from fedstats.kernels import aligned
from fedstats.kernels.simd import LANES
from fedstats.kernels.weighted_products import VARIANTS_AT_ONCE, add_weighted_products


@pytest.mark.parametrize("people", [0, 1, 7, 160])
@pytest.mark.parametrize(("blocks", "of_pairs"), [(1, 1), (3, 2)])
def test_sums_are_a_matrix_product(people, blocks, of_pairs):
    rng = np.random.default_rng(people)
    weights = rng.random((blocks * VARIANTS_AT_ONCE, people))
    products = rng.normal(size=(people, of_pairs * LANES))
    before = rng.normal(size=(len(weights), products.shape[1]))
    sums = before.copy()

    add_weighted_products(weights, products, sums)

    # Each sum has `people` roundings of numbers of size 1 or so, in an order that differs from the library's.
    np.testing.assert_allclose(sums, before + weights @ products, rtol=0, atol=1e-13)


def test_rows_of_larger_arrays_are_read_and_written_where_they_lie():
    rng = np.random.default_rng(1)
    weights, products = rng.random((VARIANTS_AT_ONCE, 9)), rng.normal(size=(9, LANES))
    wide_weights = np.full((VARIANTS_AT_ONCE, 12), np.nan)
    wide_products, wide_sums = np.full((9, LANES + 8), np.nan), np.zeros((VARIANTS_AT_ONCE, LANES + 8))
    wide_weights[:, 3:], wide_products[:, 8:] = weights, products

    add_weighted_products(wide_weights[:, 3:], wide_products[:, 8:], wide_sums[:, :LANES])

    np.testing.assert_allclose(wide_sums[:, :LANES], weights @ products, rtol=0, atol=1e-14)
    assert not wide_sums[:, LANES:].any()


def test_people_without_weight_add_nothing_exactly():
    weights = aligned.zeros((VARIANTS_AT_ONCE, 16), np.float64)
    weights[:, 5] = 0.25
    products = np.random.default_rng(2).normal(size=(16, LANES))
    sums = np.zeros((VARIANTS_AT_ONCE, LANES))

    add_weighted_products(weights, products, sums)

    np.testing.assert_array_equal(sums, np.broadcast_to(0.25 * products[5], sums.shape))
