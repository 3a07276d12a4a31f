"""What an agent must remember: plans, runs, passes, chunks, answers, blobs, and which people were answered with whom.

Thin functions over tables of the ledger's file; each is called within a transaction of the ledger, so that a record
and its entry in the chain are durable together.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from fedstats.documents import decode, encode
from fedstats.identity.signing import Signed
from fedstats.ledger import Ledger
from fedstats.privacy.pass_state import PassState
from fedstats.wire.messages import PassOrder, Plan

TABLES = """
CREATE TABLE IF NOT EXISTS plans (digest TEXT PRIMARY KEY, run TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS runs (run TEXT PRIMARY KEY, plan TEXT NOT NULL, keys TEXT NOT NULL DEFAULT '[]');
CREATE INDEX IF NOT EXISTS runs_by_plan ON runs (plan);
CREATE TABLE IF NOT EXISTS run_cohorts (
  run TEXT NOT NULL, model TEXT NOT NULL, cohort TEXT NOT NULL, PRIMARY KEY (run, model));
CREATE TABLE IF NOT EXISTS passes (
  pass_id TEXT PRIMARY KEY, run TEXT NOT NULL, place TEXT NOT NULL, body BLOB NOT NULL, state TEXT NOT NULL,
  cohort TEXT NOT NULL, domain TEXT NOT NULL, words INTEGER NOT NULL, accepted TEXT NOT NULL DEFAULT '',
  closed INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS passes_by_place ON passes (run, place);
DROP INDEX IF EXISTS passes_by_cohort;
CREATE INDEX IF NOT EXISTS live_passes_by_cohort ON passes (cohort, domain) WHERE closed = 0 AND state <> 'abandoned';
CREATE INDEX IF NOT EXISTS live_passes_by_run ON passes (run) WHERE closed = 0 AND state <> 'abandoned';
CREATE TABLE IF NOT EXISTS chunks (
  pass_id TEXT NOT NULL, number INTEGER NOT NULL, length INTEGER NOT NULL, sha256 TEXT NOT NULL,
  PRIMARY KEY (pass_id, number));
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, request TEXT NOT NULL, kind TEXT NOT NULL, signer TEXT NOT NULL, body BLOB NOT NULL,
  signature BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS locks (
  cohort TEXT NOT NULL, domain TEXT NOT NULL, roster TEXT NOT NULL, run TEXT NOT NULL, PRIMARY KEY (cohort, domain));
CREATE TABLE IF NOT EXISTS pass_data (pass_id TEXT PRIMARY KEY, data TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS pass_keys (pass_id TEXT PRIMARY KEY, keys TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS abandoned (pass_id TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS blobs (sha256 TEXT PRIMARY KEY, run TEXT NOT NULL, purpose TEXT NOT NULL, length INTEGER);
"""

#: As the indexes of live passes have it, word for word: with a value bound to it SQLite would read all passes.
_LIVE = f"closed = 0 AND state <> '{PassState.ABANDONED.value}'"

#: Plans that are kept read, for every order of a pass needs its own, and orders of passes; neither ever changes.
_PLANS_KEPT, _ORDERS_KEPT = 32, 64


@dataclass(frozen=True)
class StoredAnswer:
    """What was answered to a request, by the digest of the request."""

    request: str
    answer: Signed


@dataclass(frozen=True)
class PassRecord:
    """A pass as it stands at this node.

    Attributes
    ----------
    cohort, domain
        Keyed digest of its people, and what the lock on them covers.
    words
        Ring words of the whole pass.
    accepted
        Signed messages of step M as JSON, "" until the work was accepted.
    closed
        The coordinator has the total; spool and secrets are gone.
    """

    order: PassOrder
    state: PassState
    cohort: str
    domain: str
    words: int
    accepted: str
    closed: bool


@dataclass(frozen=True)
class ChunkRecord:
    """One stored chunk of a spool file; the hash is of all words of the pass up to its end."""

    number: int
    length: int
    sha256: str


@dataclass(frozen=True)
class Lock:
    """With which roster, in which run, a cohort was answered."""

    roster: str
    run: str


@dataclass(frozen=True)
class Records:
    """The tables of one agent."""

    ledger: Ledger
    _plans: dict[str, Plan] = field(default_factory=dict, repr=False)

    def answer(self, key: str) -> StoredAnswer | None:
        """What was answered under a key."""
        found = self.ledger.rows("SELECT request, kind, signer, body, signature FROM answers WHERE key = ?", key)
        if not found:
            return None
        request, kind, signer, body, signature = found[0]
        return StoredAnswer(str(request), Signed(str(kind), str(signer), body, signature))

    def keep_answer(self, key: str, request: str, answer: Signed) -> None:
        """Store what is about to be answered."""
        values = (key, request, answer.kind, answer.signer, answer.body, answer.signature)
        self.ledger.write("INSERT INTO answers VALUES (?, ?, ?, ?, ?, ?)", *values)

    def keep_plan(self, digest: str, plan: Plan) -> None:
        """Store a proposed plan."""
        self.ledger.write("INSERT OR IGNORE INTO plans VALUES (?, ?, ?)", digest, plan.run, encode(plan))

    def plan(self, digest: str) -> Plan | None:
        """A proposed plan by its digest."""
        if digest not in self._plans:
            found = self.ledger.rows("SELECT body FROM plans WHERE digest = ?", digest)
            if not found:
                return None
            if len(self._plans) >= _PLANS_KEPT:
                self._plans.clear()
            self._plans[digest] = decode(Plan, found[0][0])
        return self._plans[digest]

    def begin_run(self, run: str, plan: str) -> None:
        """Fix the plan of a run."""
        self.ledger.write("INSERT INTO runs (run, plan) VALUES (?, ?)", run, plan)

    def keep_cohort(self, run: str, model: str, cohort: str) -> None:
        """Fix who the people of a model of a run are."""
        self.ledger.write("INSERT INTO run_cohorts VALUES (?, ?, ?)", run, model, cohort)

    def cohort_of_run(self, run: str, model: str) -> str | None:
        """The people of a model when its run began."""
        found = self.ledger.rows("SELECT cohort FROM run_cohorts WHERE run = ? AND model = ?", run, model)
        return str(found[0][0]) if found else None

    def plan_of_run(self, run: str) -> tuple[str, Plan] | None:
        """Digest and plan of a run that has begun."""
        found = self.ledger.rows("SELECT plan FROM runs WHERE run = ?", run)
        plan = self.plan(str(found[0][0])) if found else None
        return (str(found[0][0]), plan) if plan else None

    def keep_run_keys(self, run: str, keys: Sequence[Signed]) -> None:
        """Store every node's channel key of a run."""
        self.ledger.write("UPDATE runs SET keys = ? WHERE run = ?", signed_to_text(keys), run)

    def run_keys(self, run: str) -> tuple[Signed, ...]:
        """Every node's channel key of a run; empty until they came."""
        found = self.ledger.rows("SELECT keys FROM runs WHERE run = ?", run)
        return signed_from_text(str(found[0][0])) if found else ()

    def open_pass(self, order: PassOrder, cohort: str, domain: str) -> None:
        """Store a pass that is about to be opened."""
        self.ledger.write(
            "INSERT INTO passes (pass_id, run, place, body, state, cohort, domain, words)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(order.pass_id, order.run, _place(order), encode(order)),
            *(PassState.KEYED.value, cohort, domain, order.words),
        )

    def keep_data(self, pass_id: str, data: str) -> None:
        """Remember on which state of its data set a pass was opened."""
        self.ledger.write("INSERT INTO pass_data VALUES (?, ?)", pass_id, data)

    def data_of(self, pass_id: str) -> str | None:
        """The state of its data set on which a pass was opened; None for passes of earlier versions."""
        found = self.ledger.rows("SELECT data FROM pass_data WHERE pass_id = ?", pass_id)
        return str(found[0][0]) if found else None

    def keep_pass_keys(self, pass_id: str, keys: Sequence[Signed]) -> None:
        """Store every node's keys of a pass, until it is over."""
        self.ledger.write("INSERT INTO pass_keys VALUES (?, ?)", pass_id, signed_to_text(keys))

    def pass_keys(self, pass_id: str) -> tuple[Signed, ...]:
        """Every node's keys of a pass; empty until they came."""
        found = self.ledger.rows("SELECT keys FROM pass_keys WHERE pass_id = ?", pass_id)
        return signed_from_text(str(found[0][0])) if found else ()

    def passed(self, pass_id: str) -> PassRecord | None:
        """A pass by its id."""
        found = self._passes("pass_id = ?", pass_id)
        return found[0] if found else None

    def attempts(self, order: PassOrder) -> list[PassRecord]:
        """All attempts at the sum that an order asks for."""
        return self._passes("run = ? AND place = ?", order.run, _place(order))

    def live_passes_of_cohort(self, cohort: str, domain: str) -> list[PassRecord]:
        """Passes over the same people that are neither closed nor abandoned."""
        return self._passes(f"cohort = ? AND domain = ? AND {_LIVE}", cohort, domain)

    def live_passes(self, run: str = "") -> list[PassRecord]:
        """Passes that are neither closed nor abandoned, of one run or of all."""
        return self._passes(f"run = ? AND {_LIVE}", run) if run else self._passes(_LIVE)

    def passes_of_run(self, run: str) -> list[str]:
        """Ids of all passes of a run."""
        return [str(found) for (found,) in self.ledger.rows("SELECT pass_id FROM passes WHERE run = ?", run)]

    def unfinished(self) -> list[PassRecord]:
        """Passes whose work was accepted, and that nobody committed, closed or abandoned since."""
        return self._passes(f"accepted <> '' AND {_LIVE} AND state = ?", PassState.READY.value)

    def set_state(self, pass_id: str, state: PassState) -> None:
        """Move a pass to a state that `pass_state.advance` allowed."""
        self.ledger.write("UPDATE passes SET state = ? WHERE pass_id = ?", state.value, pass_id)

    def accept(self, pass_id: str, signatures: Sequence[Signed]) -> None:
        """Step M: the work is accepted, with every node's signature of the transcript."""
        self.ledger.write("UPDATE passes SET accepted = ? WHERE pass_id = ?", signed_to_text(signatures), pass_id)

    def abandon_id(self, pass_id: str) -> None:
        """Refuse a pass from now on, whether it was ever opened or not."""
        self.ledger.write("INSERT OR IGNORE INTO abandoned VALUES (?)", pass_id)
        self._drop_pass_keys(pass_id)

    def is_abandoned(self, pass_id: str) -> bool:
        """Whether a pass was given up."""
        return bool(self.ledger.rows("SELECT 1 FROM abandoned WHERE pass_id = ?", pass_id))

    def close_pass(self, pass_id: str) -> None:
        """The pass is over."""
        self.ledger.write("UPDATE passes SET closed = 1 WHERE pass_id = ?", pass_id)
        self._drop_pass_keys(pass_id)

    def _drop_pass_keys(self, pass_id: str) -> None:
        self.ledger.write("DELETE FROM pass_keys WHERE pass_id = ?", pass_id)

    def _passes(self, where: str, *values: object) -> list[PassRecord]:
        # `where` is one of the constants of this class; values are bound.
        query = f"SELECT body, state, cohort, domain, words, accepted, closed FROM passes WHERE {where}"  # noqa: S608
        return [
            PassRecord(
                order=_order_of(body),
                state=PassState(str(state)),
                cohort=str(cohort),
                domain=str(domain),
                words=words,
                accepted=str(accepted),
                closed=bool(closed),
            )
            for body, state, cohort, domain, words, accepted, closed in self.ledger.rows(query, *values)
        ]

    def add_chunk(self, pass_id: str, chunk: ChunkRecord) -> None:
        """A chunk is whole and synced in the spool file."""
        values = (pass_id, chunk.number, chunk.length, chunk.sha256)
        self.ledger.write("INSERT INTO chunks VALUES (?, ?, ?, ?)", *values)

    def recorded(self, pass_id: str) -> tuple[int, int]:
        """How many chunks and bytes of a pass are recorded."""
        query = "SELECT count(*), coalesce(sum(length), 0) FROM chunks WHERE pass_id = ?"
        count, length = self.ledger.rows(query, pass_id)[0]
        return int(count), int(length)

    def chunks(self, pass_id: str) -> list[ChunkRecord]:
        """Chunks of a pass, in order."""
        query = "SELECT number, length, sha256 FROM chunks WHERE pass_id = ? ORDER BY number"
        return [ChunkRecord(n, length, str(h)) for n, length, h in self.ledger.rows(query, pass_id)]

    def lock(self, cohort: str, domain: str) -> Lock | None:
        """With whom a cohort was answered."""
        found = self.ledger.rows("SELECT roster, run FROM locks WHERE cohort = ? AND domain = ?", cohort, domain)
        return Lock(str(found[0][0]), str(found[0][1])) if found else None

    def take_lock(self, cohort: str, domain: str, lock: Lock) -> None:
        """From here on the cohort is answered with this roster only."""
        self.ledger.write("INSERT OR REPLACE INTO locks VALUES (?, ?, ?, ?)", cohort, domain, lock.roster, lock.run)

    def keep_blob(self, sha256: str, run: str, purpose: str, length: int) -> None:
        """A blob is whole and synced on disk."""
        self.ledger.write("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?, ?)", sha256, run, purpose, length)

    def blobs_for(self, purpose: str) -> list[str]:
        """Digests of the blobs of one purpose."""
        return [str(found) for (found,) in self.ledger.rows("SELECT sha256 FROM blobs WHERE purpose = ?", purpose)]

    def drop_blob(self, sha256: str) -> None:
        """A blob is not needed any more."""
        self.ledger.write("DELETE FROM blobs WHERE sha256 = ?", sha256)

    def has_blob(self, sha256: str) -> bool:
        """Whether a blob is on disk."""
        return bool(self.ledger.rows("SELECT 1 FROM blobs WHERE sha256 = ?", sha256))


@lru_cache(_ORDERS_KEPT)
def _order_of(body: bytes) -> PassOrder:
    """The order of a pass as it is kept: each is needed in every step of its pass."""
    return decode(PassOrder, body)


def _place(order: PassOrder) -> str:
    """Where in its run a sum stands, whatever the attempt."""
    return f"{order.call}|{order.scope}"


def signed_to_text(messages: Sequence[Signed]) -> str:
    """Signed messages as JSON."""
    return json.dumps([[m.kind, m.signer, m.body.hex(), m.signature.hex()] for m in messages])


def signed_from_text(text: str) -> tuple[Signed, ...]:
    """Signed messages that JSON holds."""
    found = json.loads(text) if text else []
    return tuple(Signed(kind, signer, bytes.fromhex(body), bytes.fromhex(sig)) for kind, signer, body, sig in found)
