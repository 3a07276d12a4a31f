"""Strips hold everybody once, and tiles every variant, with as few empty places as whole vectors allow."""

import numpy as np
import pytest

from fedstats.genotypes import pack
from fedstats.kernels.logistic import logistic_people
from fedstats.kernels.logistic_tiles import (
    LANES,
    MOST_PEOPLE,
    TILE_VARIANTS,
    strips,
    tile_of,
    tiled_calls,
)
from fedstats.kernels.weighted_products import VARIANTS_AT_ONCE

PEOPLE = [0, 1, 8, 255, 256, 257, 3333, 10_000]


@pytest.mark.parametrize("people", PEOPLE)
def test_strips_have_few_empty_places(people):
    number, length = strips(people)

    assert 0 < length <= MOST_PEOPLE
    assert length % LANES == 0
    assert 0 <= number * length - people < LANES * (number + 1)


@pytest.mark.parametrize("variants", [0, 1, 8, 9, 63, 64, 65, 4096])
def test_tiles_fill_whole_vectors_and_few_variants_take_a_small_one(variants):
    tile = tile_of(variants)

    assert tile % VARIANTS_AT_ONCE == 0
    assert 0 < tile <= TILE_VARIANTS
    assert tile - variants < LANES or variants == 0
    assert tile >= min(variants, TILE_VARIANTS)


@pytest.mark.parametrize("people", PEOPLE)
def test_everybody_has_a_place(people):
    rng = np.random.default_rng(people)
    design, outcome = rng.normal(size=(people, 3)), rng.integers(0, 2, people) * 1.0

    laid = logistic_people(np.ones(people, np.bool_), design, outcome)

    assert laid.keep.sum() == people
    np.testing.assert_array_equal(laid.outcome[:people], outcome)
    columns = laid.columns.transpose(1, 0, 2).reshape(laid.columns.shape[1], -1)
    np.testing.assert_array_equal(columns[:3, :people].T, design)
    assert not columns[3:].any()
    assert not columns[:, people:].any()


@pytest.mark.parametrize("people", [1, 9, 700])
def test_calls_fill_whole_strips(people):
    calls = np.random.default_rng(1).integers(-1, 3, (5, people)).astype(np.int8)
    block, (number, length) = pack(calls), strips(people)

    filled = tiled_calls(block, TILE_VARIANTS, number * length)

    assert filled.shape == (TILE_VARIANTS, number * length // 4)
    np.testing.assert_array_equal(filled[:5, : block.bytes().shape[1]], block.bytes()[:, : filled.shape[1]])
    assert not filled[5:].any()
