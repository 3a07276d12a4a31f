"""Values that were made and are kept: the few that were used last."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class LastUsed(Generic[K, V]):
    """At most `most` values by key; any thread may ask.

    Nothing is held while a value is made, for its maker may wait for the ledger while another thread, which has the
    ledger, asks here. Two threads may therefore make a value at the same time; both get the one that was kept first.
    """

    most: int
    _kept: dict[K, V] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value that is kept, or the one that is made and kept; the one not used for longest goes first."""
        with self._lock:
            if key in self._kept:
                return self._used(key, self._kept[key])
        made = make()
        with self._lock:
            return self._used(key, self._kept.get(key, made))

    def drop(self, key: K) -> None:
        """Do not keep the value of a key."""
        with self._lock:
            self._kept.pop(key, None)

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()

    def _used(self, key: K, value: V) -> V:
        """Put a value at the end of the row."""
        self._kept.pop(key, None)
        while len(self._kept) >= self.most:
            self._kept.pop(next(iter(self._kept)))
        self._kept[key] = value
        return value
