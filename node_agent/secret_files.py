"""Secrets of runs and passes on disk: durable before the answer made from them leaves, gone when the pass is over.

Files of mode 0600 in a folder of mode 0700, marked so that backup programs leave it out: a copy of a secret that
outlives its pass would open what was masked with it.
"""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from fedstats.documents import decode, encode
from fedstats.errors import ProtocolRefused
from fedstats.state_folder import sync_folder

D = TypeVar("D")

#: https://bford.info/cachedir/ : the line by which backup programs know a folder that they leave out.
_CACHEDIR_TAG = "Signature: 8a477f597d28d172789f06886806bc55\n# Secrets of running passes; never back them up.\n"


@dataclass(frozen=True)
class SecretFiles:
    """The folder of secrets of one agent."""

    folder: Path

    def save(self, name: str, secret: object) -> None:
        """Write a secret durably; an earlier one of that name is replaced whole."""
        draft = self.folder / f".{name}.part"
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(encode(secret))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.folder / name)
        sync_folder(self.folder)

    def load(self, name: str, kind: type[D]) -> D:
        """The secret of that name.

        Raises
        ------
        ProtocolRefused
            SECRETS_LOST: it is gone, as after a backup was put back, which has none.
        """
        try:
            return decode(kind, (self.folder / name).read_bytes())
        except FileNotFoundError:
            raise ProtocolRefused(
                "the secrets of this pass or run are gone, so nothing of it can be masked; nothing was sent.",
                code="SECRETS_LOST",
                hint="Was this node put back from a backup? Begin a new run.",
            ) from None

    def has(self, name: str) -> bool:
        """Whether there is a secret of that name."""
        return (self.folder / name).is_file()

    def delete(self, *names: str) -> None:
        """Delete secrets; those that are gone already are fine.

        The folder is not synced: what a power cut brings back is deleted at the next start (see `finishing`).
        """
        for name in names:
            (self.folder / name).unlink(missing_ok=True)

    def keep_only(self, names: set[str]) -> None:
        """Delete the secrets of passes and runs that are over, and drafts that a crash has left."""
        kinds = ("run-", "pass-", "own-", ".run-", ".pass-")
        self.delete(*(n for path in self.folder.iterdir() if (n := path.name).startswith(kinds) and n not in names))


def open_secret_files(folder: Path) -> SecretFiles:
    """The folder, made with its marks where it is new."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    (folder / "CACHEDIR.TAG").write_text(_CACHEDIR_TAG)
    (folder / ".nobackup").touch()
    return SecretFiles(folder)


def run_secret(run: str) -> str:
    """File of the secret of a run; the run's id is hashed, for it came from outside."""
    return f"run-{hashlib.sha256(run.encode()).hexdigest()}"


def pass_secret(pass_id: str) -> str:
    """File of what is kept of a pass from S to its end."""
    return f"pass-{hashlib.sha256(pass_id.encode()).hexdigest()}"


def own_words(pass_id: str) -> str:
    """File of a node's own words of a pass whose total is to be certified."""
    return f"own-{hashlib.sha256(pass_id.encode()).hexdigest()}"
