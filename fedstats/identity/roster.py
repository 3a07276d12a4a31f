"""roster.toml: the members of a federation, signed by every identity in it.

A node answers only under the roster that lies beside it, so nobody can add, swap or hide a member.
The signatures cover the canonical bytes of the content, not the text of the file: comments and order of keys are free.
"""

import hashlib
import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedstats.documents import document, encode
from fedstats.errors import ConfigError, UsageError
from fedstats.identity.keys import Identity
from fedstats.identity.roster_faults import roster_faults
from fedstats.identity.signing import is_signed_by, sign_bytes

KIND = "roster@1"
_OF_NAMED_KEY_HOLDER = ("key_holder_name", "paillier_modulus")


@document
@dataclass(frozen=True)
class RosterNode:
    """A data holder and the smallest number of people it answers for."""

    name: str
    identity: str
    min_people: int


@document
@dataclass(frozen=True)
class RosterCoordinator:
    """Somebody who may ask."""

    name: str
    identity: str


@document
@dataclass(frozen=True)
class RosterContent:
    """What every party signs."""

    federation: str
    nodes: tuple[RosterNode, ...]
    coordinators: tuple[RosterCoordinator, ...]
    key_holder: str = ""  # identity of the holder of a decryption key, if there is one
    sandbox: bool = False  # a sandbox roster is good on loopback only
    key_holder_name: str = ""
    paillier_modulus: str = ""  # of the key holder, hexadecimal

    @property
    def identities(self) -> tuple[str, ...]:
        """Every identity, in the order of the file: nodes, coordinators, key holder."""
        nodes = [node.identity for node in self.nodes]
        coordinators = [coordinator.identity for coordinator in self.coordinators]
        return tuple(nodes + coordinators + [self.key_holder] * bool(self.key_holder))


@dataclass(frozen=True)
class RosterSignature:
    """One party's signature of the content, both in hexadecimal."""

    identity: str
    signature: str


@dataclass(frozen=True)
class Roster:
    """The content with its signatures; `read_roster` gives only rosters that all have signed."""

    content: RosterContent
    signatures: tuple[RosterSignature, ...]

    def node(self, name: str) -> RosterNode:
        """The node of that name; UsageError names the nodes there are."""
        for node in self.content.nodes:
            if node.name == name:
                return node
        names = ", ".join(node.name for node in self.content.nodes)
        raise UsageError(f"the roster has no node {name!r}; its nodes are {names}.", code="UNKNOWN_NODE")

    def permits_coordinator(self, identity: str) -> bool:
        """Whether the holder of this identity may ask."""
        return any(coordinator.identity == identity for coordinator in self.content.coordinators)


def threshold(n_nodes: int) -> int:
    """How many nodes open a masked sum: floor(2 N / 3) + 1; two such groups share over a third of the nodes."""
    return 2 * n_nodes // 3 + 1


def roster_digest(roster: Roster) -> str:
    """SHA-256 of the canonical content, in hexadecimal; signatures do not change it."""
    return hashlib.sha256(content_bytes(roster.content)).hexdigest()


