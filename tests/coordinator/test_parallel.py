"""What is done beside a run is done in order, is waited for, and does not hide its failures."""

import threading

import pytest

from fedstats.coordinator.parallel import Aside, Threads


def test_work_beside_a_run_is_done_in_order_when_it_is_waited_for() -> None:
    aside, done, go = Aside(), [], threading.Event()
    aside.do(lambda: done.append(go.wait(10)))
    aside.do(lambda: done.append("second"))

    assert done == []
    go.set()
    aside.finish()
    assert done == [True, "second"]


def test_failure_beside_a_run_is_raised_and_nothing_is_done_after_it() -> None:
    aside, done = Aside(), []

    def fail() -> None:
        raise OSError("no disk")

    aside.do(fail)
    with pytest.raises(OSError, match="no disk"):
        aside.finish()
    with pytest.raises(OSError, match="no disk"):
        aside.do(lambda: done.append("late"))
    assert done == []


def test_whoever_waits_only_is_not_told_of_failures() -> None:
    aside, begun, go = Aside(), threading.Event(), threading.Event()

    def fail() -> None:
        begun.set()
        go.wait(10)
        raise OSError("no disk")

    aside.do(fail)
    assert begun.wait(10)
    go.set()
    aside.wait()
    with pytest.raises(OSError, match="no disk"):
        aside.finish()


def test_pieces_of_work_that_wait_for_one_another_all_run_at_once() -> None:
    threads, all_there, done = Threads(idle_seconds=5.0), threading.Barrier(9), threading.Semaphore(0)

    def work() -> None:
        all_there.wait(10)
        done.release()

    for _ in range(8):
        threads.do(work)
    all_there.wait(10)

    assert all(done.acquire(timeout=10) for _ in range(8))


def test_a_thread_that_is_idle_takes_the_next_piece() -> None:
    threads, names = Threads(idle_seconds=5.0), []

    for _ in range(5):
        ended = threading.Event()

        def work(ended: threading.Event = ended) -> None:
            names.append(threading.current_thread())
            ended.set()

        threads.do(work)
        assert ended.wait(10)
        # The thread says that it is idle just after.
        assert threads._idle.acquire(timeout=10)
        threads._idle.release()

    assert len(set(names)) == 1


def test_idle_threads_end_and_others_come_when_there_is_work() -> None:
    threads, done = Threads(idle_seconds=0.02), threading.Semaphore(0)
    before = threading.active_count()

    for _ in range(200):
        threads.do(done.release)
        assert done.acquire(timeout=10)
    for _ in range(500):
        if threading.active_count() <= before:
            break
        threading.Event().wait(0.01)

    assert threading.active_count() <= before
    threads.do(done.release)
    assert done.acquire(timeout=10)
