"""What a node computes from its people alone, kept between the blocks of a scan: pure functions, remembered."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any, Generic, TypeVar

import numpy as np

V = TypeVar("V")

#: Values kept: passes of two models may take turns.
_MOST = 2


@dataclass(frozen=True, eq=False)
class _Kept(Generic[V]):
    arrays: tuple[np.ndarray, ...]
    parameters: bytes
    value: V


class Recent(Generic[V]):
    """The last few values of a function of arrays and parameters.

    Arrays are told apart by identity: those of a cohort stay the same objects from block to block and are never
    written to. Kept arrays cannot be freed, so that no other array can take the place of one of them.
    """

    def __init__(self) -> None:
        self._kept: list[_Kept[V]] = []
        self._lock = Lock()

    def get(self, arrays: tuple[np.ndarray, ...], parameters: bytes, compute: Callable[[], V]) -> V:
        """The value for these arrays and parameters, computed unless it is kept."""
        with self._lock:
            for kept in self._kept:
                if kept.parameters == parameters and _same(kept.arrays, arrays):
                    return kept.value
        value = compute()
        with self._lock:
            self._kept = [*self._kept[1 - _MOST :], _Kept(arrays, parameters, value)]
        return value


def _same(one: tuple[np.ndarray, ...], other: tuple[np.ndarray, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))


def bytes_of(*values: Any) -> bytes:
    """Parameters as bytes, with their shapes, so that different ones never look alike."""
    arrays = [np.ascontiguousarray(value) for value in values]
    return b"".join(str((array.dtype.str, array.shape)).encode() + array.tobytes() for array in arrays)
