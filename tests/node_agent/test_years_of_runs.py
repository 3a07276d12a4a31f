"""What a run costs an agent does not depend on how many runs there were: agents serve for years."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from fedstats.ledger import Ledger
from fedstats.wire.messages import FinishOrder
from tests.node_agent.driver import Driver, driven_locally
from tests.node_agent.sites import make_federation

RUNS = 2_000
#: What every run leaves in the ledger, with the columns by which its rows are told apart; but for `budget_runs`, which
#: are counted, and which policy bounds.
LEFT = {
    "plans": "digest",
    "runs": "run",
    "run_ends": "run",
    "run_activity": "run",
    "run_cohorts": "run",
    "run_people": "run",
    "run_coordinators": "run",
    "run_peer_ledgers": "run",
    "passes": "pass_id",
    "pass_data": "pass_id",
    "chunks": "pass_id",
    "answers": "key",
}


def whole_run(driver: Driver, run: str) -> None:
    plan = driver.plan(run=run, privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, [np.arange(12)])
    driver.whole_pass(plan, order, blob)
    for line in driver.lines.values():
        line.call("Finish", FinishOrder(run))


def lived_through(ledger: Ledger, runs: int) -> None:
    """Rows of so many more runs like the last one."""
    for table, key in LEFT.items():
        columns = [name for _, name, *_ in ledger.rows(f"PRAGMA table_info({table})")]
        chosen = ", ".join(f"{name} || '-' || n" if name == key else name for name in columns)
        if table == "passes":  # half of them were given up
            chosen = chosen.replace("closed", "n % 2").replace(
                "state", "CASE n % 2 WHEN 1 THEN state ELSE 'abandoned' END"
            )
        ledger.write(
            f"WITH RECURSIVE times(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM times WHERE n < {runs})"
            f" INSERT INTO {table} SELECT {chosen} FROM {table}, times"
        )


@contextmanager
def steps_counted(ledger: Ledger) -> Iterator[list[int]]:
    """How many steps of its machine SQLite takes, in hundreds."""
    taken = [0]

    def another() -> int:
        taken[0] += 1
        return 0

    ledger.connection.set_progress_handler(another, 100)
    yield taken
    ledger.connection.set_progress_handler(None, 0)


def steps_of_a_run(folder: Path, runs_before: int) -> int:
    with driven_locally(make_federation(folder)) as driver:
        whole_run(driver, "run-1")
        ledger = driver.lines["FI"].agent.node.ledger
        if runs_before:
            lived_through(ledger, runs_before)
        with steps_counted(ledger) as taken:
            whole_run(driver, "run-2")
        return taken[0]


def test_a_run_costs_the_same_after_thousands(tmp_path: Path):
    first, late = steps_of_a_run(tmp_path / "new", 0), steps_of_a_run(tmp_path / "old", RUNS)

    # Each full scan of what so many runs have left would alone take that much.
    assert first > 5
    assert late < first + 50
