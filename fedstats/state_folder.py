"""The state folder of an agent: on a local disk, held by one process, its names durable."""

import fcntl
import os
from pathlib import Path

from fedstats.errors import ConfigError, Failed

#: File systems over a network, on which SQLite's write-ahead log loses what it promised.
_NETWORK = ("nfs", "cifs", "smb", "afs", "lustre", "beegfs", "gpfs", "ceph", "gluster", "9p", "fuse.sshfs", "fuse.gl")


def check_state_folder(state: Path, config: str) -> None:
    """Refuse a state folder on a network file system, where a ledger may lose what it acknowledged.

    `config` is the file that names the folder; its table is named like the file.
    """
    kind = file_system_of(state, Path("/proc/self/mounts").read_text())
    if kind.startswith(_NETWORK):
        where = f"[{Path(config).stem}]: state lies on a {kind} file system"
        fault = f"{where}; the ledger must not lose anything and needs a local disk"
        raise ConfigError(config, [fault], code="NETWORK_DISK")


def file_system_of(path: Path, mounts: str) -> str:
    """Kind of the file system that a path lies on, from the text of /proc/mounts."""
    best, kind = -1, ""
    for line in mounts.splitlines():
        _, point, found, *_ = line.split(" ")
        point = point.replace("\\040", " ")
        if path.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), found
    return kind


def lock_folder(state: Path) -> int:
    """Hold the state folder for this process; the lock goes with the process, however it ends."""
    descriptor = os.open(state / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise Failed("another agent runs with this state folder; stop it first", code="ALREADY_RUNNING") from None
    return descriptor


def sync_folder(folder: Path) -> None:
    """Make names in a folder durable: a file that was renamed or removed stays so after a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
