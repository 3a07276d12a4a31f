"""Where the ledger of a key holder stands, signed by it: what a coordinator keeps, and shows it again.

Who learns what: the coordinator, how many entries the ledger has.
Assumes: somebody who saw a newer place shows it; the key holder's identity key signs nothing else under this kind.
Fails if: every coordinator holds back what it was shown.
"""

from dataclasses import dataclass

from fedstats.documents import document
from fedstats.wire.messages import SignedText


@document
@dataclass(frozen=True)
class LedgerPlace:
    """A place in the ledger of a key holder.

    Attributes
    ----------
    generation
        How often its custodian has said that an older ledger is to be gone on with.
    count, hash
        Number of entries, and the hash of the last one.
    """

    generation: int
    count: int
    hash: str

    def is_before(self, other: "LedgerPlace") -> bool:
        """Whether a ledger that stood at the other place gets here only by losing entries."""
        return (self.generation, self.count) < (other.generation, other.count)


@document
@dataclass(frozen=True)
class LedgerOrder:
    """A second call of Describe at a key holder, answered by its LedgerPlace.

    Attributes
    ----------
    federation
        Name of the federation.
    shown
        The newest place that it has signed for this coordinator; None where the coordinator keeps none.
    """

    federation: str
    shown: SignedText | None
