"""The newest place that a key holder signed of its ledger: kept beside federation.toml, and shown to it again.

A key holder whose ledger was put back from a backup has forgotten what it opened, and its nodes never speak with it.
"""

import threading
from dataclasses import dataclass, field
from pathlib import Path

from fedstats.coordinator.durable import read_or_none, write_durably
from fedstats.coordinator.nodes import Nodes
from fedstats.documents import decode, encode
from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import open_signed
from fedstats.wire.ledger_place import LedgerOrder, LedgerPlace
from fedstats.wire.messages import SignedText
from fedstats.wire.signed_text import from_text, to_text

#: Of the file, beside federation.toml.
KEPT_IN = "key-holder-ledger.json"


@dataclass(frozen=True)
class SeenLedger:
    """What one coordinator has seen of the ledger of a key holder; may be asked from many threads.

    Attributes
    ----------
    path
        The file. Runs side by side may put back a place that is a little older; the next answer mends that.
    federation, name, identity
        Name of the federation; name and identity of the key holder.
    """

    path: Path
    federation: str
    name: str
    identity: str
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def show(self, talk: Nodes) -> None:
        """Show the key holder what it has signed last, and keep the place that it answers with.

        Raises
        ------
        ProtocolRefused
            STALE_LEDGER, by the key holder or here: its ledger is older than it was.
        """
        kept = self._kept()
        answer = talk.ask_signed(self.name, "Describe", LedgerOrder(self.federation, kept))
        found = talk.opened(self.name, answer, LedgerPlace)
        if kept is not None and found.is_before(self._place(kept)):
            raise ProtocolRefused(
                "the ledger of the key holder is older than it was; nothing was sent to be opened.",
                code="STALE_LEDGER",
                node=self.name,
                hint="Was it put back from a backup? Its custodian explains; do not go on before that.",
            )
        self._keep(found, to_text(answer))

    def _keep(self, found: LedgerPlace, signed: SignedText) -> None:
        with self._writing:
            # Another thread may have seen a newer one meanwhile.
            kept = self._kept()
            if kept is None or self._place(kept).is_before(found):
                write_durably(self.path, encode(signed))

    def _kept(self) -> SignedText | None:
        """What is kept of this very key holder: one with other keys has another ledger."""
        body = read_or_none(self.path)
        kept = None if body is None else decode(SignedText, body)
        return kept if kept is not None and kept.signer == self.identity else None

    def _place(self, signed: SignedText) -> LedgerPlace:
        return open_signed(from_text(signed), LedgerPlace.__name__, LedgerPlace, self.identity, node=self.name)
