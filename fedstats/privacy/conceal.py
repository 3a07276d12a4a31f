"""The settings under which numbers leave a node, and the one thing that each of them does to words.

Who learns what
---------------
=========  ========================  ==================  =========================  ====================================
setting    the coordinator           another node        coordinator and c nodes    the network
=========  ========================  ==================  =========================  ====================================
plain      each node's sums          totals sent down    each node's sums           nothing (mutual TLS)
dp         noised totals             totals sent down    noised total of the others nothing (mutual TLS, and masks)
masked     the total of all nodes    totals sent down    the total of the others    nothing (mutual TLS, and masks)
paillier   the total of all nodes    totals sent down    the total of the others    nothing (mutual TLS, and encryption)
=========  ========================  ==================  =========================  ====================================

Assumes
-------
plain: that every institution trusts the coordinator with its sums; each must opt in with a reason.
masked: see `masking`. dp: as masked, with noise of each node's own within the masks; of colluding nodes' noise nothing
is counted (see `zcdp`). paillier: see `paillier`, also for what it is without masks.

Fails if
--------
The total itself says something about a person: every setting opens totals, and floors on people stand in front of all.
"""

from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedstats.privacy.primitives.stream import Ring


class Setting(StrEnum):
    """How a node's words are concealed; the value is what `--privacy` and policies say."""

    PLAIN = "plain"
    MASKED = "masked"
    PAILLIER = "paillier"


Widths = npt.NDArray[np.uint8]
"""Bits that hold the total in each word, shape (word,)."""


class Conceal(Protocol):
    """A node's way of turning words of a layout into the bytes that leave it."""

    @property
    def setting(self) -> Setting:
        """The setting that this belongs to."""
        ...

    def protect(self, words: Ring, first_word: int, widths: Widths) -> bytes:
        """The bytes for one ask's `words`, shape (word,), whose first stands at `first_word` of the layout."""
        ...


def little_endian(words: Ring) -> bytes:
    """Words as they lie in spool files and travel: eight bytes each."""
    return words.astype("<u8", copy=False).tobytes()
