"""Blobs that coordinators put here: the panel, the list of variants, lists of people, the asks of a pass."""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import Failed, ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.state_folder import sync_folder
from fedstats.wire.blobs import PURPOSES
from fedstats.wire.messages import BlobOrder
from node_agent.records import Records
from node_agent.run_records import RunRecords

LARGEST_BLOB = 1 << 30
KEPT_SECONDS = 86_400.0


@dataclass(frozen=True)
class BlobFolder:
    """The folder of blobs of one agent; a blob's name is the SHA-256 of its bytes."""

    folder: Path
    records: Records
    runs: RunRecords

    def store(self, order: BlobOrder, data: bytes) -> None:
        """Keep a blob durably, once it is the one that was announced."""
        check_announced(order)
        if len(data) != order.length or hashlib.sha256(data).hexdigest() != order.sha256:
            raise ProtocolRefused("a blob is not the one that was announced", code="DAMAGED_BLOB")
        # In one transaction: a run that ends meanwhile deletes no blob that another one was just given.
        with self.records.ledger.transaction():
            if self.records.has_blob(order.sha256):
                (self.folder / order.sha256).touch()
                self.runs.use_blob(order.run, order.sha256)
                return
        try:
            self._write(order.sha256, data)
        except OSError as error:
            raise Failed(f"a blob cannot be written ({error.strerror})", code="DISK_FULL") from error
        with self.records.ledger.transaction():
            self.records.keep_blob(order.sha256, order.run, order.purpose, order.length)
            self.runs.use_blob(order.run, order.sha256)

    def read(self, sha256: str, what: str) -> bytes:
        """Bytes of a blob; `what` says in an error what is missing."""
        self.check(sha256, what)
        return (self.folder / sha256).read_bytes()

    def check(self, sha256: str, what: str) -> None:
        """Refuse what needs a blob that is not here."""
        if not self.records.has_blob(sha256):
            raise ProtocolRefused(f"{what} was not put at this node before it was used", code="NO_BLOB")

    def sweep(self, now_seconds: float, needed: Collection[str] = ()) -> None:
        """Forget what passes asked that are over, a day after it was last put here, unless it is needed still.

        Not at once: equal asks are one blob, and between Put and Open no pass names it yet.
        """
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

    def _write(self, sha256: str, data: bytes) -> None:
        draft = self.folder / f"{sha256}.part"
        with draft.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / sha256)
        sync_folder(self.folder)


def check_announced(order: BlobOrder) -> None:
    """Refuse a blob of another purpose or size than there are, before its bytes are taken in."""
    if order.purpose not in PURPOSES or not is_hex(order.sha256, 32) or not 0 <= order.length <= LARGEST_BLOB:
        raise ProtocolRefused("the announcement of a blob has another purpose, digest or size", code="MALFORMED")


def open_blobs(folder: Path, records: Records, runs: RunRecords) -> BlobFolder:
    """The folder, made where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return BlobFolder(folder, records, runs)
