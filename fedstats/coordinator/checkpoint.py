"""OUT.run/: what a run has settled, so that a coordinator that was killed goes on and nothing is computed twice.

::

    OUT.run/
      documents/            plan, servings, run keys and what else is fixed once
      totals/               opened totals: of whole-cohort sums, and of the calls of chunks that have no rows here
      rows/                 rows of finished chunks, where they take less room than the totals they were made of
      passes/PLACE.ATTEMPT/ signed messages and words of passes that are not settled
      attempts/             which attempt a place is at, where it is not the first

Every file appears whole (written beside its place and renamed) and is synced, with its folder, before anything depends
on it. The messages of a pass are synced while its words come, and those that a power cut damaged are asked for again.
A place is scope and number of a call; a total is kept with the digest of what was asked, so that a plan that takes
another path is noticed.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fedstats.arrays import Ring
from fedstats.coordinator.durable import (
    make_folder,
    read_or_none,
    remove_folder,
    sync_file,
    sync_folder,
    write_durably,
    write_soon,
)
from fedstats.coordinator.rows_file import rows_from_bytes, rows_to_parts
from fedstats.errors import Failed
from fedstats.rows import Rows

WHOLE = "whole"
_DIGEST_BYTES = 32
_STEERS = "steers"


@dataclass(frozen=True)
class Place:
    """Where a sum stands in a run: its scope ("whole", or the number of a chunk) and its number within it."""

    scope: str
    call: int

    @property
    def name(self) -> str:
        """As in file names."""
        return f"{self.scope}.{self.call}"


@dataclass(frozen=True)
class Checkpoint:
    """The state of one run in a folder."""

    folder: Path

    def document(self, name: str) -> bytes | None:
        """A document that was kept, None where it was not."""
        return read_or_none(self.folder / "documents" / name)

    def keep_document(self, name: str, body: bytes) -> None:
        """Keep a document under a name; an earlier one is replaced."""
        write_durably(make_folder(self.folder / "documents") / name, body)

    def total(self, place: Place, asked: str) -> Ring | None:
        """The opened total of a place, None where it is not settled.

        Parameters
        ----------
        place
            Which sum.
        asked
            Digest of what is asked there now, hexadecimal.

        Raises
        ------
        Failed
            OTHER_PATH: the total was of something else. DAMAGED_STATE: the file is not what was written.
        """
        body = read_or_none(self._total_file(place))
        if body is None:
            return None
        head, content = body[: 2 * _DIGEST_BYTES], body[2 * _DIGEST_BYTES :]
        if hashlib.sha256(content).digest() != head[_DIGEST_BYTES:]:
            raise damaged(self._total_file(place))
        if head[:_DIGEST_BYTES].hex() != asked:
            raise Failed(
                f"the run asks for something else at {place.name} than before it was interrupted",
                code="OTHER_PATH",
                hint="Results of different versions of fedstats cannot be mixed; run again without --resume.",
            )
        return np.frombuffer(content, "<u8")

    def keep_total(self, place: Place, asked: str, words: Ring) -> None:
        """Keep an opened total; from here on it is never asked again."""
        content = np.ascontiguousarray(words, "<u8").view(np.uint8).data
        make_folder(self.folder / "totals")
        write_durably(self._total_file(place), bytes.fromhex(asked), hashlib.sha256(content).digest(), content)

    def rows(self, chunk: int) -> Rows | None:
        """Rows of a finished chunk, None where they are not kept: it is not finished, or its totals are smaller."""
        path = self._rows_file(chunk)
        body = read_or_none(path)
        if body is None:
            return None
        if hashlib.sha256(body[_DIGEST_BYTES:]).digest() != body[:_DIGEST_BYTES]:
            raise damaged(path)
        return rows_from_bytes(body[_DIGEST_BYTES:])

    def keep_rows(self, chunk: int, rows: Rows) -> None:
        """Keep the rows of a finished chunk in place of the totals that they were made of, if they take less room.

        With many traits they take more: then the totals stay, and a run that goes on makes the same rows of them again.
        """
        parts = rows_to_parts(rows)
        totals = list((self.folder / "totals").glob(f"{chunk}.*"))
        if sum(path.stat().st_size for path in totals) <= sum(len(part) for part in parts):
            return
        make_folder(self.folder / "rows")
        digest = hashlib.sha256()
        for part in parts:
            digest.update(part)
        write_durably(self._rows_file(chunk), digest.digest(), *parts)
        for path in totals:
            path.unlink()

    def is_settled(self, place: Place) -> bool:
        """Whether the total of a place, or the rows that came of it, are kept."""
        finished = place.scope != WHOLE and self._rows_file(int(place.scope)).exists()
        return finished or self._total_file(place).exists()

    @property
    def anything_opened(self) -> bool:
        """Whether a total, or under plain any node's words, may be known: then nodes cannot be left out any more.

        A pass may be open from the moment at which its seed shares could be asked for.
        """
        if any(self._names("totals")) or any(self._names("rows")):
            return True
        passes = list(self.unsettled_passes())
        plain = any(not one.has_messages("R") and any(one.folder.glob("*.words")) for one in passes)
        return plain or any(one.has_messages("C") for one in passes)

    def attempt(self, place: Place) -> int:
        """Which attempt the pass at a place is at, from 0."""
        body = read_or_none(self.folder / "attempts" / place.name)
        return 0 if body is None else int(body)

    def next_attempt(self, place: Place) -> None:
        """Give up the pass at a place; the next one has a new identity."""
        number = self.attempt(place) + 1
        write_durably(make_folder(self.folder / "attempts") / place.name, str(number).encode("ascii"))

    def pass_folder(self, place: Place, attempt: int) -> "PassFolder":
        """Where messages and words of a pass lie."""
        folder = self.folder / "passes" / f"{place.name}.{attempt}"
        return PassFolder(make_folder(folder, synced=False), place, attempt)

    def kept_pass(self, place: Place) -> "PassFolder | None":
        """The folder of the present attempt at a place, None where there is none."""
        attempt = self.attempt(place)
        folder = self.folder / "passes" / f"{place.name}.{attempt}"
        return PassFolder(folder, place, attempt) if folder.is_dir() else None

    def unsettled_passes(self) -> Iterator["PassFolder"]:
        """Passes that still have a folder: interrupted ones, and settled ones whose receipts are owed."""
        for name in sorted(self._names("passes")):
            scope, call, attempt = name.rsplit(".", 2)
            yield PassFolder(self.folder / "passes" / name, Place(scope, int(call)), int(attempt))

    def clear(self) -> None:
        """Forget everything."""
        remove_folder(self.folder)

    def _total_file(self, place: Place) -> Path:
        return self.folder / "totals" / place.name

    def _rows_file(self, chunk: int) -> Path:
        return self.folder / "rows" / str(chunk)

    def _names(self, kind: str) -> Iterator[str]:
        folder = self.folder / kind
        return (path.name for path in folder.iterdir() if path.name[0] != ".") if folder.is_dir() else iter(())


@dataclass(frozen=True)
class PassFolder:
    """Messages and words of one pass."""

    folder: Path
    place: Place
    attempt: int

    def messages(self, name: str) -> bytes | None:
        """Messages of a step that were kept; None also where a power cut left something else."""
        body = read_or_none(self._messages_file(name))
        if body is None or hashlib.sha256(body[_DIGEST_BYTES:]).digest() != body[:_DIGEST_BYTES]:
            return None
        return body[_DIGEST_BYTES:]

    def keep_messages(self, name: str, body: bytes, *, synced: bool) -> None:
        """Keep the messages of a step; unless synced here, they outlive a power cut after `sync`."""
        write = write_durably if synced else write_soon
        write(self._messages_file(name), hashlib.sha256(body).digest() + body)

    def mark_steering(self) -> None:
        """Mark the pass as one whose total its nodes certify, before anything rests on it; durable after `sync`."""
        if not self.steers:
            self.keep_messages(_STEERS, b"", synced=False)

    @property
    def steers(self) -> bool:
        """Whether the pass was marked so: then its receipts are for `certifying` to send."""
        return self.has_messages(_STEERS)

    def sync(self) -> None:
        """Put the folder and the messages in it on the disk."""
        for path in self.folder.glob("*.messages"):
            sync_file(path)
        sync_folder(self.folder)
        sync_folder(self.folder.parent)

    def has_messages(self, name: str) -> bool:
        """Whether messages of a step lie here, whole or not."""
        return self._messages_file(name).exists()

    def words_file(self, node: str) -> Path:
        """Where the whole words of a node lie, once they are all there."""
        return self.folder / f"{node}.words"

    @property
    def opened_file(self) -> Path:
        """Where the words lie that a key holder opened, once they are all there."""
        return self.folder / "opened"

    def remove(self) -> None:
        """Drop everything of the pass."""
        remove_folder(self.folder)

    def _messages_file(self, name: str) -> Path:
        return self.folder / f"{name}.messages"


def damaged(path: Path) -> Failed:
    """The error that says that a state file is not what was written."""
    return Failed(
        f"{path.parent.name}/{path.name} in the run's folder is damaged",
        code="DAMAGED_STATE",
        hint="Start the run anew, without --resume.",
    )


def to_json(subject: object) -> bytes:
    """Canonical JSON of plain data."""
    return json.dumps(subject, sort_keys=True, separators=(",", ":")).encode("ascii")
