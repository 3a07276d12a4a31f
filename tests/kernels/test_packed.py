from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedstats.genotypes import PackedBlock, pack
from fedstats.kernels import packed, tiles
from fedstats.kernels import packed_loops as loops
from tests.naive import packed as naive

#: Every remainder of a byte, a word and a line of words, and more than one line.
PEOPLE = st.sampled_from([1, 3, 4, 5, 31, 32, 33, 63, 64, 65, 255, 256, 257, 300, 611])


@st.composite
def blocks(draw: st.DrawFn) -> tuple[PackedBlock, np.ndarray, np.random.Generator]:
    """A block of random frequencies, missing calls and turned alleles, and who is in."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    people, variants = draw(PEOPLE), draw(st.integers(1, 40))
    frequency = rng.choice([0.0, 0.003, 0.02, 0.3, 0.5, 0.97, 0.999, 1.0], (variants, 1))
    dosages = rng.binomial(2, frequency, (variants, people)).astype(np.int8)
    dosages[rng.random(dosages.shape) < rng.choice([0.0, 0.01, 0.5, 1.0], (variants, 1))] = -1
    whole = pack(dosages)
    rows = rng.permutation(variants) if draw(st.booleans()) else whole.rows
    kept = rng.random(people) < draw(st.sampled_from([0.0, 0.5, 1.0]))
    # Bits of nobody in the last byte are anything in a file that is not PLINK's own.
    spoilt = whole.packed.copy()
    if people % 4:
        spoilt[:, -1] ^= np.uint8((rng.integers(0, 256) << 2 * (people % 4)) & 255)
    return PackedBlock(spoilt, rows, rng.random(variants) < 0.5, people), kept, rng


def _without_tiles(columns: np.ndarray, people: np.ndarray) -> packed.PackedColumns:
    return replace(packed.packed_columns(columns, people), tiled=None)


@pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(_without_tiles, id="byte tables"),
        pytest.param(
            packed.packed_columns,
            id="tiles",
            marks=pytest.mark.skipif(not tiles.usable(), reason="this machine does not multiply tiles of bytes"),
        ),
    ],
)
@settings(max_examples=60)
@given(drawn=blocks(), width=st.sampled_from([1, 7, 8, 9, 16, 17, 61]))
def test_sums_are_those_of_plain_numpy(
    prepare: Callable[[np.ndarray, np.ndarray], packed.PackedColumns],
    drawn: tuple[PackedBlock, np.ndarray, np.random.Generator],
    width: int,
) -> None:
    block, people, rng = drawn
    bits = rng.integers(0, 50)
    columns = rng.integers(-(2**bits), 2**bits, (block.people, width), endpoint=True) * people[:, None]

    found = packed.called_and_missing_sums(block, packed.genotype_words(block), prepare(columns, people))

    called, missing = naive.called_and_missing_sums(block, columns, people)
    assert np.array_equal(found.called, called)
    assert np.array_equal(found.missing, missing)
    mean = rng.random(len(block)) * 2
    assert np.array_equal(found.imputed(mean), called + np.rint(mean[:, None] * missing).astype(np.int64))


@settings(max_examples=40)
@given(blocks())
def test_counts_are_those_of_plain_numpy(drawn: tuple[PackedBlock, np.ndarray, np.random.Generator]) -> None:
    block, people, _ = drawn

    calls = packed.genotype_counts(block, people)

    called, heterozygous, homozygous = naive.genotype_counts(block, people)
    assert np.array_equal(calls.called, called)
    assert np.array_equal(calls.heterozygous, heterozygous)
    assert np.array_equal(calls.homozygous_alternative, homozygous)


@settings(max_examples=25)
@given(blocks())
def test_products_over_the_missing_are_those_of_plain_numpy(
    drawn: tuple[PackedBlock, np.ndarray, np.random.Generator],
) -> None:
    block, people, rng = drawn
    # Small whole numbers, so that sums of doubles are exact in any order.
    columns = rng.integers(-9, 9, (block.people, 5)) * people[:, None].astype(float)

    products = packed.missing_cross_products(packed.genotype_words(block), people, columns, slice(2, 4))

    expected = naive.missing_cross_products(block, people, columns)
    # Products of two different traits, here columns 2 and 3, are not needed, and others need not be there twice.
    needed = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 1, 1], [0, 0, 1, 0, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1]])
    assert np.array_equal(products, expected * needed)


@pytest.mark.parametrize("frequency", [0.001, 0.999])
def test_few_carriers_give_the_same_sums_as_byte_tables(frequency: float, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    block = replace(pack(rng.binomial(2, frequency, (20, 700)).astype(np.int8)), swap=np.arange(20) % 2 == 0)
    columns, people = rng.integers(-(2**40), 2**40, (700, 11)), np.ones(700, np.bool_)
    words = packed.genotype_words(block)

    prepared = _without_tiles(columns, people)
    by_carriers = packed.called_and_missing_sums(block, words, prepared).called
    monkeypatch.setattr(packed, "CARRIER_SHARE", 0.0)
    by_tables = packed.called_and_missing_sums(block, words, prepared).called

    assert np.array_equal(by_carriers, by_tables)
    assert by_tables.any()


def test_rows_are_gathered_in_order_and_what_lies_behind_them_is_cleared() -> None:
    packed_rows = np.arange(1, 16, dtype=np.uint8).reshape(5, 3)
    packed_rows.flags.writeable = False
    out = np.full((2, 8), 255, np.uint8)

    loops.gather(packed_rows, np.array([4, 1]), out)

    assert out.tolist() == [[13, 14, 15, 0, 0, 0, 0, 0], [4, 5, 6, 0, 0, 0, 0, 0]]
