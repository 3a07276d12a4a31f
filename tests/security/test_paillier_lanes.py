"""Lanes: packing and adding words of mixed width, at their extremes, over as many nodes as a federation may have."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats.privacy.primitives.lanes import GUARD_BITS, Lanes, extend_sign, lay_out

#: Plaintext bits of moduli of 512, 2048 and 3072 bits, and of lengths that are no multiple of a limb.
PLAINTEXT_BITS = (72, 127, 128, 129, 511, 2047, 3071)
NODES = 20

widths_of_blocks = st.lists(st.integers(1, 64), max_size=200).map(lambda widths: np.array(widths, np.uint8))


def integers(lanes: Lanes, words: np.ndarray) -> list[int]:
    return [int.from_bytes(row.astype("<u8").tobytes(), "little") for row in lanes.pack(words)]


def limbs(lanes: Lanes, values: list[int]) -> np.ndarray:
    data = b"".join(value.to_bytes(8 * lanes.limbs, "little") for value in values)
    return np.frombuffer(data, "<u8").reshape(-1, lanes.limbs)


def naive_integers(widths: np.ndarray, words: np.ndarray, plaintext_bits: int) -> list[int]:
    """The same layout by shifts of Python's integers, a word at a time."""
    found, at = [], plaintext_bits
    for width, word in zip(widths.tolist(), words.tolist(), strict=True):
        if at + width + GUARD_BITS > plaintext_bits:
            found.append(0)
            at = 0
        found[-1] += (word % 2**width) << at
        at += width + GUARD_BITS
    return found


@given(widths=widths_of_blocks, bits=st.sampled_from(PLAINTEXT_BITS), seed=st.integers(0, 2**32))
def test_lanes_lie_where_shifts_put_them(widths: np.ndarray, bits: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**64, len(widths), dtype=np.uint64)

    assert integers(lay_out(widths, bits), words) == naive_integers(widths, words, bits)


@given(widths=widths_of_blocks, bits=st.sampled_from(PLAINTEXT_BITS), seed=st.integers(0, 2**32))
def test_unpacking_gives_words_modulo_their_widths(widths: np.ndarray, bits: int, seed: int) -> None:
    words = np.random.default_rng(seed).integers(0, 2**64, len(widths), dtype=np.uint64)
    lanes = lay_out(widths, bits)

    found = lanes.unpack(lanes.pack(words))

    assert found.tolist() == [word % 2**width for word, width in zip(words.tolist(), widths.tolist(), strict=True)]


@given(
    widths=widths_of_blocks,
    bits=st.sampled_from(PLAINTEXT_BITS),
    nodes=st.integers(1, NODES),
    seed=st.integers(0, 2**32),
    extreme=st.booleans(),
)
def test_integers_add_as_their_words_do(widths: np.ndarray, bits: int, nodes: int, seed: int, extreme: bool) -> None:
    random = np.random.default_rng(seed)
    parts = random.integers(0, 2**64, (nodes, len(widths)), dtype=np.uint64)
    parts = np.full_like(parts, 2**64 - 1) if extreme else parts
    lanes = lay_out(widths, bits)

    added = [sum(row) for row in zip(*(integers(lanes, words) for words in parts), strict=True)]

    assert all(value < 2**bits for value in added)
    sums = [sum(column.tolist()) % 2**width for column, width in zip(parts.T, widths.tolist(), strict=True)]
    assert lanes.unpack(limbs(lanes, added)).tolist() == sums


def test_the_guard_holds_256_nodes_and_no_more() -> None:
    widths = np.array([64, 64], np.uint8)
    lanes = lay_out(widths, 511)
    largest = integers(lanes, np.array([2**64 - 1, 5], np.uint64))[0]
    smallest = integers(lanes, np.array([0, 5], np.uint64))[0]

    assert lanes.unpack(limbs(lanes, [256 * largest]))[1] == 256 * 5
    # one carry out of the first lane: this is what the guard is for
    assert lanes.unpack(limbs(lanes, [257 * largest]))[1] == 257 * 5 + 1
    assert lanes.unpack(limbs(lanes, [257 * smallest]))[1] == 257 * 5


@pytest.mark.parametrize(("bits", "a_plaintext"), [(2047, 28), (3071, 42)])
def test_so_many_full_words_lie_in_a_plaintext(bits: int, a_plaintext: int) -> None:
    assert lay_out(np.full(a_plaintext, 64, np.uint8), bits).rows == 1
    assert lay_out(np.full(a_plaintext + 1, 64, np.uint8), bits).rows == 2


def test_narrow_words_take_narrow_lanes() -> None:
    # 3071 bits hold 99 lanes of 23 + 8 bits
    assert lay_out(np.full(99, 23, np.uint8), 3071).rows == 1
    assert lay_out(np.full(100, 23, np.uint8), 3071).rows == 2


@given(st.integers(1, 64), st.integers(1, NODES), st.integers(0, 2**32))
def test_negative_totals_come_back_with_their_sign(width: int, nodes: int, seed: int) -> None:
    lowest, highest = -(2 ** (width - 1)), 2 ** (width - 1) - 1
    random = np.random.default_rng(seed)
    totals = [lowest, highest, -1, 0] if width > 1 else [lowest, 0]
    widths = np.full(len(totals), width, np.uint8)
    # Parts of any size that add up to the totals modulo 2^64, as masked parts do
    parts = random.integers(0, 2**64, (nodes - 1, len(totals)), dtype=np.uint64)
    rest = [(total - sum(column.tolist())) % 2**64 for total, column in zip(totals, parts.T, strict=True)]
    lanes = lay_out(widths, 3071)
    rows = [integers(lanes, words) for words in (*parts, np.array(rest, np.uint64))]

    opened = lanes.unpack(limbs(lanes, [sum(row) for row in zip(*rows, strict=True)]))

    assert extend_sign(opened, widths).view(np.int64).tolist() == totals


@pytest.mark.parametrize("width", [0, 65])
def test_words_of_other_widths_are_an_error(width: int) -> None:
    with pytest.raises(ValueError, match="from 1 to 64 bits"):
        lay_out(np.array([8, width], np.uint8), 3071)


def test_plaintexts_that_hold_no_lane_are_an_error() -> None:
    with pytest.raises(ValueError, match="71 bits do not hold one lane"):
        lay_out(np.array([8], np.uint8), 71)