def content_bytes(content: RosterContent) -> bytes:
    """The canonical bytes that parties sign.

    Fields of a key holder with a name are left out where there is none, so that rosters signed before there were such
    fields stay as they are.
    """
    table = json.loads(encode(content))
    shown = {key: value for key, value in table.items() if value or key not in _OF_NAMED_KEY_HOLDER}
    return json.dumps(shown, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def sign_roster(content: RosterContent, identities: Iterable[Identity]) -> Roster:
    """Roster signed by the identities given; real parties sign one after the other with `add_signature`."""
    roster = Roster(content, ())
    for identity in identities:
        roster = add_signature(roster, identity)
    return roster


def add_signature(roster: Roster, identity: Identity) -> Roster:
    """Add (or renew) one party's signature; signatures stay in the order of the identities."""
    mine = identity.public_hex
    order = roster.content.identities
    if mine not in order:
        raise UsageError(f"the roster has no party with the identity {mine[:16]}...", code="UNKNOWN_IDENTITY")
    new = RosterSignature(mine, sign_bytes(identity, KIND, content_bytes(roster.content)).hex())
    others = [signature for signature in roster.signatures if signature.identity != mine]
    return Roster(roster.content, tuple(sorted([*others, new], key=lambda each: order.index(each.identity))))


def bad_signatures(roster: Roster) -> Sequence[str]:
    """Identities whose signature does not fit the content."""
    body = content_bytes(roster.content)
    return [
        each.identity
        for each in roster.signatures
        if not is_signed_by(each.identity, KIND, body, bytes.fromhex(each.signature))
    ]


def write_roster(roster: Roster, path: Path) -> None:
    """Write roster.toml; the file appears whole or not at all."""
    content = roster.content
    lines = [f'federation = "{content.federation}"', f"sandbox = {str(content.sandbox).lower()}"]
    holder = ("key_holder", *_OF_NAMED_KEY_HOLDER)
    lines += [f'{key} = "{value}"' for key in holder if (value := getattr(content, key))]
    for node in content.nodes:
        lines += ["", "[[node]]", f'name = "{node.name}"', f'identity = "{node.identity}"']
        lines += [f"min_people = {node.min_people}"]
    for coordinator in content.coordinators:
        lines += ["", "[[coordinator]]", f'name = "{coordinator.name}"', f'identity = "{coordinator.identity}"']
    for each in roster.signatures:
        lines += ["", "[[signature]]", f'identity = "{each.identity}"', f'signature = "{each.signature}"']
    draft = path.with_name(path.name + ".part")
    # Names and keys hold no quote or backslash (read_roster refuses them), so no escapes are needed.
    draft.write_text("\n".join(lines) + "\n", encoding="ascii")
    draft.replace(path)


def read_roster(path: Path) -> Roster:
    """Read a roster that every party has signed.

    Raises
    ------
    ConfigError
        Every fault at once, among them missing signatures.
    """
    roster = read_draft_roster(path)
    signed = {each.identity for each in roster.signatures}
    missing = [f"{_whose(roster, one)} has not signed it" for one in roster.content.identities if one not in signed]
    if missing:
        raise ConfigError(path.name, missing, code="BAD_ROSTER")
    return roster


def read_roster_into(faults: list[str], path: Path | None) -> Roster | None:
    """The roster that a configuration names, or None, with what is wrong with it among the faults."""
    if path is None or not path.is_file():
        return None
    try:
        return read_roster(path)
    except ConfigError as error:
        faults += [f"{error.subject}: {fault}" for fault in error.faults]
        return None


def read_draft_roster(path: Path) -> Roster:
    """Read a roster that is on its way round: signatures may be missing, those there are must fit."""
    table = _load(path)
    faults = roster_faults(table)
    if faults:
        raise ConfigError(path.name, faults, code="BAD_ROSTER")
    roster = _build(table)
    wrong = [f"the signature of {_whose(roster, one)} does not fit the content" for one in bad_signatures(roster)]
    if wrong:
        raise ConfigError(path.name, wrong, code="BAD_ROSTER")
    return roster


def _load(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(path.name, [f"it is not TOML: {error}"], code="BAD_ROSTER") from None


def _build(table: dict[str, Any]) -> Roster:
    content = RosterContent(
        federation=table["federation"],
        nodes=tuple(RosterNode(**node) for node in table["node"]),
        coordinators=tuple(RosterCoordinator(**one) for one in table["coordinator"]),
        key_holder=table.get("key_holder", ""),
        sandbox=table.get("sandbox", False),
        key_holder_name=table.get("key_holder_name", ""),
        paillier_modulus=table.get("paillier_modulus", ""),
    )
    return Roster(content, tuple(RosterSignature(**one) for one in table.get("signature", [])))


def _whose(roster: Roster, identity: str) -> str:
    for node in roster.content.nodes:
        if node.identity == identity:
            return f"node {node.name}"
    for coordinator in roster.content.coordinators:
        if coordinator.identity == identity:
            return f"coordinator {coordinator.name}"
    named = roster.content.key_holder_name
    return f"key holder {named}" if named else "the key holder"
