"""Doubles as text: every cell is what Python prints."""

import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats.results.decimal_text import text_of_doubles, text_of_probabilities

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
