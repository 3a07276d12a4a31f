"""Signed messages of nodes inside an order of the coordinator, in hexadecimal."""

from collections.abc import Mapping

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.privacy.messages import Member
from fedstats.wire.messages import SignedText
from fedstats.wire.signed_text import from_text


def from_texts(texts: Mapping[str, SignedText], roster: tuple[Member, ...]) -> tuple[Signed, ...]:
    """The messages, in the order of the run roster; each must stand under the name of a node of it."""
    names = [member.name for member in roster]
    strangers = sorted(set(texts) - set(names))
    if strangers:
        raise ProtocolRefused(
            f"{', '.join(strangers)} is not in the run roster; nothing was sent.", code="WRONG_ROSTER"
        )
    return tuple(from_text(texts[name]) for name in names if name in texts)
