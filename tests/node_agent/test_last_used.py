"""Values that are kept: the few used last, and never a thread that waits for another one's value."""

import itertools
import threading

from node_agent.last_used import LastUsed


def test_a_value_is_made_once_while_it_is_kept():
    kept: LastUsed[str, int] = LastUsed(2)
    made = itertools.count()

    assert [kept.get("a", lambda: next(made)) for _ in range(3)] == [0, 0, 0]
    assert next(made) == 1


def test_the_value_not_used_for_longest_goes_first():
    kept: LastUsed[str, object] = LastUsed(2)
    a, b = kept.get("a", object), kept.get("b", object)
    assert kept.get("a", object) is a

    kept.get("c", object)

    assert kept.get("a", object) is a
    assert kept.get("b", object) is not b


def test_a_value_that_was_dropped_is_made_anew():
    kept: LastUsed[str, object] = LastUsed(2)
    first, other = kept.get("a", object), kept.get("b", object)

    kept.drop("a")
    kept.drop("never there")

    assert kept.get("b", object) is other
    assert kept.get("a", object) is not first


def test_who_makes_a_value_may_wait_for_a_thread_that_asks_for_another_one():
    """As a maker that waits for the ledger while the thread that has it asks here."""
    kept: LastUsed[str, str] = LastUsed(2)

    def slow() -> str:
        other = threading.Thread(target=lambda: kept.get("b", lambda: "b"), daemon=True)
        other.start()
        other.join(10)
        return "waits for ever" if other.is_alive() else "a"

    assert kept.get("a", slow) == "a"


def test_two_threads_that_make_a_value_at_once_get_the_same():
    kept: LastUsed[str, object] = LastUsed(2)
    both, got = threading.Barrier(2), []

    def make() -> object:
        both.wait(10)
        return object()

    threads = [threading.Thread(target=lambda: got.append(kept.get("a", make))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert got[0] is got[1]
