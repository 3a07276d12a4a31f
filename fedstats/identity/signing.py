"""Signed messages: a document's exact bytes, what kind of message they are, and whose signature they carry.

The signature covers a label, the kind and the bytes, each with its length, so that a signature made for one purpose
never fits another.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from fedstats.documents import decode, encode
from fedstats.errors import ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.identity.keys import Identity

D = TypeVar("D")

LABEL = b"fedstats/v1"

#: Signatures whose verification is remembered: the messages of a pass are looked at in several of its steps.
_REMEMBERED = 512


@dataclass(frozen=True)
class Signed:
    """A document as it travels: `body` are the canonical bytes that `signature` covers."""

    kind: str
    signer: str  # identity public key, hexadecimal
    body: bytes
    signature: bytes


def framed(*fields: bytes) -> bytes:
    """Join fields, each behind its length in eight bytes, so that different fields never give the same bytes."""
    return b"".join([part for field in fields for part in (len(field).to_bytes(8, "big"), field)])


def sign_bytes(identity: Identity, kind: str, body: bytes) -> bytes:
    """Ed25519 signature over label, kind and body; the same input always gives the same signature."""
    return identity.private.sign(framed(LABEL, kind.encode(), body))


def is_signed_by(signer: str, kind: str, body: bytes, signature: bytes) -> bool:
    """Whether `signature` over label, kind and body was made by the identity `signer` (hexadecimal)."""
    return is_hex(signer, 32) and _verified(signer, kind, body, signature)


@lru_cache(_REMEMBERED)
def _verified(signer: str, kind: str, body: bytes, signature: bytes) -> bool:
    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(signer)).verify(signature, framed(LABEL, kind.encode(), body))
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(identity: Identity, kind: str, document: object) -> Signed:
    """Sign a document as a message of a kind."""
    body = encode(document)
    return Signed(kind, identity.public_hex, body, sign_bytes(identity, kind, body))


def open_signed(signed: Signed, kind: str, document_class: type[D], expected_signer_hex: str, *, node: str = "") -> D:
    """Return the document of a message that has the kind, the signer and the signature it must have.

    Raises
    ------
    ProtocolRefused
        Code WRONG_KIND, WRONG_SIGNER, BAD_SIGNATURE, or MALFORMED when the signed bytes are no such document.
    """
    whose = f" of {node}" if node else ""
    if signed.kind != kind:
        raise ProtocolRefused(f"a message{whose} is a {signed.kind!r} where {kind!r} is due.", code="WRONG_KIND")
    if signed.signer != expected_signer_hex:
        raise ProtocolRefused(
            f"a {kind!r} message{whose} is signed by {signed.signer[:16]}..., not by the roster's identity "
            f"{expected_signer_hex[:16]}...",
            code="WRONG_SIGNER",
        )
    if not is_signed_by(signed.signer, kind, signed.body, signed.signature):
        raise ProtocolRefused(
            f"the signature of a {kind!r} message{whose} does not fit its content; it was changed on its way.",
            code="BAD_SIGNATURE",
        )
    return decode(document_class, signed.body)
