"""Arrays as long as a variant panel: once they are large they lie in files without a name.

What is known of each of twenty million variants would fill a gigabyte of memory and is seldom looked at. From a file
the system brings in what is looked at and puts out what is not. The file goes with the array, or with the process.
"""

import contextlib
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from fedstats.errors import Failed

T = TypeVar("T", bound=np.generic)

#: Up to this many bytes an array is held in memory: a file for each small one would cost more than it saves.
HELD_BYTES = 1 << 22

#: Elements that are worked on together, where an array is too long to be doubled.
SLICE = 1 << 17

#: A folder on a disk, as SQLite takes it: on many systems /tmp lies in memory.
_ON_DISK = Path("/var/tmp")  # noqa: S108  # files in it have no name that anybody could guess


class _Place:
    """Where the files of this process lie, None where nobody said so."""

    folder: Path | None = None


def keep_scratch_in(folder: Path) -> None:
    """Put the files of this process into a folder of its own; an agent's lie with its state, on the custodian's disk.

    For processes of our own only: a library must not do this to the program of whoever imports it.
    """
    _Place.folder = folder


class Scratch(Generic[T]):
    """An array that is made part by part, each appended to the last, and then read whole."""

    def __init__(self, kind: type[T]) -> None:
        self._kind = kind
        self._held: list[npt.NDArray[T]] = []
        self._file: IO[bytes] | None = None
        self.nbytes = 0

    def append(self, part: npt.ArrayLike) -> None:
        """Put a part behind the others; it is copied.

        Raises
        ------
        Failed
            Code DISK_FULL: the folder for temporary files has no room.
        """
        values = np.array(part, self._kind)
        before, self.nbytes = self.nbytes, self.nbytes + values.nbytes
        if self._file is None and self.nbytes > HELD_BYTES >= before:
            self._file = _file_without_name()
            if self._file is not None:
                weakref.finalize(self, _close, self._file)
            held, self._held = self._held, []
            for earlier in held:
                self._keep(earlier)
        self._keep(values)

    def _keep(self, values: npt.NDArray[T]) -> None:
        if self._file is None:
            self._held.append(values)
            return
        try:
            self._file.write(values.data)
        except OSError as error:
            raise _no_room(error) from error

    def array(self) -> npt.NDArray[T]:
        """All parts as one array that nobody can write to, shape (element,); nothing can be appended any more."""
        if self._file is None:
            found = np.concatenate([np.zeros(0, self._kind), *self._held])
            found.flags.writeable = False
            return found
        try:
            with self._file as file:
                file.flush()
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise _no_room(error) from error
        return np.frombuffer(mapped, self._kind)


def slices(length: int) -> Iterator[slice]:
    """Where to cut what is too long to be doubled in memory."""
    for first in range(0, length, SLICE):
        yield slice(first, first + SLICE)


def indices_where(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """Increasing indices of what is true, shape (true element,), in a file where they are many."""
    found = Scratch(np.int64)
    for part in slices(len(mask)):
        found.append(part.start + np.flatnonzero(mask[part]))
    return found.array()


def elements_where(mask: npt.NDArray[np.bool_], array: npt.NDArray[T]) -> npt.NDArray[T]:
    """The elements of an array where a mask is true, shape (true element,), in a file where they are many."""
    found: Scratch[T] = Scratch(array.dtype.type)
    for part in slices(len(mask)):
        found.append(array[part][mask[part]])
    return found.array()


def _file_without_name() -> IO[bytes] | None:
    """A file that goes when it is closed; None where there is no folder to write in, and arrays stay in memory."""
    on_disk = "TMPDIR" not in os.environ and os.access(_ON_DISK, os.W_OK)
    try:
        return tempfile.TemporaryFile(dir=_Place.folder or (_ON_DISK if on_disk else None))
    except OSError:
        return None


def _close(file: IO[bytes]) -> None:
    """Close a file whose array nobody wants any more; what it still holds may find no room."""
    with contextlib.suppress(OSError):
        file.close()


def _no_room(error: OSError) -> Failed:
    return Failed(
        f"a temporary file cannot be written ({error.strerror})",
        code="DISK_FULL",
        hint="Make room where temporary files lie (TMPDIR; of an agent, its state folder): 50 bytes for each variant.",
    )
