"""The transcript hash T of a pass, and the check words that make any difference between transcripts visible.

Who learns what
---------------
T and check words are public; they say nothing that the parties do not know.

Assumes
-------
SHA-256 is collision resistant.

Fails if
--------
Something that nodes must agree on is left out of T. All that a pass depends on belongs into `PassContext`.
"""

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np

from fedstats.errors import MaskMismatch
from fedstats.identity.signing import framed
from fedstats.privacy.messages import PassContext, PassKeys
from fedstats.privacy.primitives.stream import Ring

LABEL = b"fedstats/v1/masked-pass@1"
_CHECK = b"fedstats/v1/check-word@1"


def transcript_hash(context: PassContext, channel_keys: Mapping[str, str], keys: Sequence[PassKeys]) -> str:
    """SHA-256, in hexadecimal, over everything that the nodes of a pass must have in common.

    Parameters
    ----------
    context
        The pass as this party sees it.
    channel_keys
        X25519 keys of the run by node.
    keys
        What each node said in S, in the order of the roster.
    """
    said = {message.node: message for message in keys}
    fields = [LABEL, *_context_fields(context), str(len(context.roster)).encode()]
    for member in context.roster:
        message = said[member.name]
        fields += [member.name.encode(), member.identity.encode(), channel_keys[member.name].encode()]
        fields += [message.mask_key.encode(), message.seed_commitment.encode()]
        fields += [message.nonce_commitment.encode(), message.ledger_head.encode()]
        # Sealed shares are part of it, so that nobody can give one node other shares than the peers saw.
        fields.append(framed(*(text.encode() for share in message.shares for text in (share.to, share.sealed))))
    return hashlib.sha256(framed(*fields)).hexdigest()


def _context_fields(context: PassContext) -> list[bytes]:
    texts = (
        context.plan_digest,
        context.run,
        context.pass_id,
        context.step,
        context.schema_digest,
        context.codec,
        context.privacy,
        context.parameters_digest,
        context.totals_digest,
        context.layout_digest,
        str(context.threshold),
    )
    return [text.encode() for text in texts]


def check_word(transcript: str, block: int, node_index: int) -> int:
    """The word that node number `node_index` of the roster puts at the end of a block."""
    fields = framed(_CHECK, bytes.fromhex(transcript), block.to_bytes(8, "big"), node_index.to_bytes(8, "big"))
    return int.from_bytes(hashlib.sha256(fields).digest()[:8], "little")


def check_total(transcript: str, block: int, n_nodes: int) -> int:
    """What the check words of all nodes add up to, modulo 2^64; anybody who has the transcript knows it."""
    return sum(check_word(transcript, block, index) for index in range(n_nodes)) % 2**64


def with_check_word(words: Ring, transcript: str, block: int, node_index: int) -> Ring:
    """The words of a block, shape (word,), with the node's check word behind them, shape (word + 1,)."""
    word = check_word(transcript, block, node_index)
    return np.concatenate([words, np.array([word], dtype=np.uint64)])


def without_check_word(total: Ring, transcript: str, block: int, n_nodes: int) -> Ring:
    """The opened total of a block, shape (word + 1,), without its check word.

    Raises
    ------
    MaskMismatch
        The check words do not add up: nodes used different masks, or a chunk was changed.
    """
    if int(total[-1]) != check_total(transcript, block, n_nodes):
        raise MaskMismatch(
            f"the masks of block {block} did not cancel: the nodes did not share one view of the pass, or masked words "
            "were changed on their way. Nothing of this pass is written.",
            code="MASK_MISMATCH",
        )
    return total[:-1]
