"""Contribution: protected words on their way out of a node.

Only the node's egress may make one and only the coordinator's runner may open one; import-linter holds to that.
A second way out of the node fails the build.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Ring
from fedstats.errors import ProtocolRefused


@dataclass(frozen=True)
class Contribution:
    """Protected ring words of one block of a pass.

    Attributes
    ----------
    first_word
        Where the words lie in the layout of the pass.
    data
        The words as they lie in the spool file and travel: masked or encrypted unless the run's privacy is plain.
    """

    first_word: int
    data: bytes


def open_contribution(data: npt.NDArray[np.uint8], words: int) -> Ring:
    """The words of one node's whole pass, eight bytes each, as the coordinator spooled them, shape (word,)."""
    if len(data) != 8 * words:
        raise ProtocolRefused(f"a contribution holds {len(data)} bytes where {8 * words} are due", code="MALFORMED")
    return data.view("<u8")
