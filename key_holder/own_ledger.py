"""Whether this key holder's ledger is the newest that it ever showed: one put back from a backup is not.

Such a key holder has forgotten which passes it opened, and of which nodes; it would open a run again without a node.
Its nodes never speak with it, so coordinators remember for it: they keep the place that it signed last, and show it
again before each product. A place that the ledger lacks is entered in it, and from then on nothing is opened for
anybody, whatever else is shown, until the custodian says that the ledger is gone on with.

That begins another generation, so that places of the one that was lost are told from places of a later loss.
"""

import json
from dataclasses import dataclass

from fedstats.errors import ProtocolRefused
from fedstats.ledger import GENESIS, Ledger
from fedstats.wire.ledger_place import LedgerPlace
from key_holder.policy import NOTHING_OPENED

#: Both kinds of entries are rare among many; what they say is read from the chain itself, so no table can disagree.
TABLES = "CREATE INDEX IF NOT EXISTS entries_by_kind ON entries (kind, seq);\n"

_SHOWN, _ACCEPTED = "newer_ledger_shown", "ledger_accepted"


@dataclass(frozen=True)
class OwnLedger:
    """The ledger of one key holder, as those who ask have seen it."""

    ledger: Ledger

    @property
    def place(self) -> LedgerPlace:
        """Where it stands now."""
        return LedgerPlace(self.generation, *self.ledger.last)

    @property
    def generation(self) -> int:
        """How often an older ledger was accepted."""
        return self._last(_ACCEPTED)[1]

    def check(self) -> None:
        """Refuse where a newer place was shown that nobody has accepted the loss of.

        Raises
        ------
        ProtocolRefused
            Code STALE_LEDGER.
        """
        if self._missed() is not None:
            raise _stale()

    def check_shown(self, shown: LedgerPlace) -> None:
        """See that a place that this key holder has signed is one of its ledger, and remember it if it is not.

        Raises
        ------
        ProtocolRefused
            Code STALE_LEDGER.
        """
        self.check()
        # Of an earlier generation, it may well be lost: the custodian said so.
        if shown.generation < self.generation or self._holds(shown):
            return
        self.ledger.append(_SHOWN, {"generation": shown.generation, "count": shown.count, "hash": shown.hash})
        raise _stale()

    def accept(self) -> int:
        """Go on with the ledger as it is; the generation that begins, greater than any that was shown."""
        with self.ledger.transaction():
            generation = max(self.generation, self._missed() or 0) + 1
            self.ledger.append(_ACCEPTED, {"generation": generation})
        return generation

    def _holds(self, shown: LedgerPlace) -> bool:
        found = self.ledger.rows("SELECT hash FROM entries WHERE seq = ?", shown.count)
        there = str(found[0][0]) if found else GENESIS * (shown.count == 0)
        return (shown.generation, shown.hash) == (self.generation, there)

    def _missed(self) -> int | None:
        """The generation of a place that was shown and is not there; None where the ledger is the newest."""
        (shown, generation), (accepted, _) = self._last(_SHOWN), self._last(_ACCEPTED)
        return generation if shown > accepted else None

    def _last(self, kind: str) -> tuple[int, int]:
        """Number of the last entry of a kind, and its generation; both 0 where there is none."""
        found = self.ledger.rows("SELECT seq, body FROM entries WHERE kind = ? ORDER BY seq DESC LIMIT 1", kind)
        return (int(found[0][0]), int(json.loads(found[0][1])["generation"])) if found else (0, 0)


def _stale() -> ProtocolRefused:
    return ProtocolRefused(
        f"the ledger of this key holder is older than one that it has shown. {NOTHING_OPENED}",
        code="STALE_LEDGER",
        hint="Was it put back from a backup? Its custodian brings back the newest state folder; where that is lost, "
        "every custodian is told, and then it is said with: fedstats-keyholder accept-ledger",
    )
