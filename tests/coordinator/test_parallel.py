"""What is done beside a run is done in order, is waited for, and does not hide its failures."""

import threading

import pytest

from fedstats.coordinator.parallel import Aside


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
