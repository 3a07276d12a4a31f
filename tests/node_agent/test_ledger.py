"""The ledger: a chain that shows every change, durable when a block ends, closed when the disk is full."""

import hashlib
import json
import re
import signal
import sqlite3
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path

import pytest

from fedstats.audit import Shown, show
from fedstats.errors import Failed
from fedstats.ledger import GENESIS, copy_in_memory, open_ledger, verified, verify


def ledger_of(path: Path, entries: int):
    ledger = open_ledger(path)
    for number in range(entries):
        ledger.append("noted", {"number": number})
    ledger.close()


def test_hash_of_an_entry_covers_the_one_before(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    ledger_of(path, 2)

    first, second = verify(path)

    # Written down here without the module's own functions.
    entry = {"at": second.at, "body": second.body, "kind": second.kind, "seq": 2}
    text = json.dumps(entry, sort_keys=True, separators=(",", ":")).encode()
    assert second.hash == hashlib.sha256(bytes.fromhex(first.hash) + text).hexdigest()


def test_head_is_the_last_hash_and_genesis_before_any(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    assert ledger.head == GENESIS

    head = ledger.append("noted", {})

    assert ledger.head == head
    ledger.close()


@pytest.mark.parametrize(
    ("tampering", "message"),
    [
        ("UPDATE entries SET body = '{}' WHERE seq = 2", "entry 2 was changed"),
        ("UPDATE entries SET kind = 'refused' WHERE seq = 3", "entry 3 was changed"),
        ("UPDATE entries SET at = '2020' WHERE seq = 1", "entry 1 was changed"),
        ("DELETE FROM entries WHERE seq = 2", "entry 2 is missing"),
        ("UPDATE entries SET seq = 9 WHERE seq = 4", "entry 4 is missing"),
    ],
)
def test_tampering_with_an_entry_is_found(tmp_path: Path, tampering: str, message: str):
    path = tmp_path / "ledger.sqlite"
    ledger_of(path, 4)
    with sqlite3.connect(path) as connection:
        connection.execute(tampering)
    connection.close()

    with pytest.raises(Failed, match=message) as caught:
        verify(path)

    assert caught.value.exit_code == 5


def test_ledger_and_its_log_are_for_the_owner_only(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")
    ledger.append("noted", {})

    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}

    assert set(modes.values()) == {0o600}
    ledger.close()


def test_a_file_that_is_no_ledger_is_refused(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(b"not a database, just bytes" * 100)

    with pytest.raises(Failed, match="cannot be read as a ledger"):
        verify(path)


def test_nothing_of_a_transaction_stays_when_it_fails(tmp_path: Path):
    ledger = open_ledger(tmp_path / "ledger.sqlite")

    def fail_within() -> None:
        with ledger.transaction():
            ledger.append("noted", {})
            raise ValueError("in the middle")

    with pytest.raises(ValueError, match="in the middle"):
        fail_within()

    assert ledger.head == GENESIS
    ledger.close()


def test_a_full_disk_is_one_clear_error_and_the_chain_stays_whole(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path)
    ledger.append("noted", {"key": "first"})
    pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(Failed, match="cannot be written") as caught:
        ledger.append("noted", {"key": "x" * 100_000})

    assert caught.value.code == "LEDGER_UNWRITABLE"
    ledger.connection.execute("PRAGMA max_page_count = 100000")
    ledger.append("noted", {"key": "second"})
    ledger.close()
    assert [json.loads(entry.body)["key"] for entry in verify(path)] == ["first", "second"]


_WRITER = """
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from itertools import count
from pathlib import Path
from fedstats.ledger import open_ledger
ledger = open_ledger(Path(sys.argv[1]))
for number in range(100_000):
    ledger.append("noted", {"number": number})
    print(number, flush=True)
"""


@pytest.mark.processes
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        acknowledged = [int(process.stdout.readline()) for _ in range(40)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]

    entries = verify(path)

    assert len(entries) >= len(acknowledged)
    assert [json.loads(entry.body)["number"] for entry in entries] == list(range(len(entries)))


class _WrittenMeanwhile(sqlite3.Connection):
    """A connection before each of whose queries another one writes an answer and its entry."""

    write: Callable[[], None]

    def execute(self, statement: str, *values: object) -> sqlite3.Cursor:
        if statement.startswith("SELECT"):
            self.write()
        return super().execute(statement, *values)


def test_a_ledger_that_is_written_meanwhile_is_no_broken_one(tmp_path: Path, monkeypatch):
    """Entries and answers are read as they stood at one moment."""
    path = tmp_path / "ledger.sqlite"
    tables = "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body BLOB NOT NULL);"
    ledger, numbers = open_ledger(path, tables), count()

    def answer() -> None:
        key = f"k{next(numbers)}"
        with ledger.transaction():
            ledger.write("INSERT INTO answers VALUES (?, ?)", key, b"answer")
            ledger.append("answered", {"key": key, "answer": hashlib.sha256(b"answer").hexdigest()})

    answer()
    monkeypatch.setattr(_WrittenMeanwhile, "write", staticmethod(answer), raising=False)
    monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, factory=_WrittenMeanwhile))

    for _ in range(3):
        before = ledger.last[0]
        # The first query sees what was written before it, and those that follow no more.
        assert len(verify(path)) == before + 1
        assert ledger.last[0] > before + 1
    ledger.close()


def test_a_copy_has_what_it_is_not_without_and_changes_nothing(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    kept = open_ledger(path, "CREATE TABLE notes (name TEXT PRIMARY KEY, body TEXT); CREATE TABLE heaps (body TEXT);")
    kept.append("noted", {"name": "a"})
    kept.write("INSERT INTO notes VALUES ('a', 'first')")
    kept.write("INSERT INTO heaps VALUES ('much')")

    tables = "CREATE TABLE notes (name TEXT, body TEXT, later TEXT DEFAULT 'new'); CREATE TABLE heaps (body TEXT);"
    copy = copy_in_memory(path, tables, without=("entries", "heaps"))
    copy.write("INSERT INTO notes VALUES ('b', 'tried', '')")
    copy.append("tried", {})

    assert copy.rows("SELECT * FROM notes WHERE name = 'a'") == [("a", "first", "new")]
    assert copy.rows("SELECT count(*) FROM heaps") == [(0,)]
    assert copy.last[0] == 1
    assert kept.rows("SELECT name FROM notes") == [("a",)]
    assert [entry.kind for entry in verify(path)] == ["noted"]


def test_a_copy_of_nothing_is_empty_and_of_something_else_refused(tmp_path: Path):
    other = tmp_path / "ledger.sqlite"
    assert copy_in_memory(other).last == (0, GENESIS)

    other.write_bytes(b"no ledger at all, but longer than a header of SQLite" * 9)
    with pytest.raises(Failed) as refusal:
        copy_in_memory(other)

    assert refusal.value.code == "LEDGER_BROKEN"


def test_an_audit_of_many_entries_holds_few_of_them(tmp_path: Path, capsys):
    path, entries, room = tmp_path / "ledger.sqlite", 4_000, 1_000
    ledger = open_ledger(path)
    with ledger.transaction():
        for number in range(entries):
            ledger.append("noted", {"run": f"r{number % 2}", "text": "x" * room})
    ledger.close()

    with verified(path) as chain:
        show(chain, Shown())  # libraries are loaded now
    tracemalloc.start()
    with verified(path) as chain:
        show(chain, Shown(run="r1"))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < entries * room / 4
    said = capsys.readouterr().out
    assert re.search(rf"noted +{entries // 2} ", said)
    assert f"the chain of {entries} entries is whole" in said


def test_a_stored_answer_that_no_entry_tells_of_is_found(tmp_path: Path):
    path = tmp_path / "ledger.sqlite"
    ledger = open_ledger(path, "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, body BLOB NOT NULL);")
    told = hashlib.sha256(b"answer").hexdigest()
    with ledger.transaction():
        ledger.write("INSERT INTO answers VALUES (?, ?)", "open|p", b"answer")
        ledger.append("answered", {"key": "open|p", "answer": told})
        ledger.append("answered", {"key": "gone|p", "answer": told})  # an answer may be forgotten
    assert len(verify(path)) == 2

    ledger.write("INSERT INTO answers VALUES (?, ?)", "ready|p", b"made up")
    with pytest.raises(Failed, match=r"was changed: ready\|p"):
        verify(path)
    ledger.write("DELETE FROM answers WHERE key = 'ready|p'")
    ledger.write("UPDATE answers SET body = ?", b"other")
    with pytest.raises(Failed, match=r"was changed: open\|p"):
        verify(path)
    ledger.close()
