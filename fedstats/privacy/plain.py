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

from fedstats.privacy.conceal import Setting
from fedstats.privacy.primitives.stream import Ring


@dataclass(frozen=True)
class Plain:
    """Conceals nothing; the same words come out under `masked` once the masks have cancelled."""

    setting: ClassVar[Setting] = Setting.PLAIN

    def apply(self, words: Ring, first_word: int) -> Ring:  # noqa: ARG002 - the place matters to masks only
        """Return a copy of the words."""
        return words.copy()
