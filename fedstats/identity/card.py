"""NAME.card: what a party hands to its peers once; its name, role, identity and TLS leaf, signed by the identity.

A key holder's card has the modulus of its Paillier key too.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography import x509

from fedstats.documents import document, encode
from fedstats.errors import DataError, NodeUnreachable
from fedstats.identity.checks import identity_faults, is_hex, key_faults, modulus_faults, name_faults
from fedstats.identity.keys import Identity, Leaf
from fedstats.identity.signing import is_signed_by, sign_bytes

KIND = "card@1"
ROLES = ("node", "coordinator", "keyholder")
#: The command that a party of each role runs.
PROGRAMS = {"node": "fedstats-node", "coordinator": "fedstats", "keyholder": "fedstats-keyholder"}
#: What each role is called.
ROLE_WORDS = {"node": "node", "coordinator": "coordinator", "keyholder": "key holder"}

#: Below this nobody's lanes fit; rosters ask for more (see `roster_faults`).
_SMALLEST_MODULUS_BITS = 256


@document
@dataclass(frozen=True)
class CardContent:
    """What the signature of a card covers."""

    name: str
    role: str
    identity: str
    certificate: str


@document
@dataclass(frozen=True)
class KeyHolderCardContent(CardContent):
    """What the signature of a key holder's card covers."""

    paillier_modulus: str


@dataclass(frozen=True)
class Card:
    """A verified card."""

    name: str
    role: str  # one of ROLES
    identity: str  # Ed25519 public key, hexadecimal
    certificate: str  # TLS leaf, PEM
    signature: str  # hexadecimal
    paillier_modulus: str = ""  # of a key holder, hexadecimal

    @property
    def leaf(self) -> x509.Certificate:
        """The TLS leaf, to be pinned."""
        return x509.load_pem_x509_certificate(self.certificate.encode("ascii"))


def make_card(identity: Identity, leaf: Leaf, name: str, *, role: str = "node", paillier_modulus: str = "") -> Card:
    """Card of a party, signed by its identity; a key holder's has its modulus, in hexadecimal."""
    content = _content(name, role, identity.public_hex, leaf.certificate_pem.decode("ascii"), paillier_modulus)
    signature = sign_bytes(identity, KIND, encode(content)).hex()
    card = Card(content.name, content.role, content.identity, content.certificate, signature, paillier_modulus)
    faults = _faults(_table(card))
    if faults:
        raise DataError(f"the card of {name!r}", faults, code="BAD_CARD")
    return card


def _content(name: str, role: str, identity: str, certificate: str, modulus: str) -> CardContent:
    if role == "keyholder":
        return KeyHolderCardContent(name, role, identity, certificate, modulus)
    return CardContent(name, role, identity, certificate)


def _table(card: Card) -> dict[str, Any]:
    """A card as its file holds it: a modulus only where it has one."""
    return {key: value for key, value in vars(card).items() if value or key != "paillier_modulus"}


def write_card(card: Card, path: Path) -> None:
    """Write a card as canonical JSON; the file appears whole or not at all."""
    text = json.dumps(_table(card), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    draft = path.with_name(path.name + ".part")
    draft.write_text(text + "\n", encoding="ascii")
    draft.replace(path)


def read_card(path: Path) -> Card:
    """Read and verify a card.

    Raises
    ------
    DataError
        Every fault at once: unknown or missing keys, a name that is not the certificate's, a signature that does
        not fit.
    """
    try:
        table = json.loads(path.read_bytes())
    except ValueError:
        raise DataError(path.name, ["it is not JSON, so it is no card"], code="BAD_CARD") from None
    if not isinstance(table, dict):
        raise DataError(path.name, ["it is not a JSON object, so it is no card"], code="BAD_CARD")
    faults = _faults(table)
    if faults:
        raise DataError(path.name, faults, code="BAD_CARD")
    return Card(**table)


def check_leaf_dates(card: Card, now: datetime, *, own: bool = False) -> None:
    """Refuse a leaf outside its dates before dialling, saying whose it is.

    A refused client certificate shows at the caller only as a closed socket, so both sides are checked beforehand.

    Raises
    ------
    NodeUnreachable
        Code CERTIFICATE_EXPIRED or CERTIFICATE_NOT_YET_VALID.
    """
    whose = "your own" if own else f"{ROLE_WORDS[card.role]} {card.name}'s"
    renew = f"renew it with '{PROGRAMS[card.role]} card --renew' and hand the new card to the peers."
    if now > card.leaf.not_valid_after_utc:
        raise NodeUnreachable(
            f"{whose} certificate is expired since {_day(card.leaf.not_valid_after_utc)}",
            code="CERTIFICATE_EXPIRED",
            hint=renew if own else f"ask {card.name} for a new card and 'trust' it.",
            node=card.name,
        )
    if now < card.leaf.not_valid_before_utc:
        raise NodeUnreachable(
            f"{whose} certificate is not valid before {_day(card.leaf.not_valid_before_utc)}; "
            f"this machine's clock says {_day(now)}",
            code="CERTIFICATE_NOT_YET_VALID",
            hint="check the clocks of both machines.",
            node=card.name,
        )


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _faults(table: dict[str, Any]) -> list[str]:
    keys = ("name", "role", "identity", "certificate", "signature")
    faults = key_faults(table, (*keys, "paillier_modulus"), keys, "the card")
    if faults:
        return faults
    faults += name_faults(table["name"], "the card")
    if table["role"] not in ROLES:
        faults.append(f"the role {table['role']!r} is none of {', '.join(ROLES)}")
    faults += identity_faults(table["identity"], "the card")
    faults += _certificate_faults(table["certificate"], table["name"])
    modulus = table.get("paillier_modulus", "")
    if table["role"] == "keyholder":
        faults += modulus_faults(modulus, "the card", smallest_bits=_SMALLEST_MODULUS_BITS)
    elif modulus:
        faults.append("the card: only a key holder has a paillier_modulus")
    if not _is_signature_of(table):
        faults.append("the signature does not fit; the card was changed after its owner signed it")
    return faults


def _certificate_faults(certificate: object, name: object) -> list[str]:
    try:
        leaf = x509.load_pem_x509_certificate(str(certificate).encode("ascii"))
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return ["the certificate is not a TLS leaf in PEM form with a subject alternative name"]
    if names.get_values_for_type(x509.DNSName) != [name]:
        return [f"the certificate is not made out to {name!r} alone"]
    return []


def _is_signature_of(table: dict[str, Any]) -> bool:
    texts = [table[key] for key in ("name", "role", "identity", "certificate")] + [table.get("paillier_modulus", "")]
    if not all(isinstance(text, str) for text in texts) or not is_hex(table["signature"], 64):
        return False
    body = encode(_content(*texts))
    return is_signed_by(table["identity"], KIND, body, bytes.fromhex(table["signature"]))
