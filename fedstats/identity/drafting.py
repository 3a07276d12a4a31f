"""A roster on its way round: drafted from cards, signed by one party after the other, joined, shown."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedstats.errors import ConfigError, UsageError
from fedstats.identity.card import ROLE_WORDS, Card, read_card
from fedstats.identity.keys import Identity
from fedstats.identity.roster import (
    Roster,
    RosterContent,
    RosterCoordinator,
    RosterNode,
    add_signature,
    read_draft_roster,
    roster_digest,
    write_roster,
)
from fedstats.identity.roster_faults import roster_faults

#: The fewest people that a node answers for, unless it says otherwise.
MIN_PEOPLE = 100


@dataclass(frozen=True)
class Member:
    """A party of a roster, and whether it has signed."""

    role: str
    name: str
    identity: str
    min_people: int  # 0 for all but nodes
    signed: bool
    paillier_modulus: str = ""  # of a key holder


def draft_roster(federation: str, cards: Sequence[Card], min_people: Mapping[str, int]) -> Roster:
    """A roster of the parties whose cards these are, in their order, that nobody has signed.

    Parameters
    ----------
    federation
        Name of the federation.
    cards
        Of every node, of every coordinator, and of the key holder if there is one.
    min_people
        Fewest people a node answers for, by name; `MIN_PEOPLE` for all others.

    Raises
    ------
    UsageError
        `min_people` names a node of which there is no card; or there are cards of two key holders.
    ConfigError
        Every fault that such a roster would have.
    """
    nodes = tuple(
        RosterNode(card.name, card.identity, min_people.get(card.name, MIN_PEOPLE))
        for card in cards
        if card.role == "node"
    )
    strangers = [name for name in min_people if name not in [node.name for node in nodes]]
    if strangers:
        raise UsageError(f"--min-people names {strangers[0]!r}, and no node's card is of that name", code="NO_CARD")
    coordinators = tuple(RosterCoordinator(card.name, card.identity) for card in cards if card.role == "coordinator")
    holder = _key_holder(cards)
    content = RosterContent(federation, nodes, coordinators, **holder)
    table = {
        "federation": federation,
        "node": [asdict(node) for node in nodes],
        "coordinator": [asdict(one) for one in coordinators],
    }
    faults = roster_faults(table | holder)
    if faults:
        raise ConfigError("the roster", faults, code="BAD_ROSTER")
    return Roster(content, ())


def _key_holder(cards: Sequence[Card]) -> dict[str, Any]:
    """What a roster says of its key holder; nothing where there is none."""
    holders = [card for card in cards if card.role == "keyholder"]
    if len(holders) > 1:
        names = " and ".join(card.name for card in holders)
        raise UsageError(f"a federation has one key holder, and these are cards of {names}", code="TWO_KEY_HOLDERS")
    return {
        key: value
        for card in holders
        for key, value in (
            ("key_holder", card.identity),
            ("key_holder_name", card.name),
            ("paillier_modulus", card.paillier_modulus),
        )
    }


def sign_in_place(path: Path, identity: Identity, *known: Path) -> Roster:
    """Add a party's own signature to a roster file, and return what is signed.

    Parameters
    ----------
    path
        The roster; signatures may be missing.
    identity
        The party's own.
    known
        Folders where peers' cards are kept; the roster must not have another identity for any of them.

    Raises
    ------
    ConfigError
        The content was changed after somebody signed it, or is not what kept cards say.
    UsageError
        The identity is not in the roster.
    """
    roster = read_draft_roster(path)
    faults = [fault for folder in dict.fromkeys(known) for fault in _strangers(roster, folder)]
    if faults:
        raise ConfigError(path.name, faults, code="BAD_ROSTER")
    signed = add_signature(roster, identity)
    write_roster(signed, path)
    return signed


def _strangers(roster: Roster, folder: Path) -> list[str]:
    """Members whose card is kept in the folder, with another identity or role."""
    faults = []
    for member in members(roster):
        path = folder / f"{member.name}.card"
        if not path.is_file():
            continue
        card = read_card(path)
        said = (member.identity, member.role, member.paillier_modulus)
        if (card.identity, card.role, card.paillier_modulus) != said:
            who = f"{ROLE_WORDS[member.role]} {member.name}"
            faults.append(f"{who} is not who {path.name} says: ask {member.name} which is right")
    return faults


def merge_rosters(paths: Sequence[Path]) -> Roster:
    """One roster with the signatures of several copies of it.

    Raises
    ------
    UsageError
        The copies do not have the same content.
    """
    first, *others = [read_draft_roster(path) for path in paths]
    found = {each.identity: each for each in first.signatures}
    for path, other in zip(paths[1:], others, strict=True):
        if other.content != first.content:
            raise UsageError(
                f"{path} and {paths[0]} differ in more than signatures: they are not copies of one roster",
                code="OTHER_ROSTER",
                hint="'fedstats roster show' shows each; all parties must sign the same one.",
            )
        found |= {each.identity: each for each in other.signatures}
    order = first.content.identities
    return Roster(first.content, tuple(found[one] for one in order if one in found))


def members(roster: Roster) -> list[Member]:
    """Every party of a roster, nodes first; a key holder without a name is not among them."""
    signed = {each.identity for each in roster.signatures}
    content = roster.content
    nodes = [Member("node", one.name, one.identity, one.min_people, one.identity in signed) for one in content.nodes]
    others = [Member("coordinator", one.name, one.identity, 0, one.identity in signed) for one in content.coordinators]
    if content.key_holder_name:
        holder, modulus = content.key_holder, content.paillier_modulus
        others.append(Member("keyholder", content.key_holder_name, holder, 0, holder in signed, modulus))
    return nodes + others


def fingerprint(roster: Roster) -> str:
    """What parties compare by telephone: SHA-256 of the content, in groups of four digits."""
    digest = roster_digest(roster)
    return " ".join(digest[at : at + 4] for at in range(0, len(digest), 4))


def described(roster: Roster) -> list[str]:
    """Lines that show what is signed and by whom."""
    everybody = members(roster)
    width = max(len(one.name) for one in everybody)
    lines = [f"federation   {roster.content.federation}"]
    lines += [f"fingerprint  {fingerprint(roster)}"]
    for one in everybody:
        state = "signed" if one.signed else "not signed"
        role = ROLE_WORDS[one.role]
        lines.append(f"{role:<11}  {one.name:<{width}}  {one.identity}  {_duty(one)}  {state}")
    missing = [one.name for one in everybody if not one.signed]
    lines.append(f"still to sign: {', '.join(missing)}" if missing else "signed by all")
    return lines


def _duty(member: Member) -> str:
    """What a party is in a roster for."""
    if member.role == "node":
        return f"from {member.min_people:,} people"
    if member.role == "coordinator":
        return "may ask"
    return f"opens sums, modulus of {int(member.paillier_modulus, 16).bit_length()} bits"
