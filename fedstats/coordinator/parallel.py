"""Ask several nodes at once: all of them, or as many as are enough; and do what nobody waits for beside the run.

Threads are daemons: one that waits for a node that is away never keeps the process alive.
"""

import queue
import threading
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from fedstats.errors import NodeUnreachable

T = TypeVar("T")


class Aside:
    """Work that is done beside the run, one piece after another; a failure is raised by whoever comes next."""

    def __init__(self) -> None:
        self._queue: queue.Queue[Callable[[], None]] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._failure: BaseException | None = None

    def do(self, work: Callable[[], None]) -> None:
        """Have something done, after all that was given before."""
        self._raise_failure()
        self._queue.put(work)
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="aside", daemon=True)
                self._thread.start()

    def finish(self) -> None:
        """Wait until everything is done."""
        self.wait()
        self._raise_failure()

    def wait(self) -> None:
        """The same, whether it was done or failed."""
        self._queue.join()

    def _work(self) -> None:
        while True:
            work = self._queue.get()
            try:
                if self._failure is None:
                    work()
            except BaseException as error:  # noqa: BLE001  # whatever it is, the thread that comes next raises it
                self._failure = error
            finally:
                self._queue.task_done()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


_Answer = tuple[str, T | None, BaseException | None]


def from_all(nodes: Iterable[str], ask: Callable[[str], T]) -> dict[str, T]:
    """What `ask` gives for every node, in the order of the nodes.

    The first refusal or failure is raised at once; a node that is away is raised only when all others have answered,
    so that what they did is not lost.
    """
    names = list(nodes)
    answers, pending, away = _start(names, ask), len(names), None
    found: dict[str, T] = {}
    while pending:
        node, value, error = answers.get()
        pending -= 1
        if isinstance(error, NodeUnreachable):
            away = away or error
        elif error is not None:
            raise error
        else:
            found[node] = value  # type: ignore[assignment]  # without an error there is a value
    if away is not None:
        raise away
    return {node: found[node] for node in names}


def from_enough(nodes: Iterable[str], ask: Callable[[str], T], enough: int) -> dict[str, T]:
    """What `ask` gives for the first nodes that answer, at least `enough` of them.

    A node that is away is no hindrance while enough others remain; any other error is raised at once.
    """
    names = list(nodes)
    answers, pending = _start(names, ask), len(names)
    found: dict[str, T] = {}
    away: NodeUnreachable | None = None
    while len(found) < enough:
        if not pending and away is not None:
            raise away
        node, value, error = answers.get()
        pending -= 1
        if isinstance(error, NodeUnreachable):
            away = away or error
        elif error is not None:
            raise error
        else:
            found[node] = value  # type: ignore[assignment]  # without an error there is a value
    return found


def _start(names: list[str], ask: Callable[[str], T]) -> "queue.SimpleQueue[_Answer[T]]":
    answers: queue.SimpleQueue[_Answer[T]] = queue.SimpleQueue()

    def work(node: str) -> None:
        try:
            answers.put((node, ask(node), None))
        except BaseException as error:  # noqa: BLE001  # whatever it is, the thread that waits raises it
            answers.put((node, None, error))

    for node in names:
        _ASKING.do(partial(work, node))
    return answers


class Threads:
    """Daemon threads, as many as are at work at once; those that are idle take the next piece, or end after a while."""

    def __init__(self, idle_seconds: float) -> None:
        self._idle_seconds = idle_seconds
        self._queue: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._idle = threading.Semaphore(0)

    def do(self, work: Callable[[], None]) -> None:
        """Have something done at once; it must not raise."""
        self._queue.put(work)
        if not self._idle.acquire(blocking=False):
            threading.Thread(target=self._serve, name="ask", daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                work = self._queue.get(timeout=self._idle_seconds)
            except queue.Empty:
                # Whoever counts on an idle thread took its place from the semaphore: then work is on its way.
                if self._idle.acquire(blocking=False):
                    return
                continue
            work()
            del work  # nothing of a call is kept while there is no other
            self._idle.release()


_ASKING = Threads(idle_seconds=10.0)
