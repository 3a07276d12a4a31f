"""Spool files: protected words of a pass, one chunk an ask, durable before they may be fetched.

A chunk that is recorded in the ledger is never computed again. What lies behind the last recorded chunk was cut off
by a crash: it is removed, and computing goes on from there. The file goes when the coordinator signed for the total.
"""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import Failed
from node_agent.records import ChunkRecord, Records
from node_agent.secret_files import sync_folder

_PIECE = 1 << 20


@dataclass(frozen=True)
class Spool:
    """The spool folder of one agent."""

    folder: Path
    records: Records

    def chunks_done(self, pass_id: str) -> int:
        """How many chunks of a pass are recorded."""
        return len(self.records.chunks(pass_id))

    def ready_bytes(self, pass_id: str) -> int:
        """How many bytes of a pass may be fetched."""
        return sum(chunk.length for chunk in self.records.chunks(pass_id))

    def append(self, pass_id: str, number: int, data: bytes) -> None:
        """Write the next chunk, sync it, and record its hash.

        Raises
        ------
        Failed
            Code SPOOL_UNWRITABLE where the disk is full or broken; the pass can go on when there is room.
        """
        recorded = self.ready_bytes(pass_id)
        if number != self.chunks_done(pass_id):
            raise Failed(f"chunk {number} of a pass is out of order", code="SPOOL_ORDER")
        try:
            self._write(self._path(pass_id), recorded, data)
        except OSError as error:
            raise Failed(
                f"the spool cannot be written ({error.strerror}); nothing of this pass was sent",
                code="SPOOL_UNWRITABLE",
                hint="Make room on the disk of the node's state folder; the run can be resumed.",
            ) from error
        chunk = ChunkRecord(number, len(data), hashlib.sha256(data).hexdigest())
        with self.records.ledger.transaction():
            self.records.add_chunk(pass_id, chunk)
            self.records.ledger.append("chunk", {"pass": pass_id, "number": number, "sha256": chunk.sha256})

    def _write(self, path: Path, recorded: int, data: bytes) -> None:
        is_new = not path.exists()
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "r+b") as file:
            file.truncate(recorded)
            file.seek(recorded)
            file.write(data)
            file.flush()
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
        chunks = self.records.chunks(pass_id)
        if not chunks:
            return
        try:
            with self._path(pass_id).open("rb") as file:
                whole = all(hashlib.sha256(file.read(chunk.length)).hexdigest() == chunk.sha256 for chunk in chunks)
        except FileNotFoundError:
            whole = False
        if not whole:
            raise Failed(
                "a stored chunk is not the one that was recorded; the pass must be abandoned", code="SPOOL_DAMAGED"
            )

    def digest(self, pass_id: str) -> str:
        """SHA-256, in hexadecimal, of all recorded bytes of a pass."""
        hashed = hashlib.sha256()
        for piece in self.read(pass_id, 0, self.ready_bytes(pass_id)):
            hashed.update(piece)
        return hashed.hexdigest()

    def delete(self, pass_id: str) -> None:
        """Remove the words of a pass that is over."""
        self._path(pass_id).unlink(missing_ok=True)
        sync_folder(self.folder)

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


def open_spool(folder: Path, records: Records) -> Spool:
    """The spool folder, made where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Spool(folder, records)
