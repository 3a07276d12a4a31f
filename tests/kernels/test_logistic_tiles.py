"""Tiles hold everybody once, with as few empty places as whole vectors allow."""

import numpy as np
import pytest

from fedstats.genotypes import pack
from fedstats.kernels.logistic import logistic_people
from fedstats.kernels.logistic_tiles import LANES, MOST_PEOPLE, TILE_VARIANTS, tiled_calls, tiling

PEOPLE = [0, 1, 8, 511, 512, 513, 3333, 10_000]


@pytest.mark.parametrize("people", PEOPLE)
def test_tiles_have_few_empty_places(people):
    tiles, length = tiling(people)

    assert 0 < length <= MOST_PEOPLE
    assert length % LANES == 0
    assert 0 <= tiles * length - people < LANES * (tiles + 1)


@pytest.mark.parametrize("people", PEOPLE)
def test_everybody_has_a_place(people):
    rng = np.random.default_rng(people)
    design, outcome = rng.normal(size=(people, 3)), rng.integers(0, 2, people) * 1.0

    laid = logistic_people(np.ones(people, np.bool_), design, outcome)

    assert laid.keep.sum() == people
    np.testing.assert_array_equal(laid.outcome[:people], outcome)
    np.testing.assert_array_equal(laid.design[:people, :3], design)
    np.testing.assert_array_equal(laid.turned.transpose(0, 2, 1).reshape(laid.design.shape), laid.design)


@pytest.mark.parametrize("people", [1, 9, 700])
def test_calls_fill_whole_tiles(people):
    calls = np.random.default_rng(1).integers(-1, 3, (5, people)).astype(np.int8)
    block, (tiles, length) = pack(calls), tiling(people)

    filled = tiled_calls(block, TILE_VARIANTS, tiles * length)

    assert filled.shape == (TILE_VARIANTS, tiles * length // 4)
    np.testing.assert_array_equal(filled[:5, : block.bytes().shape[1]], block.bytes()[:, : filled.shape[1]])
    assert not filled[5:].any()
