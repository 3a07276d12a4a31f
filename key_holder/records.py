"""What a key holder must remember: of each run its plan, nodes and setting, of each pass what was ordered and opened.

Thin functions over tables of the ledger's file; each is called within a transaction of the ledger, so that a record
and its entry in the chain are durable together.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from fedstats.documents import decode, encode
from fedstats.errors import Failed
from fedstats.ledger import Chain, Ledger
from fedstats.wire.key_holder_messages import DecryptOrder

TABLES = """
CREATE TABLE IF NOT EXISTS runs (
  run TEXT PRIMARY KEY, plan TEXT NOT NULL, nodes TEXT NOT NULL, masked INTEGER NOT NULL, signer TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS openings (
  pass_id TEXT PRIMARY KEY, run TEXT NOT NULL, request TEXT NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
  words TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS run_activity (run TEXT PRIMARY KEY, at TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS openings_by_run ON openings (run);
CREATE INDEX IF NOT EXISTS openings_by_state ON openings (state);
"""


#: Plan, nodes and setting of a run, as its orders say.
_Said = tuple[str, str, str]


class State(StrEnum):
    """Where an opening stands; GONE: its words were deleted, and the same product may be ordered again."""

    ORDERED = "ordered"
    OPENED = "opened"
    GONE = "gone"


@dataclass(frozen=True)
class RunRecord:
    """What all orders of a run must agree on; nodes are in alphabetical order."""

    plan: str
    nodes: tuple[str, ...]
    masked: bool
    signer: str


@dataclass(frozen=True)
class Opening:
    """One pass.

    Attributes
    ----------
    request
        SHA-256 of the exact bytes of the order.
    words
        SHA-256 of the opened words, "" before they are.
    """

    order: DecryptOrder
    request: str
    state: State
    words: str


@dataclass(frozen=True)
class Records:
    """The tables of one key holder."""

    ledger: Ledger

    def run(self, run: str) -> RunRecord | None:
        """What the first order of a run said."""
        found = self.ledger.rows("SELECT plan, nodes, masked, signer FROM runs WHERE run = ?", run)
        return (
            RunRecord(str(found[0][0]), tuple(json.loads(found[0][1])), bool(found[0][2]), found[0][3])
            if found
            else None
        )

    def begin_run(self, run: str, record: RunRecord) -> None:
        """Fix plan, nodes and setting of a run."""
        values = (run, record.plan, json.dumps(record.nodes), int(record.masked), record.signer)
        self.ledger.write("INSERT INTO runs VALUES (?, ?, ?, ?, ?)", *values)

    def opening(self, pass_id: str) -> Opening | None:
        """A pass by its id."""
        found = self._openings("pass_id = ?", pass_id)
        return found[0] if found else None

    def openings(self, state: State) -> list[Opening]:
        """All passes in a state."""
        return self._openings("state = ?", state.value)

    def openings_of_run(self, run: str) -> list[Opening]:
        """All passes of a run."""
        return self._openings("run = ?", run)

    def order(self, order: DecryptOrder, request: str) -> None:
        """Store a pass that is about to be opened, or opened again after its words were deleted."""
        values = (order.pass_id, order.run, request, encode(order), State.ORDERED.value)
        self.ledger.write(
            "INSERT INTO openings (pass_id, run, request, body, state) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (pass_id) DO UPDATE SET state = excluded.state",
            *values,
        )

    def set_opened(self, pass_id: str, words: str) -> None:
        """The words are on disk; `words` is their SHA-256."""
        self.ledger.write(
            "UPDATE openings SET state = ?, words = ? WHERE pass_id = ?", State.OPENED.value, words, pass_id
        )

    def set_gone(self, pass_id: str) -> None:
        """The words are no longer kept."""
        self.ledger.write("UPDATE openings SET state = ? WHERE pass_id = ?", State.GONE.value, pass_id)

    def touch(self, run: str, now: datetime) -> None:
        """A run was asked for something."""
        self.ledger.write("INSERT OR REPLACE INTO run_activity VALUES (?, ?)", run, now.isoformat())

    def touch_unknown(self, now: datetime) -> None:
        """Of runs of which nothing is known count from now on."""
        query = "INSERT OR IGNORE INTO run_activity SELECT DISTINCT run, ? FROM openings WHERE state IN (?, ?)"
        self.ledger.write(query, now.isoformat(), State.ORDERED.value, State.OPENED.value)

    def idle_since(self, then: datetime) -> list[str]:
        """Runs of which products or words are kept, and that were asked for nothing since some time."""
        query = (
            "SELECT DISTINCT openings.run FROM openings JOIN run_activity ON openings.run = run_activity.run"
            " WHERE state IN (?, ?) AND at < ?"
        )
        values = (State.ORDERED.value, State.OPENED.value, then.isoformat())
        return [str(run) for (run,) in self.ledger.rows(query, *values)]

    def _openings(self, where: str, *values: object) -> list[Opening]:
        # `where` is one of the constants of this class; values are bound.
        query = f"SELECT body, request, state, words FROM openings WHERE {where}"  # noqa: S608
        return [
            Opening(decode(DecryptOrder, body), str(request), State(str(state)), str(words))
            for body, request, state, words in self.ledger.rows(query, *values)
        ]


def check_openings(path: Path, chain: Chain) -> None:
    """See that remembered runs and passes are those of the chain; a changed one could be opened a second time.

    Raises
    ------
    Failed
        Code LEDGER_BROKEN.
    """
    runs: dict[str, _Said] = {}
    ordered: dict[str, str] = {}
    opened: dict[str, str] = {}
    for entry in chain:
        if entry.kind == "ordered":
            body = json.loads(entry.body)
            runs[body["run"]] = (body["plan"], body["nodes"], body["masked"])
            ordered[body["pass"]] = body["request"]
        elif entry.kind == "opened":
            body = json.loads(entry.body)
            opened[body["pass"]] = body["words"]
    _check_runs(path, chain, runs)
    remembered = chain.rows("SELECT pass_id, request, words FROM openings")
    for pass_id, request, words in remembered:
        if ordered.get(pass_id) != request or opened.get(pass_id, "") != words:
            raise Failed(f"a remembered pass of {path.name} was changed: {pass_id}", code="LEDGER_BROKEN")
    lost = ordered.keys() - {pass_id for pass_id, _, _ in remembered}
    if lost:
        raise Failed(f"a pass of {path.name} was removed: {min(lost)}", code="LEDGER_BROKEN")


def _check_runs(path: Path, chain: Chain, said: Mapping[str, _Said]) -> None:
    """See that plan, nodes and setting of every run are those of its orders."""
    remembered = {
        run: (plan, ",".join(json.loads(nodes)), "yes" if masked else "no")
        for run, plan, nodes, masked in chain.rows("SELECT run, plan, nodes, masked FROM runs")
    }
    changed = sorted(run for run in said.keys() | remembered.keys() if said.get(run) != remembered.get(run))
    if changed:
        raise Failed(f"a remembered run of {path.name} was changed: {changed[0]}", code="LEDGER_BROKEN")
