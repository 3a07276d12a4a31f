"""Room for uploads: each is bounded by what it is for, and all that come at once are bounded together.

Large ones lie in temporary files until they are kept, see `fedstats.scratch`.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from fedstats.errors import NodeUnreachable


@dataclass
class Room:
    """Bytes that uploads may hold together, from their announcement until they are on the disk.

    Who finds no room is turned away before any byte is taken in, and comes again; nothing of that is kept, so that
    nobody fills a ledger with it.
    """

    most: int
    _held: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @contextmanager
    def hold(self, length: int) -> Iterator[None]:
        """Hold room for an upload.

        Raises
        ------
        NodeUnreachable
            Code BUSY: other uploads hold it.
        """
        with self._lock:
            if self._held + length > self.most:
                raise NodeUnreachable("the node has no room for another upload yet", code="BUSY")
            self._held += length
        try:
            yield
        finally:
            with self._lock:
                self._held -= length
