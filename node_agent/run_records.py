"""What an agent remembers of runs as a whole: when each was last asked for something, its blobs, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fedstats.errors import ProtocolRefused
from fedstats.ledger import Ledger

#: How long a run that nobody finished can be resumed after it was last asked for something.
KEPT = timedelta(days=30)

TABLES = """
CREATE TABLE IF NOT EXISTS run_activity (run TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_coordinators (run TEXT PRIMARY KEY, signer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_ends (run TEXT PRIMARY KEY, how TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_blobs (run TEXT NOT NULL, sha256 TEXT NOT NULL, PRIMARY KEY (run, sha256));
CREATE INDEX IF NOT EXISTS run_blobs_by_blob ON run_blobs (sha256);
"""


@dataclass(frozen=True)
class RunRecords:
    """The tables of runs; methods that write are called within a transaction of the ledger."""

    ledger: Ledger

    def touch(self, run: str, now: datetime) -> None:
        """A run, or the planning of one, was asked for something."""
        self.ledger.write("INSERT OR REPLACE INTO run_activity VALUES (?, ?)", run, now.isoformat())

    def begun_by(self, run: str, signer: str) -> None:
        """Fix who may ask in a run from here on: the coordinator that began it."""
        self.ledger.write("INSERT OR IGNORE INTO run_coordinators VALUES (?, ?)", run, signer)

    def check_signer(self, run: str, signer: str) -> None:
        """Refuse an order in a run that another coordinator began."""
        found = self.ledger.rows("SELECT signer FROM run_coordinators WHERE run = ?", run)
        if found and found[0][0] != signer:
            raise ProtocolRefused("the run was begun by another coordinator; nothing was sent.", code="WRONG_SIGNER")

    def idle_since(self, then: datetime) -> list[str]:
        """Runs that did not end and were asked for nothing since some time."""
        query = "SELECT run FROM run_activity WHERE at < ? AND run NOT IN (SELECT run FROM run_ends)"
        return [str(run) for (run,) in self.ledger.rows(query, then.isoformat())]

    def live(self) -> list[str]:
        """Runs that did not end."""
        query = "SELECT run FROM runs WHERE run NOT IN (SELECT run FROM run_ends)"
        return [str(run) for (run,) in self.ledger.rows(query)]

    def end(self, run: str, how: str) -> None:
        """Nothing new is answered in a run from here on."""
        self.ledger.write("INSERT OR IGNORE INTO run_ends VALUES (?, ?)", run, how)

    def ended(self, run: str) -> str:
        """How a run ended; "" where it did not."""
        found = self.ledger.rows("SELECT how FROM run_ends WHERE run = ?", run)
        return str(found[0][0]) if found else ""

    def check_goes_on(self, run: str) -> None:
        """Refuse anything new in a run that ended."""
        how = self.ended(run)
        if how == "forgotten":
            raise ProtocolRefused(
                f"the run was asked for nothing for {KEPT.days} days, so its secrets were deleted; start a new run. "
                "Nothing was sent.",
                code="RUN_FINISHED",
            )
        if how:
            raise ProtocolRefused("the run is finished; start a new run. Nothing was sent.", code="RUN_FINISHED")

    def use_blob(self, run: str, sha256: str) -> None:
        """A run needs a blob."""
        self.ledger.write("INSERT OR IGNORE INTO run_blobs VALUES (?, ?)", run, sha256)

    def release_blobs(self, run: str) -> Sequence[str]:
        """Forget which blobs a run needs; gives those that no other run does."""
        query = (
            "SELECT sha256 FROM run_blobs AS mine WHERE run = ?1"
            " AND NOT EXISTS (SELECT 1 FROM run_blobs AS other WHERE other.sha256 = mine.sha256 AND other.run <> ?1)"
        )
        found = [str(sha256) for (sha256,) in self.ledger.rows(query, run)]
        self.ledger.write("DELETE FROM run_blobs WHERE run = ?", run)
        return found
