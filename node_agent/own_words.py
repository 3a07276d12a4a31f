"""A node's own words of a pass whose total it will be asked to certify, on disk until that is done.

They say what the node alone contributes, so they lie beside the secrets of passes, in files of mode 0600 that backups
leave out, and go with them. They cannot be had back from what was uploaded: that is masked, and may be encrypted for
somebody else. They are synced before the words made from them may be fetched.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Self

import numpy as np

from fedstats.arrays import Ring
from fedstats.errors import Failed
from fedstats.privacy.conceal import little_endian
from fedstats.state_folder import sync_folder

_WORD_BYTES = 8


@dataclass
class OwnWords:
    """The own words of one pass, each ask at its place; asks may be written by several threads at once.

    Attributes
    ----------
    lengths
        Words of each ask, without check words.
    """

    path: Path
    lengths: Sequence[int]
    _descriptor: int | None = field(default=None, repr=False)
    _is_new: bool = False

    def __enter__(self) -> Self:
        self._is_new = not self.path.exists()
        self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return self

    def __exit__(self, *_error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def write(self, number: int, words: Ring) -> None:
        """Write the words of ask `number`, shape (word,)."""
        place, left = _WORD_BYTES * [*accumulate(self.lengths, initial=0)][number], memoryview(little_endian(words))
        try:
            while left:
                written = os.pwrite(self._open, left, place)
                place, left = place + written, left[written:]
        except OSError as error:
            raise _unwritable(error) from error

    def sync(self) -> None:
        """Make durable what was written."""
        try:
            os.fsync(self._open)
            if self._is_new:
                sync_folder(self.path.parent)
                self._is_new = False
        except OSError as error:
            raise _unwritable(error) from error

    @property
    def _open(self) -> int:
        if self._descriptor is None:
            raise ValueError("own words are written within a with statement")
        return self._descriptor


def read_own_words(path: Path, words: int) -> Ring:
    """All own words of a pass.

    Raises
    ------
    Failed
        Code OWN_WORDS_LOST: the file is gone, or not whole.
    """
    body = path.read_bytes() if path.is_file() else b""
    if len(body) != _WORD_BYTES * words:
        raise Failed(
            "this node's own words of a pass are not whole on its disk, so its total cannot be certified",
            code="OWN_WORDS_LOST",
            hint="Start the run anew, without --resume.",
        )
    return np.frombuffer(body, "<u8")


def _unwritable(error: OSError) -> Failed:
    return Failed(
        f"the state folder cannot be written ({error.strerror}); nothing of this pass was sent",
        code="SPOOL_UNWRITABLE",
        hint="Make room on the disk of the node's state folder; the run can be resumed.",
    )
