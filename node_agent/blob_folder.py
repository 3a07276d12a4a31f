"""Blobs that coordinators put here: the panel, the list of variants, lists of people, the asks of a pass."""

import hashlib
import mmap
import os
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from fedstats.arrays import Bytes
from fedstats.errors import Failed, ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.state_folder import sync_folder
from fedstats.wire.messages import BlobOrder
from node_agent.records import Records
from node_agent.run_records import RunRecords

#: Most bytes of a blob by its purpose. A pass has 64 MiB of words at most, its total no more, and what it asks is about
#: as much; lists have five million people of some twenty bytes.
LARGEST_BLOB = {"panel": 1 << 30, "variants": 1 << 30, "people": 1 << 28, "asks": 1 << 27, "total": 1 << 27}
#: Most bytes of blobs that are taken in at a time: one of any purpose, and what passes ask beside it.
ROOM_BYTES = max(LARGEST_BLOB.values()) + (1 << 28)
KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class BlobFolder:
    """The folder of blobs of one agent; a blob's name is the SHA-256 of its bytes."""

    folder: Path
    records: Records
    runs: RunRecords
    #: Names of files that are being written.
    _drafts: set[str] = field(default_factory=set, repr=False)

    def store(self, order: BlobOrder, data: Bytes) -> None:
        """Keep a blob durably, once it is the one that was announced."""
        check_announced(order)
        if len(data) != order.length or hashlib.sha256(data).hexdigest() != order.sha256:
            raise ProtocolRefused("a blob is not the one that was announced", code="DAMAGED_BLOB")
        # In one transaction: a run that ends meanwhile deletes no blob that another one was just given.
        with self.records.ledger.transaction():
            if self.records.has_blob(order.sha256):
                (self.folder / order.sha256).touch()
                self._use(order)
                return
        try:
            self._write(order.sha256, data)
        except OSError as error:
            raise Failed(f"a blob cannot be written ({error.strerror})", code="DISK_FULL") from error
        with self.records.ledger.transaction():
            self.records.keep_blob(order.sha256, order.run, order.purpose, order.length)
            self._use(order)

    def _use(self, order: BlobOrder) -> None:
        """A run needs a blob; one that never begins is forgotten as others are, and its blobs with it."""
        self.runs.use_blob(order.run, order.sha256)
        self.runs.touch(order.run, datetime.now(UTC))

    def read(self, sha256: str, what: str) -> bytes:
        """Bytes of a blob; `what` says in an error what is missing."""
        self.check(sha256, what)
        return (self.folder / sha256).read_bytes()

    def mapped(self, sha256: str, what: str) -> Bytes:
        """The same, mapped from the disk: a panel of many variants is read piece by piece."""
        self.check(sha256, what)
        with (self.folder / sha256).open("rb") as file:
            empty = not os.fstat(file.fileno()).st_size
            return b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)

    def check(self, sha256: str, what: str) -> None:
        """Refuse what needs a blob that is not here."""
        if not self.records.has_blob(sha256):
            raise ProtocolRefused(f"{what} was not put at this node before it was used", code="NO_BLOB")

    def sweep(self, now_seconds: float, needed: Collection[str] = ()) -> None:
        """Forget what passes asked that are over, a day after it was last put here, unless it is needed still.

        Not at once: equal asks are one blob, and between Put and Open no pass names it yet.
        """
        for stray in self.folder.glob("*.part"):  # a crash left them; an agent that just started takes in others
            if stray.name not in self._drafts:
                stray.unlink(missing_ok=True)
        live = {record.order.asks for record in self.records.live_passes()}
        for sha256 in self.records.blobs_for("asks"):
            path = self.folder / sha256
            if (
                sha256 not in live
                and sha256 not in needed
                and (not path.exists() or now_seconds - path.stat().st_mtime > KEPT_SECONDS)
            ):
                self.records.drop_blob(sha256)
                path.unlink(missing_ok=True)

    def release(self, run: str) -> None:
        """Delete the blobs of a run that no other run needs."""
        with self.records.ledger.transaction():
            for sha256 in self.runs.release_blobs(run):
                self.records.drop_blob(sha256)
                (self.folder / sha256).unlink(missing_ok=True)

    def _write(self, sha256: str, data: Bytes) -> None:
        # A name of its own: the same blob may come twice at a time, and neither may cut the other's short.
        draft = self.folder / f"{sha256}.{secrets.token_hex(4)}.part"
        self._drafts.add(draft.name)
        try:
            with draft.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / sha256)
        finally:
            self._drafts.discard(draft.name)
        sync_folder(self.folder)


def check_announced(order: BlobOrder) -> None:
    """Refuse a blob of another purpose or size than there are, before its bytes are taken in."""
    most = LARGEST_BLOB.get(order.purpose, -1)
    if not is_hex(order.sha256, 32) or not 0 <= order.length <= most:
        raise ProtocolRefused("the announcement of a blob has another purpose, digest or size", code="MALFORMED")


def open_blobs(folder: Path, records: Records, runs: RunRecords) -> BlobFolder:
    """The folder, made where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return BlobFolder(folder, records, runs)
