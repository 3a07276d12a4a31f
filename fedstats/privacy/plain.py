"""The setting `plain`: words leave a node as they are.

Who learns what
---------------
The coordinator sees every node's sums. Nobody else does: connections are mutual TLS.

Assumes
-------
Each institution has opted in with a reason, which every result prints. Never a fallback from another setting.

Fails if
--------
The coordinator is curious.
"""

from dataclasses import dataclass
from typing import ClassVar

from fedstats.privacy.conceal import Setting, Widths, little_endian
from fedstats.privacy.primitives.stream import Ring


@dataclass(frozen=True)
class Plain:
    """Conceals nothing; the same words come out under `masked` once the masks have cancelled."""

    setting: ClassVar[Setting] = Setting.PLAIN

    def protect(self, words: Ring, first_word: int, widths: Widths) -> bytes:  # noqa: ARG002 - place and width matter to others
        """The words as they are."""
        return little_endian(words)
