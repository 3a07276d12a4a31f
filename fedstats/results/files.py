"""Files that appear under their name whole or not at all."""

import contextlib
import errno
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Protocol

from fedstats.errors import Failed

OpenFile = Callable[[Path], IO[bytes]]

#: A buffer of megabytes would cost its file more page faults than it saves calls.
_GATHERED_BYTES = 1 << 16
_DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


def open_for_writing(path: Path) -> IO[bytes]:
    """The file at this path, emptied; small pieces are gathered, larger ones are written as they are."""
    return path.open("wb", buffering=_GATHERED_BYTES)


def write_failure(path: Path, written: int, error: OSError) -> Failed:
    """The error that says which file could not be written, how far it came and what to do."""
    if error.errno in _DISK_FULL:
        return Failed(
            f"{path.name}: the disk is full ({path.absolute().parent}), after {written:,} bytes; "
            "nothing half-written was left behind.",
            code="DISK_FULL",
            hint="Free space or choose another --out, then run the same command again with --resume.",
        )
    reason = error.strerror or type(error).__name__
    return Failed(
        f"{path.name}: could not be written in {path.absolute().parent}: {reason}; "
        "nothing half-written was left behind.",
        code="CANNOT_WRITE",
        hint="Check that the folder exists and that you may write there.",
    )


class AtomicFile:
    """A file written beside its place and moved there by `publish`; `abort` leaves nothing.

    The name of the unfinished file is fixed, so that a run that was killed leaves one stray file at most, which the
    next run overwrites.  It offers the part of a binary file that pyarrow needs.
    """

    def __init__(self, path: Path, *, open_file: OpenFile = open_for_writing) -> None:
        self.path = path
        self.written = 0
        self._published = False
        self._aborted = False
        self._unfinished = path.with_name(f".{path.name}.part")
        try:
            self._file = open_file(self._unfinished)
        except OSError as error:
            raise write_failure(path, 0, error) from error

    @property
    def closed(self) -> bool:
        return self._file.closed and not self._aborted

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.written

    def flush(self) -> None:
        """Do nothing: data are flushed once, by `seal`."""

    def write(self, body: bytes | memoryview) -> int:
        """Append; raises Failed with the name of the file when the disk does not take it.

        After `abort` bytes vanish: a library that still holds a buffer may flush it.
        """
        size = memoryview(body).nbytes
        if self._aborted:
            return size
        try:
            self._file.write(body)
        except OSError as error:
            raise write_failure(self.path, self.written, error) from error
        self.written += size
        return size

    def seal(self) -> None:
        """Put everything on the disk; the file does not have its name yet."""
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        except OSError as error:
            raise write_failure(self.path, self.written, error) from error

    def publish(self) -> None:
        """Give the sealed file its name, replacing an earlier one."""
        try:
            self._unfinished.replace(self.path)
            self._published = True
        except OSError as error:
            raise write_failure(self.path, self.written, error) from error

    def abort(self) -> None:
        """Remove what was written, also when it has its name already: its companions could not be published."""
        self._aborted = True
        with contextlib.suppress(OSError):  # closing flushes, and a full disk says so a second time
            self._file.close()
        with contextlib.suppress(OSError):
            (self.path if self._published else self._unfinished).unlink()


class Publishable(Protocol):
    """Something written in two steps, so that several files can appear together."""

    def seal(self) -> None: ...
    def publish(self) -> None: ...
    def abort(self) -> None: ...


def publish_all(files: Sequence[Publishable]) -> None:
    """Seal every file, then publish every one; when sealing fails, none appears.

    Between the first and the last renaming there is no work that could fail for want of space.
    """
    try:
        for file in files:
            file.seal()
        for file in files:
            file.publish()
    except BaseException:
        abort_all(files)
        raise


def abort_all(files: Sequence[Publishable]) -> None:
    """Abort every file."""
    for file in files:
        file.abort()


def write_atomically(path: Path, *parts: bytes | memoryview, open_file: OpenFile = open_for_writing) -> None:
    """Write a whole file at once, of these parts one after the other."""
    file = AtomicFile(path, open_file=open_file)
    try:
        for part in parts:
            file.write(part)
        file.seal()
        file.publish()
    except BaseException:
        file.abort()
        raise
