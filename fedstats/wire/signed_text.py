"""Signed documents inside other documents, their bytes in hexadecimal."""

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.wire.messages import SignedText


def to_text(signed: Signed) -> SignedText:
    """A signed document as part of another."""
    return SignedText(signed.kind, signed.signer, signed.body.hex(), signed.signature.hex())


def from_text(text: SignedText) -> Signed:
    """The signed document that is part of another; nothing is verified yet.

    Raises
    ------
    ProtocolRefused
        MALFORMED: it is not hexadecimal.
    """
    try:
        return Signed(text.kind, text.signer, bytes.fromhex(text.body), bytes.fromhex(text.signature))
    except ValueError:
        raise ProtocolRefused("a signed message inside another is not hexadecimal.", code="MALFORMED") from None
