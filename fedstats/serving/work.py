"""Threads that compute: passes side by side, the blocks of a pass several at a time but recorded in order.

Kernels release the interpreter's lock. Nothing forks, and libraries below run one thread each (see commands of agents).
"""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TypeVar

import structlog

from fedstats.errors import FedstatsError
from fedstats.serving.incidents import internal, stopping

V = TypeVar("V")

#: Passes that are computed side by side; their blocks share the threads that compute.
PASSES_AT_ONCE = 4

_log = structlog.get_logger("work")


@dataclass
class Workers:
    """Passes at work in this process.

    Attributes
    ----------
    threads
        Blocks that are computed at once.
    changed
        Notified whenever a pass got on or ended.
    """

    threads: int
    changed: threading.Condition = field(default_factory=threading.Condition)
    _stop: threading.Event = field(default_factory=threading.Event)
    _running: set[str] = field(default_factory=set)
    _failed: dict[str, FedstatsError] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._passes = ThreadPoolExecutor(PASSES_AT_ONCE, "pass")
        self._blocks = ThreadPoolExecutor(self.threads, "block")

    def ensure(self, pass_id: str, work: Callable[[], None]) -> None:
        """Compute a pass, unless it is at work; one that failed is tried again."""
        with self.changed:
            if pass_id in self._running or self._stop.is_set():
                return
            self._running.add(pass_id)
            self._failed.pop(pass_id, None)
        self._passes.submit(self._run, pass_id, work)

    def failure(self, pass_id: str) -> FedstatsError | None:
        """Why a pass stopped, None while it is at work or done."""
        return self._failed.get(pass_id)

    @property
    def stopped(self) -> bool:
        """Whether the agent is about to end."""
        return self._stop.is_set()

    def in_order(self, calls: Iterable[Callable[[], V]]) -> Iterator[V]:
        """Results of calls in order, computed a few ahead; ends between two of them when the agent stops."""
        ahead: deque[Future[V]] = deque()
        try:
            for call in calls:
                if self._stop.is_set():
                    raise stopping()
                ahead.append(self._blocks.submit(call))
                if len(ahead) > self.threads:
                    yield ahead.popleft().result()
            while ahead:
                if self._stop.is_set():
                    raise stopping()
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()

    def notify(self) -> None:
        """Wake whoever waits for words."""
        with self.changed:
            self.changed.notify_all()

    def stop_soon(self) -> None:
        """Begin no other block, and wake whoever waits for words."""
        self._stop.set()
        self.notify()

    def stop(self) -> None:
        """Let the blocks at hand end, begin no other, and wait for the threads."""
        self.stop_soon()
        self._passes.shutdown(wait=True, cancel_futures=True)
        self._blocks.shutdown(wait=True, cancel_futures=True)

    def _run(self, pass_id: str, work: Callable[[], None]) -> None:
        failed: FedstatsError | None = None
        try:
            work()
        except FedstatsError as error:
            failed = error
            _log.warning("pass.stopped", pass_id=pass_id, code=error.code, message=error.message)
        except Exception as error:  # noqa: BLE001  # whatever a kernel raises must end as an answer, not as silence
            failed = internal(error)
        with self.changed:
            self._running.discard(pass_id)
            if failed is not None:
                self._failed[pass_id] = failed
            self.changed.notify_all()
