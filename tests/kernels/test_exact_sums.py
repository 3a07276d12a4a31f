from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedstats.errors import RangeOverflow
from fedstats.kernels.exact_sums import RAW_BITS, cross_products, sum_of_squares, sum_of_values

UNIT = Fraction(1, 1 << RAW_BITS)
RAW = st.floats(-(2.0**49), 2.0**49) | st.floats(-1e-6, 1e-6) | st.integers(-(2**49), 2**49).map(float)
COLUMNS = arrays(np.float64, st.tuples(st.integers(1, 40), st.integers(1, 3)), elements=RAW)


@given(COLUMNS)
def test_sum_is_the_rational_sum_but_for_half_a_unit_a_person(values: np.ndarray) -> None:
    found = sum_of_values(values)

    for column, total in zip(values.T, found, strict=True):
        assert abs(int(total) * UNIT - sum(map(Fraction, column.tolist()))) <= len(column) * UNIT / 2


@given(COLUMNS)
def test_sum_of_squares_is_the_rational_one_but_for_a_unit_a_person(values: np.ndarray) -> None:
    found = sum_of_squares(values)

    for column, total in zip(values.T, found, strict=True):
        expected = sum(Fraction(value) ** 2 for value in column.tolist())
        assert abs(int(total) * UNIT - expected) <= len(column) * UNIT


@given(COLUMNS)
def test_sums_of_parts_add_up_exactly(values: np.ndarray) -> None:
    half = len(values) // 2

    assert np.array_equal(sum_of_squares(values), sum_of_squares(values[:half]) + sum_of_squares(values[half:]))
    assert np.array_equal(sum_of_values(values), sum_of_values(values[:half]) + sum_of_values(values[half:]))


def test_no_digit_is_lost_where_a_large_offset_cancels() -> None:
    values = np.array([[1e14 + 1], [1e14 - 1], [-2e14]])

    assert int(sum_of_values(values)[0]) == 0


@pytest.mark.parametrize("value", [2.0**50, -(2.0**50), np.inf, np.nan])
def test_values_that_do_not_fit_are_refused(value: float) -> None:
    with pytest.raises(RangeOverflow, match="2\\^50"):
        sum_of_values(np.array([[1.0], [value]]))


@given(
    arrays(np.int64, (30, 2), elements=st.integers(-(2**45), 2**45)),
    arrays(np.int64, (30, 3), elements=st.integers(-(2**45), 2**45)),
)
def test_cross_products_are_those_of_whole_numbers(left: np.ndarray, right: np.ndarray) -> None:
    expected = left.astype(object).T @ right.astype(object)

    assert np.array_equal(cross_products(left, right), expected)


def test_cross_products_are_exact_over_more_people_than_one_product_takes() -> None:
    column = np.full((20_000, 1), 2**45 - 1)

    assert int(cross_products(column, column)[0, 0]) == 20_000 * (2**45 - 1) ** 2
