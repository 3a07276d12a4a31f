"""What a benchmark says of its duration follows what it will do."""

from benchmarks import expected, tasks

NAMES = [task.name for task in tasks.TASKS]


def minutes(*names: str, repeats: int = 3, rivals: int = 2, quick: bool = False) -> float:
    return expected.minutes(names, (0.005, 0.0), repeats, rivals=rivals, quick=quick)


def test_everything_takes_about_as_long_as_it_was_seen_to_take() -> None:
    # With two versions of plink2 at two threads and three repeats, 28 to 40 minutes on two cores, data included.
    assert 25 < minutes(*NAMES, "growth") < 75


def test_scans_wait_for_plink2_and_tables_of_counts_hardly_do() -> None:
    assert minutes("linear", rivals=8) > 2 * minutes("linear", rivals=2)
    assert minutes("freq", rivals=8) == minutes("freq", rivals=2)


def test_tasks_on_the_same_data_have_them_simulated_once() -> None:
    assert minutes("freq", "missing") < minutes("freq") + minutes("missing") - 0.5


def test_quick_is_minutes() -> None:
    assert minutes(*NAMES, "growth", repeats=1, rivals=1, quick=True) < 15
