"""Products that were ordered and words that were opened, on disk until their run is finished.

A product is whole and synced before its order stands in the ledger, words are so before the ledger says that they were
opened; a file is named by the hash of its pass id, which came from outside.
"""

import hashlib
import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from fedstats.arrays import Bytes
from fedstats.errors import Failed
from fedstats.state_folder import sync_folder


@dataclass(frozen=True)
class Files:
    """A folder with one file a pass."""

    folder: Path

    def store(self, pass_id: str, data: Bytes) -> None:
        """Write a file durably; an earlier one is replaced whole.

        Raises
        ------
        Failed
            Code SPOOL_UNWRITABLE: the disk is full or broken.
        """
        path = self.path(pass_id)
        draft = path.with_name(path.name + ".part")
        try:
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
            sync_folder(self.folder)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise Failed(
                f"{self.folder.name} cannot be written ({error.strerror}); nothing was sent",
                code="SPOOL_UNWRITABLE",
                hint="Make room on the disk of the state folder; the run can be resumed.",
            ) from error

    def load(self, pass_id: str, sha256: str) -> bytes | None:
        """The bytes of a pass; None where they are gone, or are not those that were stored."""
        try:
            data = self.path(pass_id).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def delete(self, pass_id: str) -> None:
        """Delete a file; one that is gone already is fine."""
        self.path(pass_id).unlink(missing_ok=True)

    def keep_only(self, pass_ids: Collection[str]) -> None:
        """Delete what belongs to no pass of these, and drafts that a crash has left."""
        kept = {self.path(pass_id).name for pass_id in pass_ids}
        for path in self.folder.iterdir():
            if path.name not in kept:
                path.unlink()

    def path(self, pass_id: str) -> Path:
        """Where the file of a pass lies."""
        return self.folder / hashlib.sha256(pass_id.encode()).hexdigest()


def open_files(folder: Path) -> Files:
    """The folder, made for its owner alone where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Files(folder)
