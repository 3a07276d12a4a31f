"""Chunks that come quickly are synced together; nothing may be fetched before it is recorded."""

import hashlib
import os
from pathlib import Path

import pytest

from fedstats.errors import Failed
from fedstats.ledger import open_ledger, verify
from node_agent.records import TABLES, Records
from node_agent.spool import GROUP_BYTES, GROUP_SECONDS, Group, Spool, open_spool

PASS = "ab" * 32
CHUNKS = [b"a" * 8, b"b" * 16, b"c" * 24]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return again(tmp_path)


def again(folder: Path) -> Spool:
    """The spool as an agent finds it when it starts."""
    return open_spool(folder / "spool", Records(open_ledger(folder / "ledger.sqlite", TABLES)))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr("node_agent.spool.time.monotonic", lambda: now[0])
    return now


@pytest.fixture
def syncs(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Files that were synced."""
    seen: list[int] = []
    sync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda descriptor: (seen.append(descriptor), sync(descriptor))[1])
    return seen


def test_the_first_chunk_waits_for_nobody(spool: Spool, clock: list[float]):
    assert Group(spool, PASS).add(CHUNKS[0])
    assert spool.ready_bytes(PASS) == 8


def test_chunks_that_come_quickly_are_synced_once_and_not_ready_before(
    spool: Spool, clock: list[float], syncs: list[int]
):
    group = Group(spool, PASS)
    group.add(CHUNKS[0])
    syncs.clear()

    assert not group.add(CHUNKS[1])
    assert (spool.ready_bytes(PASS), syncs) == (8, [])
    clock[0] += GROUP_SECONDS
    assert group.add(CHUNKS[2])

    assert (spool.ready_bytes(PASS), len(syncs)) == (48, 1)
    assert b"".join(spool.read(PASS, 0, 48)) == b"".join(CHUNKS)


def test_many_bytes_do_not_wait_in_memory(spool: Spool, clock: list[float]):
    group = Group(spool, PASS)
    group.add(CHUNKS[0])

    assert group.add(b"x" * GROUP_BYTES)


def test_what_waits_is_recorded_at_the_end(spool: Spool, clock: list[float], tmp_path: Path):
    group = Group(spool, PASS)
    for chunk in CHUNKS:
        group.add(chunk)
    group.flush()

    assert (spool.chunks_done(PASS), spool.ready_bytes(PASS)) == (3, 48)
    assert [entry.kind for entry in verify(tmp_path / "ledger.sqlite")] == ["chunk"] * 3


def test_digest_of_a_pass_is_that_of_its_words_also_after_a_start(spool: Spool, tmp_path: Path):
    spool.append(PASS, CHUNKS[:2])
    spool.records.ledger.close()

    started = again(tmp_path)
    ready = started.ready_bytes(PASS)
    started.append(PASS, CHUNKS[2:])

    assert ready == 24
    assert started.digest(PASS) == hashlib.sha256(b"".join(CHUNKS)).hexdigest()


def test_a_chunk_that_could_not_be_recorded_is_not_ready(spool: Spool):
    spool.append(PASS, CHUNKS[:1])
    spool.records.ledger.connection.execute(
        "CREATE TRIGGER full BEFORE INSERT ON entries BEGIN SELECT RAISE(ABORT, 'full'); END"
    )

    with pytest.raises(Failed, match="the ledger cannot be written"):
        spool.append(PASS, CHUNKS[1:])

    assert (spool.chunks_done(PASS), spool.ready_bytes(PASS)) == (1, 8)
    spool.records.ledger.connection.execute("DROP TRIGGER full")
    spool.append(PASS, CHUNKS[1:])
    assert spool.digest(PASS) == hashlib.sha256(b"".join(CHUNKS)).hexdigest()
