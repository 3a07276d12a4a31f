"""The key holder as a run speaks with it: checked when the run begins, then asked to open the product of each pass."""

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.key_holder_ledger import SeenLedger
from fedstats.coordinator.nodes import Nodes
from fedstats.errors import ConfigError, NodeLost, NodeUnreachable, ProtocolRefused
from fedstats.identity.roster import roster_digest
from fedstats.privacy.extras import need_paillier
from fedstats.wire.messages import PROTOCOL, Accepted, DescribeOrder, FinishOrder, Plan

if TYPE_CHECKING:  # the extra `paillier`
    from fedstats.wire.key_holder_messages import DecryptOrder

WORD_BYTES = 8


@dataclass(frozen=True)
class KeyHolder:
    """A key holder that answers.

    Attributes
    ----------
    name, modulus
        As in the roster.
    planning, running
        The line to it with little patience, and with all of `--wait`.
    seen
        What was seen of its ledger; it is shown that before each product.
    """

    name: str
    modulus: str
    planning: Nodes
    running: Nodes
    seen: SeenLedger

    def check(self, settings: FederationSettings) -> None:
        """See that it is there, holds the key of the roster and speaks this protocol.

        Raises
        ------
        ProtocolRefused
            WRONG_ROSTER, WRONG_KEY, OTHER_PROTOCOL, REPLAYED, or STALE_LEDGER.
        NodeUnreachable
            Nobody answers.
        """
        from fedstats.wire.key_holder_messages import KeyHolderCatalogue

        roster = roster_digest(settings.roster)
        order = DescribeOrder(settings.name, roster, secrets.token_hex(16))
        found = self.planning.ask(self.name, "Describe", order, KeyHolderCatalogue)
        wrong = {
            "REPLAYED": found.nonce != order.nonce,
            "WRONG_ROSTER": found.roster != roster,
            "WRONG_KEY": found.modulus != self.modulus,
            "OTHER_PROTOCOL": found.protocol != PROTOCOL,
        }
        for code in (code for code, is_wrong in wrong.items() if is_wrong):
            raise ProtocolRefused(
                "the key holder's answer does not fit this federation's roster and version", code=code, node=self.name
            )
        self.seen.show(self.planning)

    def open(self, order: "DecryptOrder", product: bytes) -> bytes:
        """The opened words of a product, eight bytes each; asked again, the same come back.

        Raises
        ------
        ProtocolRefused
            STALE_LEDGER, and whatever else the key holder refuses.
        NodeUnreachable
            KEY_HOLDER_LOST: it stays away; the run can be resumed.
        """
        talk = self.running
        try:
            self.seen.show(talk)
            answer = talk.transport.put(self.name, talk.signed(order), product)
            talk.opened(self.name, answer, Accepted)
            words = b"".join(talk.fetch_words(self.name, order.run, order.pass_id, WORD_BYTES * order.words))
            # The place that is kept has this opening before it.
            self.seen.show(talk)
            return words
        except NodeLost as lost:
            raise NodeUnreachable(
                f"the key holder stays away: {lost.message}",
                code="KEY_HOLDER_LOST",
                hint="Start the key holder again and repeat the command with --resume.",
                node=self.name,
            ) from lost

    def finish(self, plan: Plan) -> None:
        """Say that a run is over; raises what one attempt raises."""
        self.running.ask_once(self.name, "Finish", FinishOrder(plan.run), Accepted)

    def close(self) -> None:
        """End every call and the connection."""
        for talk in (self.planning, self.running):
            talk.transport.close()


def check_wanted(settings: FederationSettings) -> None:
    """See, before anybody is asked, that runs under paillier are possible from here.

    Raises
    ------
    UsageError
        MISSING_EXTRA: libraries are not installed.
    ConfigError
        NO_KEY_HOLDER: roster.toml or federation.toml names none.
    """
    need_paillier()
    faults = []
    if not settings.roster.content.paillier_modulus:
        faults.append("the roster names no key holder with a modulus; everybody signs one that does")
    if settings.key_holder is None:
        faults.append("there is no [key_holder] with its address")
    if faults:
        raise ConfigError("federation.toml, for --privacy paillier,", faults, code="NO_KEY_HOLDER")
