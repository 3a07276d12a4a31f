"""Spool files: protected words of a pass, one chunk an ask, durable before they may be fetched.

A chunk that is recorded in the ledger is never computed again. What lies behind the last recorded chunk was cut off
by a crash: it is removed, and computing goes on from there. The file goes when the coordinator signed for the total.
Chunks that come quickly are synced and recorded together: one fsync and one transaction for all of them.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedstats.errors import Failed
from fedstats.state_folder import sync_folder
from node_agent.records import ChunkRecord, Records

_PIECE = 1 << 20

#: Chunks wait at most this long, and at most so many bytes of them, until they are synced together.
GROUP_SECONDS, GROUP_BYTES = 0.1, 8 << 20


@dataclass
class _Words:
    """What is recorded of a pass, in memory."""

    chunks: int = 0
    length: int = 0
    hashed: "hashlib._Hash" = field(default_factory=hashlib.sha256)

    def add(self, data: bytes) -> ChunkRecord:
        """One more chunk; its record has the hash of all words up to its end."""
        self.hashed.update(data)
        record = ChunkRecord(self.chunks, len(data), self.hashed.hexdigest())
        self.chunks += 1
        self.length += len(data)
        return record

    def copy(self) -> "_Words":
        return _Words(self.chunks, self.length, self.hashed.copy())


@dataclass(frozen=True)
class Spool:
    """The spool folder of one agent; one thread at a time appends to a pass."""

    folder: Path
    records: Records
    _known: dict[str, _Words] = field(default_factory=dict, repr=False)

    def chunks_done(self, pass_id: str) -> int:
        """How many chunks of a pass are recorded."""
        known = self._known.get(pass_id)
        return known.chunks if known else self.records.recorded(pass_id)[0]

    def ready_bytes(self, pass_id: str) -> int:
        """How many bytes of a pass may be fetched."""
        known = self._known.get(pass_id)
        return known.length if known else self.records.recorded(pass_id)[1]

    def append(self, pass_id: str, chunks: Sequence[bytes]) -> None:
        """Write the next chunks, sync them, and record their hashes.

        Raises
        ------
        Failed
            Code SPOOL_UNWRITABLE where the disk is full or broken; the pass can go on when there is room.
        """
        before = self._words(pass_id)
        try:
            self._write(self._path(pass_id), before.length, chunks)
        except OSError as error:
            raise Failed(
                f"the spool cannot be written ({error.strerror}); nothing of this pass was sent",
                code="SPOOL_UNWRITABLE",
                hint="Make room on the disk of the node's state folder; the run can be resumed.",
            ) from error
        after = before.copy()
        with self.records.ledger.transaction():
            for chunk in map(after.add, chunks):
                self.records.add_chunk(pass_id, chunk)
                self.records.ledger.append("chunk", {"pass": pass_id, "number": chunk.number, "sha256": chunk.sha256})
        # Only what is committed counts.
        self._known[pass_id] = after

    def _words(self, pass_id: str) -> _Words:
        """What is recorded of a pass; after a start, read again and compared."""
        if pass_id not in self._known:
            self.check(pass_id)
        return self._known[pass_id]

    def _write(self, path: Path, recorded: int, chunks: Sequence[bytes]) -> None:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            file.truncate(recorded)
            file.seek(recorded)
            for data in chunks:
                _write_all(file.fileno(), data)
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.folder)

    def read(self, pass_id: str, first: int, last: int) -> Iterator[bytes]:
        """Recorded bytes of a pass, from `first` up to `last`, in pieces."""
        with self._path(pass_id).open("rb") as file:
            file.seek(first)
            while first < last:
                piece = file.read(min(_PIECE, last - first))
                if not piece:
                    raise Failed("a spool file is shorter than the ledger says", code="SPOOL_DAMAGED")
                first += len(piece)
                yield piece

    def check(self, pass_id: str) -> None:
        """See that every recorded chunk is on disk as it was recorded; a chunk is never made again, so never guessed.

        Raises
        ------
        Failed
            Code SPOOL_DAMAGED.
        """
        words, same = _Words(), True
        chunks = self.records.chunks(pass_id)
        try:
            if chunks:
                with self._path(pass_id).open("rb") as file:
                    same = all(words.add(file.read(chunk.length)) == chunk for chunk in chunks)
        except FileNotFoundError:
            same = False
        if not same:
            raise Failed(
                "a stored chunk is not the one that was recorded; the pass must be abandoned", code="SPOOL_DAMAGED"
            )
        self._known[pass_id] = words

    def digest(self, pass_id: str) -> str:
        """SHA-256, in hexadecimal, of all recorded bytes of a pass."""
        return self._words(pass_id).hashed.hexdigest()

    def delete(self, pass_id: str) -> None:
        """Remove the words of a pass that is over."""
        # Not synced: what a power cut brings back is removed at the next start.
        self._path(pass_id).unlink(missing_ok=True)
        self._known.pop(pass_id, None)

    def has(self, pass_id: str) -> bool:
        """Whether there are words of a pass."""
        return self._path(pass_id).exists()

    def keep_only(self, passes: set[str]) -> None:
        """Remove the words of passes that are over."""
        for path in self.folder.glob("*.words"):
            if path.stem not in passes:
                self.delete(path.stem)

    def _path(self, pass_id: str) -> Path:
        return self.folder / f"{pass_id}.words"


@dataclass
class Group:
    """Chunks of a pass on their way into the spool: they wait for one another as long as they come quickly."""

    spool: Spool
    pass_id: str
    #: Makes durable what must be there before the chunks are.
    before: Callable[[], None] = lambda: None
    _waiting: list[bytes] = field(default_factory=list)
    _since: float = 0.0

    def add(self, data: bytes) -> bool:
        """Take a chunk; whether it and those before it are recorded now.

        The first chunk of a pass waits for nobody, so that fetching can begin.
        """
        self._waiting.append(data)
        enough = sum(map(len, self._waiting)) >= GROUP_BYTES or time.monotonic() - self._since >= GROUP_SECONDS
        return enough and self.flush()

    def flush(self) -> bool:
        """Record what waits."""
        if self._waiting:
            self.before()
            self.spool.append(self.pass_id, self._waiting)
            self._waiting = []
            self._since = time.monotonic()
        return True


def _write_all(descriptor: int, data: bytes) -> None:
    """Write to a file that is not buffered: one call may write a part only."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def open_spool(folder: Path, records: Records) -> Spool:
    """The spool folder, made where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Spool(folder, records)
