"""What every party checks of what all parties said: who spoke, for which run and pass, and whether they agree.

Pure functions of public messages; the node's half and the coordinator's half use the same ones.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Protocol, TypeVar

from fedstats.errors import ProtocolRefused
from fedstats.identity.checks import is_hex, repeated
from fedstats.identity.signing import Signed, open_signed
from fedstats.privacy.messages import (
    COMPLETE,
    PASS_KEYS,
    READY,
    RUN_KEY,
    Complete,
    Member,
    PassContext,
    PassKeys,
    Ready,
    RunContext,
    RunKey,
)


class _FromNode(Protocol):
    @property
    def node(self) -> str: ...


class _InPass(_FromNode, Protocol):
    @property
    def run(self) -> str: ...
    @property
    def pass_id(self) -> str: ...


M = TypeVar("M", bound=_FromNode)


def read_run_keys(run: RunContext, messages: Sequence[Signed]) -> dict[str, str]:
    """Channel keys by node, in roster order, of nodes that all mean this very run.

    Raises
    ------
    ProtocolRefused
        WRONG_ROSTER, TRANSCRIPT_MISMATCH (another plan or run), SWAPPED_KEY, or what `open_from_all` raises.
    """
    return dict(_run_keys(run, tuple(messages)))


#: Every pass of a run reads the same messages, twice; nothing in them is secret.
@lru_cache(maxsize=16)
def _run_keys(run: RunContext, messages: tuple[Signed, ...]) -> tuple[tuple[str, str], ...]:
    opened = open_from_all(messages, RUN_KEY, RunKey, run.roster)
    for message in opened:
        if message.run.roster != run.roster:
            raise ProtocolRefused(f"{message.node} was shown another run roster.", code="WRONG_ROSTER")
        if message.run != run:
            raise ProtocolRefused(f"{message.node} was shown another run or plan.", code="TRANSCRIPT_MISMATCH")
    keys = {message.node: message.channel_key for message in opened}
    _check_distinct(keys)
    return tuple(keys.items())


def read_pass_keys(context: PassContext, messages: Sequence[Signed]) -> tuple[PassKeys, ...]:
    """S: every node's keys and sealed shares for this pass, in roster order."""
    opened = open_from_all(messages, PASS_KEYS, PassKeys, context.roster)
    names = [member.name for member in context.roster]
    for message in opened:
        _check_pass(message, context.run, context.pass_id)
        if [share.to for share in message.shares] != [name for name in names if name != message.node]:
            raise ProtocolRefused(f"{message.node} has not sealed one share for each peer.", code="WRONG_ROSTER")
    _check_distinct({message.node: message.mask_key for message in opened})
    return opened


def check_readies(
    run_and_pass: tuple[str, str],
    roster: tuple[Member, ...],
    transcript: str,
    commitments: Mapping[str, str],
    messages: Sequence[Signed],
) -> dict[str, str]:
    """R: refuse unless every node of the roster signed this very transcript; return the nonces they opened.

    Parameters
    ----------
    run_and_pass
        Their ids.
    roster, transcript
        As the checking party has them.
    commitments
        SHA-256 of each node's nonce, from S.
    messages
        Signed `Ready` of all nodes.

    Raises
    ------
    ProtocolRefused
        TRANSCRIPT_MISMATCH, WRONG_ROSTER, BAD_SIGNATURE, REPLAYED or WRONG_NONCE.
    """
    nonces = {}
    for message in open_from_all(messages, READY, Ready, roster):
        _check_pass(message, *run_and_pass)
        _check_transcript(message.node, message.transcript, transcript)
        if not is_hex(message.nonce, 32) or commitment_of(message.nonce) != commitments[message.node]:
            raise ProtocolRefused(f"{message.node} opened another nonce than it committed to.", code="WRONG_NONCE")
        nonces[message.node] = message.nonce
    return nonces


def check_completes(
    run_and_pass: tuple[str, str],
    roster: tuple[Member, ...],
    transcript: str,
    threshold: int,
    messages: Sequence[Signed],
) -> None:
    """C: refuse unless at least `threshold` nodes signed that all their words of this transcript are out."""
    opened = open_from_some(messages, COMPLETE, Complete, roster)
    for message in opened.values():
        _check_pass(message, *run_and_pass)
        _check_transcript(message.node, message.transcript, transcript)
    if len(opened) < threshold:
        raise ProtocolRefused(
            f"{len(opened)} of {len(roster)} nodes signed that the pass is complete; it takes {threshold} to open it.",
            code="TOO_FEW_SIGNATURES",
        )


def commitment_of(nonce: str) -> str:
    """SHA-256 of a nonce, both in hexadecimal."""
    return hashlib.sha256(bytes.fromhex(nonce)).hexdigest()


def open_from_all(
    messages: Sequence[Signed], kind: str, document_class: type[M], roster: tuple[Member, ...]
) -> tuple[M, ...]:
    """Documents of one message from every node of the roster, in roster order.

    Raises
    ------
    ProtocolRefused
        WRONG_ROSTER when a node is missing, doubled or a stranger; SWAPPED_KEY when one speaks for another;
        or what `open_signed` raises.
    """
    opened = open_from_some(messages, kind, document_class, roster)
    missing = [member.name for member in roster if member.name not in opened]
    if missing:
        raise ProtocolRefused(
            f"the {kind!r} message of {', '.join(missing)} is missing; every node of the run must be seen.",
            code="WRONG_ROSTER",
        )
    return tuple(opened[member.name] for member in roster)


def open_from_some(
    messages: Sequence[Signed], kind: str, document_class: type[M], roster: tuple[Member, ...]
) -> dict[str, M]:
    """Documents by node of messages from distinct nodes of the roster."""
    names = {member.identity: member.name for member in roster}
    for signed in messages:
        if signed.signer not in names:
            raise ProtocolRefused(
                f"a {kind!r} message is signed by {signed.signer[:16]}..., whom the run roster does not know.",
                code="WRONG_ROSTER",
            )
    for identity in repeated(signed.signer for signed in messages):
        raise ProtocolRefused(f"{names[identity]} has two {kind!r} messages in one step.", code="WRONG_ROSTER")
    opened = {}
    for signed in messages:
        name = names[signed.signer]
        message = open_signed(signed, kind, document_class, signed.signer, node=name)
        if message.node != name:
            raise ProtocolRefused(f"{name} signed a {kind!r} message for another node.", code="SWAPPED_KEY")
        opened[name] = message
    return opened


def _check_pass(message: _InPass, run: str, pass_id: str) -> None:
    """Refuse a message of another run or pass, however well it is signed."""
    if (message.run, message.pass_id) != (run, pass_id):
        raise ProtocolRefused(
            f"a message of {message.node} belongs to pass {message.pass_id!r} of run {message.run!r}, not to this one.",
            code="REPLAYED",
        )


def _check_transcript(node: str, theirs: str, ours: str) -> None:
    if theirs != ours:
        raise ProtocolRefused(
            f"{node} signed another transcript of this pass: it was shown other keys, parameters or totals, "
            "or has another version. Nothing was sent.",
            code="TRANSCRIPT_MISMATCH",
        )


def _check_distinct(keys: Mapping[str, str]) -> None:
    """Refuse public keys that are malformed or that two nodes share: one of them would be somebody else's."""
    for name, key in keys.items():
        if not is_hex(key, 32):
            raise ProtocolRefused(f"the X25519 key of {name} is not 64 hexadecimal digits.", code="MALFORMED")
    if repeated(keys.values()):
        raise ProtocolRefused("two nodes show the same X25519 key; one of them is copied.", code="SWAPPED_KEY")
