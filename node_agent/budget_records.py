"""What each project was ever told of each set of people: tables of the ledger's file, written before anything is sent.

Methods that write are called within a transaction of the ledger, so that a charge and the answer that it pays for are
durable together, or neither is.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from fedstats.arrays import Indices
from fedstats.ledger import Ledger
from node_agent.budgets import Numbers
from node_agent.cohort_people import Bits

TABLES = """
CREATE TABLE IF NOT EXISTS budget_runs (run TEXT PRIMARY KEY, project TEXT NOT NULL, dataset TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS budget_runs_by_project ON budget_runs (project, dataset);
CREATE TABLE IF NOT EXISTS budget_people_lists (
  project TEXT NOT NULL, dataset TEXT NOT NULL, list TEXT NOT NULL, PRIMARY KEY (project, dataset, list));
CREATE TABLE IF NOT EXISTS budget_columns (
  project TEXT NOT NULL, dataset TEXT NOT NULL, kind TEXT NOT NULL, cohort TEXT NOT NULL, name TEXT NOT NULL,
  run TEXT NOT NULL, PRIMARY KEY (project, dataset, kind, cohort, name));
CREATE TABLE IF NOT EXISTS budget_numbers (
  project TEXT NOT NULL, dataset TEXT NOT NULL, cohort TEXT NOT NULL, block INTEGER NOT NULL, numbers BLOB NOT NULL,
  PRIMARY KEY (project, dataset, cohort, block));
CREATE TABLE IF NOT EXISTS budget_sums (
  project TEXT NOT NULL, dataset TEXT NOT NULL, sum TEXT NOT NULL, PRIMARY KEY (project, dataset, sum));
CREATE TABLE IF NOT EXISTS budget_shares (
  project TEXT NOT NULL, dataset TEXT NOT NULL, what TEXT NOT NULL, share REAL NOT NULL,
  PRIMARY KEY (project, dataset, what));
"""

#: Variants of one row of `budget_numbers`, by their place in the genotype file.
BLOCK = 4096


@dataclass(frozen=True)
class Account:
    """A project with one data set: what budgets are kept for."""

    project: str
    dataset: str


@dataclass(frozen=True)
class BudgetRecords:
    """The tables of budgets of one agent."""

    ledger: Ledger

    def begin_run(self, account: Account, run: str) -> None:
        """Count a run."""
        self.ledger.write("INSERT OR IGNORE INTO budget_runs VALUES (?, ?, ?)", run, account.project, account.dataset)

    def runs_begun(self, account: Account, but: str = "") -> int:
        """How many runs of a project have begun, one left out."""
        query = "SELECT count(*) FROM budget_runs WHERE project = ? AND dataset = ? AND run <> ?"
        return int(self.ledger.rows(query, account.project, account.dataset, but)[0][0])

    def people_lists(self, account: Account) -> frozenset[str]:
        """Digests of the lists of people that a project ever named."""
        query = "SELECT list FROM budget_people_lists WHERE project = ? AND dataset = ?"
        return frozenset(str(found) for (found,) in self.ledger.rows(query, account.project, account.dataset))

    def name_people_list(self, account: Account, people: str) -> None:
        """Count a list of people, once."""
        values = (account.project, account.dataset, people)
        self.ledger.write("INSERT OR IGNORE INTO budget_people_lists VALUES (?, ?, ?)", *values)

    def columns(self, account: Account, kind: str) -> dict[str, frozenset[str]]:
        """By cohort, the columns that were multiplied into genotypes of one kind."""
        query = "SELECT cohort, name FROM budget_columns WHERE project = ? AND dataset = ? AND kind = ?"
        found: dict[str, set[str]] = {}
        for cohort, name in self.ledger.rows(query, account.project, account.dataset, kind):
            found.setdefault(str(cohort), set()).add(str(name))
        return {cohort: frozenset(names) for cohort, names in found.items()}

    def charge_columns(self, account: Account, kind: str, cohort: str, columns: frozenset[str], run: str) -> None:
        """From here on these columns are free for this cohort."""
        for name in sorted(columns):
            values = (account.project, account.dataset, kind, cohort, name, run)
            self.ledger.write("INSERT OR IGNORE INTO budget_columns VALUES (?, ?, ?, ?, ?, ?)", *values)

    def cohorts_with_numbers(self, account: Account) -> list[str]:
        """Cohorts of which numbers were given."""
        # From one cohort to the next, past their blocks, which may be thousands each.
        query = (
            "WITH RECURSIVE given(one) AS ("
            " SELECT min(cohort) FROM budget_numbers WHERE project = ?1 AND dataset = ?2 UNION ALL"
            " SELECT (SELECT min(cohort) FROM budget_numbers WHERE project = ?1 AND dataset = ?2 AND cohort > one)"
            " FROM given WHERE one IS NOT NULL) SELECT one FROM given WHERE one IS NOT NULL"
        )
        return [str(cohort) for (cohort,) in self.ledger.rows(query, account.project, account.dataset)]

    def numbers(self, account: Account, cohorts: Collection[str], rows: Indices) -> Numbers:
        """How many numbers were given of variants, by their rows in the genotype file; of some cohorts together."""
        found = np.zeros(len(rows), np.int64)
        blocks = rows // BLOCK
        for block in np.unique(blocks).tolist():
            at = np.flatnonzero(blocks == block)
            given = sum((self._block(account, cohort, block) for cohort in cohorts), np.zeros(BLOCK, np.int64))
            found[at] = given[rows[at] % BLOCK]
        return found

    def charge_numbers(self, account: Account, cohort: str, rows: Indices, number: int) -> None:
        """So many more numbers are given of these variants."""
        blocks = rows // BLOCK
        for block in np.unique(blocks).tolist():
            counted = self._block(account, cohort, block).copy()
            counted[rows[blocks == block] % BLOCK] += number
            values = (account.project, account.dataset, cohort, block, counted.astype("<u4").tobytes())
            self.ledger.write("INSERT OR REPLACE INTO budget_numbers VALUES (?, ?, ?, ?, ?)", *values)

    def _block(self, account: Account, cohort: str, block: int) -> Numbers:
        query = "SELECT numbers FROM budget_numbers WHERE project = ? AND dataset = ? AND cohort = ? AND block = ?"
        found = self.ledger.rows(query, account.project, account.dataset, cohort, block)
        return np.frombuffer(found[0][0], "<u4").astype(np.int64) if found else np.zeros(BLOCK, np.int64)

    def is_paid(self, account: Account, asked: str) -> bool:
        """Whether the very same sum was given before."""
        query = "SELECT 1 FROM budget_sums WHERE project = ? AND dataset = ? AND sum = ?"
        return bool(self.ledger.rows(query, account.project, account.dataset, asked))

    def sums_paid(self, account: Account) -> int:
        """How many sums are free, for they were given before."""
        query = "SELECT count(*) FROM budget_sums WHERE project = ? AND dataset = ?"
        return int(self.ledger.rows(query, account.project, account.dataset)[0][0])

    def pay(self, account: Account, asked: str) -> None:
        """From here on this sum is free."""
        self.ledger.write(
            "INSERT OR IGNORE INTO budget_sums VALUES (?, ?, ?)", *(account.project, account.dataset, asked)
        )

    def tell(self, account: Account, what: str, share: float) -> None:
        """The share of a budget that is spent, where it is more than before."""
        self.ledger.write(
            "INSERT INTO budget_shares VALUES (?, ?, ?, ?)"
            " ON CONFLICT DO UPDATE SET share = max(share, excluded.share)",
            *(account.project, account.dataset, what, share),
        )

    def accounts(self) -> list[Account]:
        """All projects of which a run has begun."""
        found = self.ledger.rows("SELECT DISTINCT project, dataset FROM budget_runs ORDER BY project, dataset")
        return [Account(str(project), str(dataset)) for project, dataset in found]

    def shares(self, account: Account) -> dict[str, float]:
        """By budget, the share that is spent."""
        query = "SELECT what, share FROM budget_shares WHERE project = ? AND dataset = ? ORDER BY what"
        return {str(what): float(share) for what, share in self.ledger.rows(query, account.project, account.dataset)}


def union(cohorts: list[Bits]) -> Bits:
    """The bitmap of everybody who is in some cohort."""
    everybody = np.zeros(max((len(bits) for bits in cohorts), default=0), np.uint8)
    for bits in cohorts:
        everybody[: len(bits)] |= bits
    return everybody
