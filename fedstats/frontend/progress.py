"""Progress of a scan as events: variants done, in total, and seconds left."""

import time
from collections.abc import Callable, Sequence

from fedstats.frontend.backend import Event, Events
from fedstats.study import Chunk


class Progress:
    """Counts finished chunks of one analysis and tells an onlooker."""

    def __init__(
        self, analysis: str, chunks: Sequence[Chunk], events: Events, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._analysis, self._chunks, self._events, self._clock = analysis, chunks, events, clock
        self._total = sum(len(chunk.variants) for chunk in chunks)
        self._finished = self._done = 0
        self._started = clock()
        self._tell()

    def advance(self) -> None:
        """The next chunk is finished."""
        self._done += len(self._chunks[self._finished].variants)
        self._finished += 1
        self._tell()

    def finish(self) -> None:
        """The analysis is done, also with chunks that it had no use for: Hardy-Weinberg tests no Y."""
        if self._done < self._total:
            self._done = self._total
            self._tell()

    def _tell(self) -> None:
        elapsed = self._clock() - self._started
        left = elapsed / self._done * (self._total - self._done) if self._done else None
        self._events(
            Event(
                "pass",
                {
                    "pass": self._analysis,
                    "passes_done": self._finished,
                    "passes": len(self._chunks),
                    "done": self._done,
                    "total": self._total,
                    "seconds_left": left,
                },
            )
        )
