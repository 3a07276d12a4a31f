"""Peers of a coordinator: address and pinned certificate of each node, checked before anybody is dialled.

A refused client certificate shows at the caller only as a closed socket, so whatever can be wrong with a certificate
is looked for here, and the wrong one is named.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fedstats.errors import NodeUnreachable
from fedstats.identity.card import PROGRAMS, ROLE_WORDS, Card, check_leaf_dates
from fedstats.identity.keys import Leaf


@dataclass(frozen=True)
class Peer:
    """A node, or a key holder, as it is dialled.

    Attributes
    ----------
    card
        Its card as it lies beside the roster; None where there is none.
    identity
        Its identity in the roster, hexadecimal.
    role
        As on its card.
    """

    name: str
    address: str
    card: Card | None
    identity: str
    role: str = "node"


@dataclass(frozen=True)
class Caller:
    """The coordinator as it shows itself: its leaf, and the card that peers were given."""

    leaf: Leaf = field(repr=False)
    card: Card | None


def check_before_dialling(caller: Caller, peer: Peer, now: datetime) -> Card:
    """The card whose leaf the node must show.

    Raises
    ------
    NodeUnreachable
        CERTIFICATE_EXPIRED or CERTIFICATE_NOT_YET_VALID (yours, or the node's), FOREIGN_CERTIFICATE (your leaf is not
        the one on your card), NO_CARD, CARD_NOT_IN_ROSTER.
    """
    card = peer.card
    if card is None:
        raise NodeUnreachable(
            f"there is no card of this {ROLE_WORDS[peer.role]} beside the roster",
            code="NO_CARD",
            hint=f"Ask {peer.name} for its card ('{PROGRAMS[peer.role]} card') "
            f"and lay {peer.name}.card beside roster.toml.",
            node=peer.name,
        )
    if card.identity != peer.identity or card.role != peer.role:
        raise NodeUnreachable(
            f"{peer.name}.card is of another identity than the roster names",
            code="CARD_NOT_IN_ROSTER",
            hint=f"Ask {peer.name} for its card again; if its identity changed, everybody must sign a new roster.",
            node=peer.name,
        )
    if caller.card is not None:
        _check_own(caller, caller.card, now)
    check_leaf_dates(card, now)
    return card


def _check_own(caller: Caller, own: Card, now: datetime) -> None:
    if own.leaf != caller.leaf.certificate:
        raise NodeUnreachable(
            "your own certificate is not the one on your card, so nodes that trust the card will refuse it",
            code="FOREIGN_CERTIFICATE",
            hint="Make a new card of it and have every node 'trust' it, or put back the certificate of the card.",
        )
    check_leaf_dates(own, now, own=True)


Peers = Mapping[str, Peer]
"""Peers by node name."""
