"""Files of a run's state: written whole, on the disk before anything depends on them, or not at all."""

import hashlib
import os
import shutil
from pathlib import Path

from fedstats.errors import Failed
from fedstats.results.files import OpenFile, open_for_writing, write_atomically, write_failure


def write_durably(path: Path, *parts: bytes | memoryview, open_file: OpenFile = open_for_writing) -> None:
    """Write a file of these parts beside its place, sync it, rename it and sync the folder."""
    write_atomically(path, *parts, open_file=open_file)
    sync_folder(path.parent)


def write_soon(path: Path, body: bytes) -> None:
    """Write a whole file: it outlives this process at once, and a power cut once it is synced."""
    unfinished = path.with_name(f".{path.name}.part")
    try:
        unfinished.write_bytes(body)
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise write_failure(path, 0, error) from error


def sync_file(path: Path) -> None:
    """Put a file on the disk that was written before."""
    try:
        with path.open("rb") as file:
            os.fsync(file.fileno())
    except OSError as error:
        raise write_failure(path, 0, error) from error


def sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable; a no-op where folders cannot be opened."""
    if os.name != "posix":
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise write_failure(folder, 0, error) from error


def make_folder(folder: Path, *, synced: bool = True) -> Path:
    """The folder, made where it is not there yet; durably unless whoever asks syncs it later."""
    if not folder.is_dir():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if synced:
                sync_folder(folder.parent)
        except OSError as error:
            raise write_failure(folder, 0, error) from error
    return folder


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it; it is renamed first, so that a half-removed one is never read."""
    if not folder.is_dir():
        return
    doomed = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(doomed, ignore_errors=True)
    try:
        folder.rename(doomed)
    except OSError as error:
        raise write_failure(folder, 0, error) from error
    shutil.rmtree(doomed, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_or_none(path: Path) -> bytes | None:
    """The file's bytes, None where there is no such file."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failed(f"{path.name} cannot be read: {error.strerror}", code="CANNOT_READ") from error
