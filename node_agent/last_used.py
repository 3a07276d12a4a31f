"""Values that were made and are kept: the few that were used last."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True)
class LastUsed(Generic[K, V]):
    """At most `most` values by key; any thread may ask, and one key is made once."""

    most: int
    _kept: dict[K, V] = field(default_factory=dict, repr=False)
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def get(self, key: K, make: Callable[[], V]) -> V:
        """The value that is kept, or the one that is made and kept; the one not used for longest goes first."""
        with self._lock:
            found = self._kept.pop(key) if key in self._kept else make()
            while len(self._kept) >= self.most:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = found
            return found

    def forget(self) -> None:
        """Keep nothing."""
        with self._lock:
            self._kept.clear()
