"""Aligned arrays begin with a cache line, whatever was allocated before, and zeros are zero."""

import numpy as np
import pytest

from fedstats.kernels import aligned


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
@pytest.mark.parametrize("shape", [(0,), (1,), (7,), (3, 5), (40, 128)])
def test_arrays_begin_with_a_line(shape, dtype):
    held = []
    for make in (aligned.zeros, aligned.as_found) * 8:
        found = make(shape, dtype)
        held.append((found, np.empty(24, np.uint8)))  # moves where the next one would lie

        assert found.ctypes.data % aligned.LINE == 0 or not found.size
        assert (found.shape, found.dtype) == (shape, dtype)
        assert found.flags.c_contiguous


def test_zeros_are_zero_where_something_else_was():
    for _ in range(8):
        aligned.as_found((1000,), np.float64)[:] = 1.0

        assert not aligned.zeros((1000,), np.float64).any()
