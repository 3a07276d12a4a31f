"""How many calls and bytes went to and came from each node: for run.json and the report."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass
class Traffic:
    """Counts by node; calls come from many threads.

    Bytes are those of documents, signatures and pieces, without what TLS and gRPC add.
    """

    calls: Counter[str] = field(default_factory=Counter)
    bytes_sent: Counter[str] = field(default_factory=Counter)
    bytes_received: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, node: str, *, sent: int = 0, received: int = 0, calls: int = 0) -> None:
        """Count what one call moved."""
        with self._lock:
            self.calls[node] += calls
            self.bytes_sent[node] += sent
            self.bytes_received[node] += received

    def restore(self, calls: Mapping[str, int], sent: Mapping[str, int], received: Mapping[str, int]) -> None:
        """Add what an earlier part of the same run had counted."""
        with self._lock:
            self.calls.update(calls)
            self.bytes_sent.update(sent)
            self.bytes_received.update(received)
