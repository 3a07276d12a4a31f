"""Ctrl-C during a run: what waits is stopped, nothing is thrown into the midst of it, and a second one is not kept."""

import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from fedstats.interrupts import Interrupts

WAIT_SECONDS = 10.0


def interrupt(number: int = signal.SIGINT) -> None:
    """A signal to this thread; its handler has run when this returns."""
    signal.raise_signal(number)


def kept(interrupts: Interrupts, work: Callable[[], object]) -> None:
    """Work whose interrupts are kept; its own errors are not seen once there was one, so nothing is asserted in it."""
    with interrupts.kept():
        work()


@pytest.fixture
def terminated() -> Iterator[Callable[[], int]]:
    """SIGTERM counted by a handler, as the command line has one; how often it came."""
    count = 0

    def handler(*_: object) -> None:
        nonlocal count
        count += 1

    before = signal.signal(signal.SIGTERM, handler)
    yield lambda: count
    signal.signal(signal.SIGTERM, before)


def test_an_interrupt_is_raised_when_the_block_has_come_to_its_end() -> None:
    reached = []

    def work() -> None:
        interrupt()
        reached.append("the end")

    with pytest.raises(KeyboardInterrupt):
        kept(Interrupts(), work)

    assert reached == ["the end"]


def test_what_waits_is_stopped_and_the_error_that_it_raises_is_not_shown() -> None:
    interrupts, stopped = Interrupts(), threading.Event()
    interrupts.on_stop(stopped.set)

    def work() -> None:
        interrupt()
        stopped.wait(WAIT_SECONDS)
        raise ValueError("the line was closed")

    with pytest.raises(KeyboardInterrupt) as raised:
        kept(interrupts, work)

    assert stopped.is_set()
    assert raised.value.__suppress_context__


def test_what_begins_to_wait_after_an_interrupt_is_stopped_at_once() -> None:
    interrupts, begun, stopped = Interrupts(), threading.Event(), []
    interrupts.on_stop(begun.set)

    def work() -> None:
        interrupt()
        begun.wait(WAIT_SECONDS)
        time.sleep(0.1)  # what was waiting is stopped by now
        interrupts.on_stop(lambda: stopped.append("a line"))

    with pytest.raises(KeyboardInterrupt):
        kept(interrupts, work)

    assert begun.is_set()
    assert stopped == ["a line"]


def test_errors_of_a_block_that_was_not_interrupted_are_its_own() -> None:
    interrupts = Interrupts()

    with pytest.raises(ValueError, match="its own"), interrupts.kept():
        raise ValueError("its own")

    assert not interrupts.happened


def test_a_second_interrupt_is_raised_where_it_comes() -> None:
    reached = []

    def work() -> None:
        interrupt()
        reached.append("first")
        interrupt()
        reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        kept(Interrupts(), work)

    assert reached == ["first"]


def test_handlers_are_as_they_were_afterwards(terminated: Callable[[], int]) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    with Interrupts().kept():
        during = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)

    assert set(before).isdisjoint(during)
    assert before == (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM))
    assert terminated() == 0


def test_a_signal_that_the_command_handles_is_kept_as_well(terminated: Callable[[], int]) -> None:
    interrupts, stopped = Interrupts(), threading.Event()
    interrupts.on_stop(stopped.set)

    def work() -> None:
        interrupt(signal.SIGTERM)
        stopped.wait(WAIT_SECONDS)

    with pytest.raises(KeyboardInterrupt):
        kept(interrupts, work)

    assert stopped.is_set()
    assert terminated() == 0


def test_a_signal_that_is_left_to_the_system_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        with Interrupts().kept():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGTERM, before)


def test_another_thread_is_left_alone() -> None:
    found = []

    def work() -> None:
        with Interrupts().kept():
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert found == [signal.getsignal(signal.SIGINT)]
