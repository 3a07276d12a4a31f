"""Vectors of eight: what their operators build, and whether the compiler takes what it is told."""

from typing import Any

import numba as nb
import numpy as np
import pytest
from numba import extending
from numba.core import types

from fedstats.kernels.simd import use_whole_vectors
from fedstats.kernels.vectors import LANES, Eight

intrinsic: Any = extending.intrinsic


def of_eight(build: Any) -> Any:
    """A kernel that puts what `build` makes of eight numbers where it is told."""

    @intrinsic
    def apply(typing_context: Any, target: Any, source: Any) -> Any:  # numba's signature
        def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:  # as above
            build(Eight.load(builder, arguments[1])).store(arguments[0])
            return context.get_dummy_value()

        return types.void(target, source), generate

    @nb.njit
    def kernel(target: Any, source: Any) -> None:
        for i in range(0, len(source), LANES):
            apply(target.ctypes.data + 8 * i, source.ctypes.data + 8 * i)

    return kernel


def applied(build: Any, numbers: np.ndarray) -> np.ndarray:
    """What a kernel makes of numbers."""
    found = np.empty(len(numbers))
    of_eight(build)(found, numbers)
    return found


def test_reciprocals_are_off_by_two_units_in_the_last_place_at_most_whatever_the_size():
    rng = np.random.default_rng(1)
    numbers = np.exp(rng.uniform(0, 700, 8_000)) * rng.choice([1.0, -1.0], 8_000)

    np.testing.assert_allclose(applied(lambda x: x.reciprocal(), numbers), 1 / numbers, rtol=2 * 2**-52)


@pytest.mark.parametrize(
    ("build", "expected"),
    [
        (lambda x: 2.0 - x, lambda x: 2.0 - x),
        (lambda x: x - 2.0, lambda x: x - 2.0),
        (lambda x: 3.0 * x + x * x, lambda x: 3.0 * x + x * x),
        (lambda x: -x, lambda x: -x),
        (lambda x: x.at_least(0.25), lambda x: np.maximum(x, 0.25)),
        (lambda x: x.at_most(0.25), lambda x: np.minimum(x, 0.25)),
        (lambda x: (x * 0.0 + 2.0**52 + 1024.0).with_bits_moved_up(52), lambda x: np.full(len(x), 2.0)),
    ],
)
def test_operators_do_to_eight_what_numpy_does_to_one(build, expected):
    numbers = np.random.default_rng(2).normal(size=64)

    # A product and a sum may be rounded once instead of twice.
    np.testing.assert_allclose(applied(build, numbers), expected(numbers), rtol=1e-14, atol=1e-15)


def test_a_kernel_that_asks_for_whole_vectors_tells_the_compiler():
    @nb.njit
    def asking(x: Any) -> Any:
        use_whole_vectors()
        return x + 1

    asking(1.0)

    (code,) = asking.inspect_llvm().values()
    assert '"prefer-vector-width"="512"' in code
