"""Arrays that start where a cache line does: vectors that lie across two lines take twice as long to load."""

from math import prod
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

_T = TypeVar("_T", bound=np.generic)

#: Bytes of a cache line, and of the longest vectors.
LINE = 64


def zeros(shape: tuple[int, ...], dtype: type[_T]) -> npt.NDArray[_T]:
    """Zeros."""
    found = as_found(shape, dtype)
    found.fill(0)
    return found


def as_found(shape: tuple[int, ...], dtype: type[_T]) -> npt.NDArray[_T]:
    """An array to be written before it is read."""
    size = prod(shape) * np.dtype(dtype).itemsize
    raw = np.empty(size + LINE, np.uint8)
    start = -raw.ctypes.data % LINE
    return cast("npt.NDArray[_T]", raw[start : start + size].view(dtype).reshape(shape))
