"""Loaded by a Python process whose PYTHONPATH has this folder: writes to some files end with ENOSPC.

FEDSTATS_TEST_FULL_DISK="FLAG:PATTERN": while the file FLAG is there, no byte goes into files whose names match.
"""

import errno
import fnmatch
import io
import os
from pathlib import Path
from typing import Any

_FLAG, _, _NAMES = os.environ.get("FEDSTATS_TEST_FULL_DISK", "").partition(":")
_open, _fdopen, _write = io.open, os.fdopen, os.write


class _FullDisk(io.FileIO):
    def write(self, data: Any) -> int:
        if Path(_FLAG).exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(data)


def _matches(name: object) -> bool:
    return bool(_FLAG) and fnmatch.fnmatch(Path(str(name)).name, _NAMES)


def _opened(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
    if mode == "wb" and _matches(file):
        return io.BufferedWriter(_FullDisk(file, "wb"))
    return _open(file, mode, *rest, **named)


def _of_descriptor(descriptor: int, mode: str = "r", *rest: Any, **named: Any) -> Any:
    if mode == "r+b" and _matches(Path(f"/proc/self/fd/{descriptor}").readlink()):
        return io.BufferedRandom(_FullDisk(descriptor, "r+b"))
    return _fdopen(descriptor, mode, *rest, **named)


def _written(descriptor: int, data: Any) -> int:
    if Path(_FLAG).exists() and _matches(Path(f"/proc/self/fd/{descriptor}").readlink()):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return _write(descriptor, data)


if _FLAG:
    io.open, os.fdopen, os.write = _opened, _of_descriptor, _written
