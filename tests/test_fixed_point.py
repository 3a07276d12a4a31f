"""The fixed-point code against the definition: each real times 2^f, rounded half to even, modulo 2^64."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats.additive import Additive, Limits, Sum, fraction_bits
from fedstats.arrays import Reals
from fedstats.errors import FedstatsError
from fedstats.fixed_point import decode, encode

LIMITS = Limits()
BOUND = 2.0**21


@dataclass(frozen=True)
class Pairs(Additive):
    by_pair: Annotated[Reals, Sum("row", "column", bound=lambda limits: BOUND)]
    alone: Annotated[Reals, Sum(bound=lambda limits: BOUND)]


def of(values: np.ndarray, alone: float = 0.0) -> tuple[Pairs, dict[str, int]]:
    return Pairs(values, np.array(alone)), {"row": values.shape[0], "column": values.shape[1]}


def words_of(values: np.ndarray) -> np.ndarray:
    release, sizes = of(values)
    return encode(release, sizes, LIMITS)[: values.size]


@given(st.lists(st.floats(-BOUND, BOUND), min_size=1, max_size=40), st.floats(-BOUND, BOUND))
def test_words_are_rounded_multiples(values, alone):
    release, sizes = of(np.array(values)[:, None], alone)
    unit = 2.0 ** fraction_bits(Pairs.schema()["by_pair"], LIMITS)

    words = encode(release, sizes, LIMITS)

    assert words.tolist() == [round(value * unit) % 2**64 for value in [*values, alone]]


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (1, 20_001), (20_001, 1), (700, 66)])
def test_any_shape_is_laid_out_row_by_row(shape):
    values = np.random.default_rng(1).normal(size=(shape[0], shape[1] + 5))[:, : shape[1]]

    found = words_of(values)

    np.testing.assert_array_equal(found, [words_of(row[None, :1])[0] for row in values.reshape(-1, 1)])
    release, sizes = of(values)
    np.testing.assert_allclose(decode(encode(release, sizes, LIMITS), Pairs, sizes, LIMITS).by_pair, values, atol=1e-12)


@pytest.mark.parametrize(
    ("bad", "code"),
    [(np.nan, "NOT_FINITE"), (np.inf, "NOT_FINITE"), (1.01 * BOUND, "RANGE_OVERFLOW"), (-1e300, "RANGE_OVERFLOW")],
)
@pytest.mark.parametrize("place", [0, 8_191, 8_192, 19_999])
def test_what_cannot_be_released_is_refused_wherever_it_stands(bad, code, place):
    values = np.zeros((20_000, 1))
    values[place] = bad

    with pytest.raises(FedstatsError) as refusal:
        words_of(values)

    assert refusal.value.code == code
