"""Doubles as text: every cell is what Python prints."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats.results.decimal_text import (
    doubles,
    probabilities,
    rows_of_numbers,
    text_of_doubles,
    text_of_probabilities,
    text_of_probability,
)

#: Doubles next to a tie of the eighth digit, where scaling and printing could disagree.
near_ties = st.builds(
    lambda digits, exponent, step: math.nextafter(float(f"{digits}5e{exponent}"), step),
    st.integers(10_000_000, 99_999_999),
    st.integers(-300, 290),
    st.sampled_from([-math.inf, math.inf]),
)
exact_ties = st.builds(lambda digits: digits + 0.5, st.integers(10_000_000, 99_999_999))


def printed(values: list[float]) -> list[str]:
    return ["NA" if math.isnan(value) else f"{value:.8g}" for value in values]


#: Eight digits or fewer with the point at any place: plain notation of every width, and both limits of it.
few_digits = st.builds(
    lambda digits, places, sign: sign * float(f"{digits}e{places}"),
    st.integers(0, 99_999_999),
    st.integers(-13, 4),
    st.sampled_from([-1, 1]),
)


@given(st.lists(few_digits))
def test_plain_notation_of_every_width_is_what_python_prints(values):
    cells = text_of_doubles(np.array(values, np.float64)).to_pylist()

    assert cells == printed(values)


@given(st.lists(st.floats() | near_ties | exact_ties | st.floats(-1, 1) | st.integers(-(10**9), 10**9).map(float)))
def test_every_cell_is_what_python_prints(values):
    cells = text_of_doubles(np.array(values, np.float64)).to_pylist()

    assert cells == printed(values)


def test_random_bit_patterns_print_as_in_python():
    words = np.random.default_rng(1).integers(0, 2**64, 200_000, dtype=np.uint64)
    values = words.view(np.float64)

    assert text_of_doubles(values).to_pylist() == printed(values.tolist())


@pytest.mark.parametrize("neighbour", [-math.inf, 0.0, math.inf])
def test_powers_of_ten_and_their_neighbours_print_as_in_python(neighbour):
    powers = [float(f"1e{k}") for k in range(-323, 309)]
    values = powers if neighbour == 0.0 else [math.nextafter(power, neighbour) for power in powers]

    assert text_of_doubles(np.array(values)).to_pylist() == printed(values)


def test_a_column_longer_than_a_slice_keeps_its_order():
    values = np.random.default_rng(2).normal(size=20_001)

    assert text_of_doubles(values).to_pylist() == printed(values.tolist())


@given(st.floats(0, 1e5))
def test_probability_text_is_ten_to_the_minus_log10p(minus_log10):
    text = text_of_probabilities(np.array([minus_log10]))[0].as_py()

    # The mantissa rests on the digits of LOG10P after the point: 1e5 leaves 1.5e-11 of them, times ln 10.
    expected = Decimal(10) ** -Decimal(minus_log10)
    assert abs(Decimal(text) / expected - 1) < Decimal("1.1e-7")


def test_probability_below_the_smallest_double_is_not_zero():
    assert text_of_probabilities(np.array([400.0, 399.92, np.nan])).to_pylist() == ["1e-400", "1.2022644e-400", "NA"]


@given(st.lists(st.tuples(st.floats(), st.floats(-1, 1), st.floats(0, 1e300) | st.floats(0, 500)), min_size=1))
def test_columns_side_by_side_have_the_cells_that_they_have_alone(rows):
    first, second, minus_log10 = (np.array(column) for column in zip(*rows, strict=True))
    alone = [text_of_doubles(first), text_of_doubles(second), text_of_probabilities(minus_log10)]

    together = rows_of_numbers([doubles(first), doubles(second), probabilities(minus_log10)]).to_pylist()

    assert together == [
        "".join(f"\t{cell}" for cell in row) for row in zip(*(c.to_pylist() for c in alone), strict=True)
    ]


def test_cells_of_any_length_keep_their_places():
    rng = np.random.default_rng(3)
    minus_log10 = np.where(rng.random(30_000) < 0.01, rng.uniform(1e4, 1e9, 30_000), rng.exponential(size=30_000))

    cells = text_of_probabilities(minus_log10).to_pylist()

    assert cells == [text_of_probability(value) for value in minus_log10.tolist()]
    assert max(map(len, cells)) > 15
