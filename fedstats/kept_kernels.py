"""Compiled kernels that stay on disk, and when they must go.

numba compiles a function anew when the file that it stands in has another time or size. It does not look at the files
of functions that it calls: after an upgrade an agent would go on computing with an old kernel where only a file below
it had changed. So all kernels of one folder are of one digest of their sources.
"""

import contextlib
import hashlib
import os
from pathlib import Path

import fedstats.kernels

_DIGEST_FILE = "sources.sha256"


def forget_old_kernels() -> None:
    """Remove kernels that were compiled from other sources; before any is used."""
    # Here, because it loads the compiler.
    from fedstats.kernels.packed_loops import count_calls

    folder = count_calls.stats.cache_path
    if folder is not None:
        forget_others(Path(folder), digest_of(Path(fedstats.kernels.__path__[0])))


def digest_of(sources: Path) -> str:
    """SHA-256 of all modules in a folder, by name."""
    total = hashlib.sha256()
    for path in sorted(sources.glob("*.py")):
        total.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def forget_others(folder: Path, digest: str) -> None:
    """Remove kernels that were kept in a folder for sources of another digest.

    Where the folder cannot be written numba keeps nothing there either. Of agents that start together each may remove
    what another has just compiled, which is then compiled once more.
    """
    with contextlib.suppress(OSError):
        stamp = folder / _DIGEST_FILE
        if stamp.is_file() and stamp.read_text() == digest:
            return
        folder.mkdir(parents=True, exist_ok=True)
        for kept in (*folder.glob("*.nbi"), *folder.glob("*.nbc")):
            kept.unlink(missing_ok=True)
        part = stamp.with_name(f".{_DIGEST_FILE}.{os.getpid()}")
        part.write_text(digest)
        part.replace(stamp)
