"""The coordinator's half of a masked pass: check what nodes say, and take the self masks off the sum of all uploads.

Who learns what
---------------
The coordinator learns the sum over all nodes of the run. See `masking`.

Assumes
-------
Nothing of its own: nodes verify by themselves all that protects them. These checks name who is at fault.

Fails if
--------
Nodes give wrong seed shares: the commitment to the seed shows it. One such node is left out where t others answered;
otherwise the pass stays shut until they give the right ones.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from fedstats.errors import MaskMismatch, ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.identity.signing import Signed
from fedstats.privacy.agreement import (
    check_completes,
    check_readies,
    commitment_of,
    open_from_some,
    read_pass_keys,
    read_run_keys,
)
from fedstats.privacy.masking import Masks, self_stream
from fedstats.privacy.messages import SEED_SHARES, PassContext, SeedShares
from fedstats.privacy.primitives import shamir
from fedstats.privacy.primitives.stream import Ring
from fedstats.privacy.transcript import transcript_hash


def transcript_of(context: PassContext, run_keys: Sequence[Signed], pass_keys: Sequence[Signed]) -> str:
    """After S: the transcript hash that every node should come to; it is checked who said what."""
    channels = read_run_keys(context.of_run, run_keys)
    return transcript_hash(context, channels, read_pass_keys(context, pass_keys))


def nonces_when_all_ready(
    context: PassContext, transcript: str, pass_keys: Sequence[Signed], readies: Sequence[Signed]
) -> dict[str, str]:
    """After R: every node signed this transcript; the nonces that they opened, by node."""
    commitments = {keys.node: keys.nonce_commitment for keys in read_pass_keys(context, pass_keys)}
    return check_readies((context.run, context.pass_id), context.roster, transcript, commitments, readies)


def check_enough_complete(context: PassContext, transcript: str, completes: Sequence[Signed]) -> None:
    """After C: refuse unless enough nodes signed that the pass is complete for others to open it."""
    check_completes((context.run, context.pass_id), context.roster, transcript, context.threshold, completes)


def sum_uploads(uploads: Sequence[Ring]) -> Ring:
    """Sum of masked words over all nodes, modulo 2^64, shape (word,)."""
    total = uploads[0].copy()
    for words in uploads[1:]:
        np.add(total, words, out=total)
    return total


def self_masks(context: PassContext, transcript: str, pass_keys: Sequence[Signed], messages: Sequence[Signed]) -> Masks:
    """After U: the self masks of all nodes with the sign that takes them off the sum.

    Parameters
    ----------
    context, transcript
        Of this pass.
    pass_keys
        Signed `PassKeys` of all nodes, with the commitments to their seeds.
    messages
        Signed `SeedShares` of at least `context.threshold` nodes.

    Raises
    ------
    ProtocolRefused
        TOO_FEW_SHARES, or a message that does not belong here.
    MaskMismatch
        INCONSISTENT_SHARES: the shares do not give the seed that a node committed to.
    """
    held = _shares_by_holder(context, transcript, messages)
    positions = {member.name: x for x, member in enumerate(context.roster, 1)}
    streams = []
    for keys in read_pass_keys(context, pass_keys):
        shares = [shamir.Share(positions[holder], values[keys.node]) for holder, values in held.items()]
        seed = _recovered(shares, context.threshold, keys.seed_commitment)
        if seed is None:
            raise MaskMismatch(
                f"the shares of {', '.join(held)} do not give the self mask that {keys.node} committed to; "
                "at least one is wrong. Nothing of this pass is written.",
                code="INCONSISTENT_SHARES",
            )
        streams.append(self_stream(keys.node, seed, transcript, -1))
    return Masks(tuple(streams))


def _recovered(shares: Sequence[shamir.Share], threshold: int, commitment: str) -> bytes | None:
    """The committed seed, from whichever run of `threshold` neighbouring shares gives it; one liar is passed over."""
    circle = [*shares, *shares]
    for start in range(len(shares)):
        try:
            seed = shamir.combine(circle[start : start + threshold], threshold)
        except ValueError:
            continue
        if commitment_of(seed.hex()) == commitment:
            return seed
    return None


def _shares_by_holder(
    context: PassContext, transcript: str, messages: Sequence[Signed]
) -> Mapping[str, Mapping[str, int]]:
    opened = open_from_some(messages, SEED_SHARES, SeedShares, context.roster)
    names = [member.name for member in context.roster]
    held = {}
    for holder, message in opened.items():
        if (message.run, message.pass_id, message.transcript) != (context.run, context.pass_id, transcript):
            raise ProtocolRefused(f"the shares of {holder} belong to another pass.", code="TRANSCRIPT_MISMATCH")
        whole = all(is_hex(share.value, shamir.VALUE_BYTES) for share in message.shares)
        if [share.of for share in message.shares] != names or not whole:
            raise ProtocolRefused(f"{holder} has not given one share of each node's seed.", code="MALFORMED")
        held[holder] = {share.of: int(share.value, 16) for share in message.shares}
    if len(held) < context.threshold:
        raise ProtocolRefused(
            f"{len(held)} of {len(names)} nodes gave their shares; {context.threshold} are needed to open the pass.",
            code="TOO_FEW_SHARES",
        )
    return held
