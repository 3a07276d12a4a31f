"""The ledger of one agent: a hash chain of what it was asked and what it answered, written before anything is sent.

SQLite on a local disk, write-ahead log, `synchronous=FULL`, one writer. If it cannot be written, nothing leaves.
Each entry's hash covers the hash before it, so that an entry that was changed, removed or put in shows.
What the agent must remember to answer again with the same bytes lies in tables of the same file and is written
in the same transaction as its entry.
"""

import hashlib
import json
import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedstats.errors import Failed

#: What stands before the first entry.
GENESIS = "0" * 64

_TABLES = """
CREATE TABLE IF NOT EXISTS entries (
  seq INTEGER PRIMARY KEY, at TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL, hash TEXT NOT NULL);
"""

Body = Mapping[str, str | int]
Row = tuple[Any, ...]  # Any: what SQLite gives back is of the type that was stored


@dataclass(frozen=True)
class Entry:
    """One line of the chain."""

    seq: int
    at: str
    kind: str
    body: str  # canonical JSON
    hash: str


@dataclass
class Ledger:
    """An open ledger; every method may be called from any thread."""

    connection: sqlite3.Connection
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    _depth: int = 0
    #: Number and hash of the last entry: this process alone writes, and forgets it with a transaction that failed.
    _last: tuple[int, str] | None = None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that is written within is durable when the block ends, or none of it; nested blocks join the outer one.

        Raises
        ------
        Failed
            Code LEDGER_UNWRITABLE: the disk is full or broken.
        """
        with self._lock:
            if self._depth:
                yield
                return
            self._depth = 1
            try:
                self._run("BEGIN IMMEDIATE")
                yield
                self._run("COMMIT")
            except BaseException as error:
                self._roll_back()
                if isinstance(error, sqlite3.Error):
                    raise _unwritable(error) from error
                raise
            finally:
                self._depth = 0

    def append(self, kind: str, body: Body) -> str:
        """Add an entry; its hash is the new head."""
        with self.transaction():
            count, previous = self._last or self.last
            seq = count + 1
            at, text = datetime.now(UTC).isoformat(timespec="milliseconds"), canonical(body)
            head = entry_hash(previous, seq, at, kind, text)
            self._run("INSERT INTO entries VALUES (?, ?, ?, ?, ?)", seq, at, kind, text, head)
            self._last = (seq, head)
            return head

    @property
    def head(self) -> str:
        """Hash of the last entry."""
        return self.last[1]

    @property
    def last(self) -> tuple[int, str]:
        """Number and hash of the last entry."""
        last = self.rows("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1")
        return (int(last[0][0]), str(last[0][1])) if last else (0, GENESIS)

    def write(self, statement: str, *values: object) -> None:
        """One statement of a transaction."""
        with self.transaction():
            self._run(statement, *values)

    def rows(self, query: str, *values: object) -> list[Row]:
        """Rows of a query."""
        with self._lock:
            return self.connection.execute(query, values).fetchall()

    def close(self) -> None:
        """Close the file; the write-ahead log is folded in."""
        with self._lock:
            self.connection.close()

    def _run(self, statement: str, *values: object) -> None:
        self.connection.execute(statement, values)

    def _roll_back(self) -> None:
        self._last = None
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")


def open_ledger(path: Path, tables: str = "") -> Ledger:
    """Open or make a ledger; `tables` are statements that make further tables where they are missing."""
    # Made here, for its owner only: SQLite gives its log the same mode.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.executescript(_TABLES + tables)
    except sqlite3.Error as error:
        connection.close()
        raise _unwritable(error) from error
    return Ledger(connection)


def copy_in_memory(path: Path, tables: str = "", *, without: Collection[str] = ()) -> Ledger:
    """A copy of a ledger on which things can be tried, and an empty one where there is none; the file is only read.

    Tables `without` are left empty: of a ledger of years they would take gigabytes.
    """
    memory = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, uri=True)
    try:
        memory.executescript(_TABLES + tables)
        if path.exists():
            memory.execute("ATTACH ? AS kept", (f"{path.absolute().as_uri()}?mode=ro",))
            memory.execute("BEGIN")
            for name in _tables_of(memory, "main") & _tables_of(memory, "kept") - set(without):
                columns = ", ".join(column for _, column, *_ in memory.execute(f"PRAGMA kept.table_info({name})"))
                # Names of tables and columns are those of the program, in the copy as well.
                memory.execute(f"INSERT INTO main.{name} ({columns}) SELECT {columns} FROM kept.{name}")  # noqa: S608
            memory.execute("COMMIT")
            memory.execute("DETACH kept")
    except sqlite3.Error as error:
        memory.close()
        raise Failed(f"{path.name} cannot be read as a ledger: {error}", code="LEDGER_BROKEN") from error
    return Ledger(memory)


def _tables_of(connection: sqlite3.Connection, database: str) -> set[str]:
    found = connection.execute(f"SELECT name FROM {database}.sqlite_master WHERE type = 'table'")  # noqa: S608
    return {str(name) for (name,) in found}


def canonical(body: Body) -> str:
    """A body as canonical JSON."""
    return json.dumps(dict(body), sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def entry_hash(previous: str, seq: int, at: str, kind: str, body: str) -> str:
    """SHA-256, in hexadecimal, of the previous hash and the canonical entry."""
    entry = canonical({"seq": seq, "at": at, "kind": kind, "body": body})
    return hashlib.sha256(bytes.fromhex(previous) + entry.encode("ascii")).hexdigest()


@dataclass(frozen=True)
class Chain:
    """A ledger whose chain is whole, as it stood at one moment; each iteration reads its entries from the file."""

    connection: sqlite3.Connection
    length: int
    head: str

    def __iter__(self) -> Iterator[Entry]:
        return _entries(self.connection)

    def rows(self, query: str) -> list[Row]:
        """Rows of other tables, as they stood at the same moment."""
        return self.connection.execute(query).fetchall()

    def __str__(self) -> str:
        return f"the chain of {self.length} entries is whole; head {self.head}"


@contextmanager
def verified(path: Path) -> Iterator[Chain]:
    """A ledger whose chain is whole; the file is only read, and no more of it held than an entry.

    Raises
    ------
    Failed
        Code LEDGER_BROKEN, naming the first entry that does not fit.
    """
    with _reading(path) as connection:
        length, head = 0, GENESIS
        answers = _StoredAnswers(connection, path)
        for entry in _entries(connection):
            length += 1
            if entry.seq != length:
                raise _broken(path, length, f"entry {length} is missing")
            if entry.hash != entry_hash(head, entry.seq, entry.at, entry.kind, entry.body):
                raise _broken(path, length, f"entry {length} was changed")
            head = entry.hash
            if entry.kind == "answered":
                answers.compare(json.loads(entry.body))
        answers.refuse_others()
        yield Chain(connection, length, head)


def verify(path: Path) -> list[Entry]:
    """All entries of a ledger whose chain is whole; raises as `verified` does."""
    with verified(path) as chain:
        return list(chain)


def counted(entries: Iterable[Entry]) -> list[tuple[str, str, str, str]]:
    """Of every kind of entry: how many there are, and when the first and the last were written."""
    numbers: Counter[str] = Counter()
    first: dict[str, str] = {}
    last: dict[str, str] = {}
    for entry in entries:
        numbers[entry.kind] += 1
        first.setdefault(entry.kind, entry.at[:19])
        last[entry.kind] = entry.at[:19]
    return [(kind, str(numbers[kind]), first[kind], last[kind]) for kind in sorted(numbers)]


class _StoredAnswers:
    """Stored answers beside the entries that tell their digests; a changed one would be given out as the first."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection, self._path = connection, path
        tables = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'answers'").fetchall()
        self._any = bool(tables)
        self._told: set[int] = set()
        self._wrong: dict[int, str] = {}

    def compare(self, told: Mapping[str, str]) -> None:
        """Compare the stored answer of an entry, if it is still there, with the digest that the entry tells."""
        if not self._any:
            return
        query = "SELECT rowid, body FROM answers WHERE key = ?"
        for row, body in self._connection.execute(query, (told["key"],)):
            self._told.add(row)
            if hashlib.sha256(body).hexdigest() == told["answer"]:
                self._wrong.pop(row, None)
            else:
                self._wrong[row] = told["key"]

    def refuse_others(self) -> None:
        """Refuse answers of which no entry tells, or the last one another digest."""
        stored = self._connection.execute("SELECT rowid, key FROM answers") if self._any else ()
        untold = (key for row, key in stored if row not in self._told)
        changed = next(iter(self._wrong.values()), None) or next(untold, None)
        if changed is not None:
            raise Failed(f"a stored answer of {self._path.name} was changed: {changed}", code="LEDGER_BROKEN")


def read_rows(path: Path, query: str) -> list[Row]:
    """Rows of a ledger that is only read, perhaps while an agent writes it."""
    with _reading(path) as connection:
        return connection.execute(query).fetchall()


@contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The ledger as it stands at one moment, whatever an agent writes meanwhile."""
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            yield connection
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise Failed(f"{path.name} cannot be read as a ledger: {error}", code="LEDGER_BROKEN") from error


def _entries(connection: sqlite3.Connection) -> Iterator[Entry]:
    for seq, at, kind, body, head in connection.execute("SELECT seq, at, kind, body, hash FROM entries ORDER BY seq"):
        yield Entry(int(seq), str(at), str(kind), str(body), str(head))


def _broken(path: Path, place: int, what: str) -> Failed:
    return Failed(
        f"the chain of {path.name} is broken: {what}",
        code="LEDGER_BROKEN",
        hint=f"Entries before {place} are as they were written; nothing from there on can be trusted.",
    )


def _unwritable(error: sqlite3.Error) -> Failed:
    return Failed(
        f"the ledger cannot be written ({error}); nothing was sent",
        code="LEDGER_UNWRITABLE",
        hint="Make room on the disk of the state folder, then ask again.",
    )
