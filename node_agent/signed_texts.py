"""Signed messages of nodes inside an order of the coordinator, in hexadecimal."""

from collections.abc import Mapping

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.privacy.messages import Member
from fedstats.wire.messages import SignedText


def from_texts(texts: Mapping[str, SignedText], roster: tuple[Member, ...]) -> tuple[Signed, ...]:
    """The messages, in the order of the run roster; each must stand under the name of a node of it."""
    names = [member.name for member in roster]
    strangers = sorted(set(texts) - set(names))
    if strangers:
        raise ProtocolRefused(
            f"{', '.join(strangers)} is not in the run roster; nothing was sent.", code="WRONG_ROSTER"
        )
    return tuple(_from_text(texts[name]) for name in names if name in texts)


def _from_text(text: SignedText) -> Signed:
    try:
        return Signed(text.kind, text.signer, bytes.fromhex(text.body), bytes.fromhex(text.signature))
    except ValueError:
        raise ProtocolRefused("a signed message inside an order is not hexadecimal.", code="MALFORMED") from None
