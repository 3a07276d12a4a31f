"""Orders as they arrive: whose signature they must carry, and the digest by which they are remembered."""

import hashlib
from collections.abc import Container
from typing import TypeVar

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed, open_signed

D = TypeVar("D")


def opened_order(signed: Signed, kind: type[D], permitted: Container[str]) -> D:
    """The order of a message that one of the permitted identities signed.

    Raises
    ------
    ProtocolRefused
        Code WRONG_SIGNER, WRONG_KIND, BAD_SIGNATURE or MALFORMED.
    """
    if signed.signer not in permitted:
        raise ProtocolRefused(
            f"the message is signed by {signed.signer[:16]}..., who may not ask here; nothing was sent.",
            code="WRONG_SIGNER",
        )
    return open_signed(signed, kind.__name__, kind, signed.signer)


def request_digest(signed: Signed) -> str:
    """SHA-256, in hexadecimal, of the exact bytes of an order."""
    return hashlib.sha256(signed.body).hexdigest()
