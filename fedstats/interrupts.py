"""Ctrl-C while threads work: kept until it can do no harm, and what waits is told to stop.

Python raises KeyboardInterrupt between any two instructions of the main thread, also where that has just taken a lock
and has not come to the place that would release it: every other thread then waits for ever. So a run never sees it.
What waits for nodes is stopped, which ends the run by an error of its own, and only then is KeyboardInterrupt raised.
"""

import queue
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

#: What interrupts a command, where the process does not leave it to the system.
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """What is to be stopped when a run is interrupted, and whether it was."""

    def __init__(self) -> None:
        self.happened = False
        self._stops: list[Callable[[], None]] = []
        # A simple queue may be put into from a signal handler, whatever the thread was doing.
        self._told: queue.SimpleQueue[bool] = queue.SimpleQueue()
        self._before: dict[int, Any] = {}  # Any: the handlers of before, of whatever kind

    def on_stop(self, stop: Callable[[], None]) -> None:
        """Have something called when the run is interrupted; it is called in another thread, perhaps more than once."""
        self._stops.append(stop)
        if self.happened:
            stop()

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Keep interrupts until the block ends, which is then by KeyboardInterrupt; a second one is not kept.

        In any thread but the main one, which alone is interrupted, it does nothing.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        threading.Thread(target=self._wait, name="interrupts", daemon=True).start()
        self._before = {number: signal.getsignal(number) for number in _SIGNALS}
        self._before = {number: handler for number, handler in self._before.items() if callable(handler)}
        for number in self._before:
            signal.signal(number, self._note)
        try:
            yield
        except Exception:
            if not self.happened:
                raise
        finally:
            for number, handler in self._before.items():
                signal.signal(number, handler)
            self._told.put(False)
        if self.happened:
            raise KeyboardInterrupt from None

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.happened:
            self._before[number](number, frame)
        self.happened = True
        self._told.put(True)

    def _wait(self) -> None:
        while self._told.get():
            for stop in list(self._stops):
                stop()
