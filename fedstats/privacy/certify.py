"""Certified totals: every node sees that a total which the coordinator claims is the sum of what the nodes sent.

Totals come back to the nodes: means and scales of columns, counts that admit a variant, sums that move the null model.
A coordinator that lies in one of them would aim the next sums at few people. So each node answers to a claimed total,
before it uses it, with one random linear combination of its own words, hidden by masks that cancel in the sum over all
nodes; and each node sees that the sum of all answers is the same combination of the claimed total.

====  =================================================================================================
step  what is said
====  =================================================================================================
1     the coordinator claims: the total's words, without check words, as bytes, and their SHA-256
2     challenge = SHA-256(label, transcript of the pass, SHA-256 of the claim)
3     coefficients: 128 bits a word, AES-256 in counter mode under the challenge
4     each node signs its scalar: sum of coefficient x own word over F_p, plus its masks
5     each node gets all scalars: their sum is the combination of the claimed words, or the total is refused
====  =================================================================================================

Who learns what
---------------
Everybody in the run learns the totals that steer it. The scalars add to a number that follows from the total; one
scalar by itself is uniform under `masked` (its masks come from the secrets of pairs, salted with the challenge) and
says nothing new under `plain`.

Assumes
-------
Words are signed 64-bit integers whose sum over nodes does not leave that range: totals have bounds (`additive`).
p = 2^127 - 1 is larger than any difference of two words, so that no lie is a multiple of it. Own words were fixed
before the challenge was known. SHA-256 behaves like a random function: the challenge follows from the claim, so a
coordinator can only try claims one after the other, each of which passes with a chance below 2^-126.

Fails if
--------
A node helps the coordinator: it can shift its scalar by what the lie needs, as it could have uploaded other words in
the first place. A total is certified against the coordinator, not against the nodes that made it.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedstats.documents import document
from fedstats.errors import ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.identity.signing import Signed, framed
from fedstats.privacy.agreement import open_from_all
from fedstats.privacy.messages import Member, ReadySecret
from fedstats.privacy.primitives.key_agreement import agree, derive
from fedstats.privacy.primitives.stream import Ring, add_stream

#: A Mersenne prime: the field of coefficients and scalars.
PRIME = 2**127 - 1
SCALAR_BYTES = 16

#: Kind under which scalars are signed.
SCALARS = "certify/scalars@1"

_LABEL = b"fedstats/v1/certify@1"
_PAIR = b"fedstats/v1/certify-pair@1"
#: More than the field's 127 bits, so that reducing modulo the prime leaves a bias below 2^-128.
_DRAW_BYTES = 32

#: Coefficients and words are cut into limbs of 16 bits, which double-precision products and sums of so many words
#: (32 + 14 bits) hold exactly; a piece stays in the cache of the processor.
_PIECE_WORDS = 2**14
_LIMB_BITS, _WORD_BITS = 16, 64
_WORD_LIMBS, _COEFFICIENT_LIMBS = 4, 8

#: Bytes that a word of a claim may take.
_CLAIM_BYTES = (1, 2, 4, 8)


@document
@dataclass(frozen=True)
class Scalars:
    """A node's answer to a claimed total: `total` is the SHA-256 of its words, `scalar` 32 hexadecimal digits."""

    run: str
    pass_id: str
    node: str
    total: str
    scalar: str


def claimed(words: Ring) -> bytes:
    """A total as it is claimed and hashed: its words without check words, each in as few bytes as all of them fit into.

    The first byte says how many: 1, 2, 4 or 8. Then come the words as signed integers, little-endian.
    """
    signed = words.view(np.int64)
    lowest, highest = int(signed.min(initial=0)), int(signed.max(initial=0))
    width = next(n for n in _CLAIM_BYTES if -(1 << (8 * n - 1)) <= lowest and highest < 1 << (8 * n - 1))
    return bytes([width]) + signed.astype(f"<i{width}").tobytes()


def words_of(claim: bytes) -> Ring:
    """The words of a claimed total, shape (word,); raises as `number_of_words` does."""
    number_of_words(claim)
    return np.frombuffer(claim, f"<i{claim[0]}", offset=1).astype(np.int64).view(np.uint64)


def number_of_words(claim: bytes) -> int:
    """How many words a claimed total has, for who must know it before they take their room.

    Raises
    ------
    ProtocolRefused
        NOT_THE_TOTAL: the bytes are no claim.
    """
    width = claim[0] if claim else 0
    if width not in _CLAIM_BYTES or (len(claim) - 1) % width:
        raise _not_the_total("its bytes are no words")
    return (len(claim) - 1) // width


def claim_digest(claim: bytes) -> str:
    """SHA-256, in hexadecimal, of a claimed total."""
    return hashlib.sha256(claim).hexdigest()


def challenge(transcript: str, total: str) -> bytes:
    """What coefficients and masks follow from: 32 bytes that nobody chooses.

    Parameters
    ----------
    transcript
        Hash of the pass that the total is of, hexadecimal.
    total
        Digest of the claimed total, hexadecimal.
    """
    return hashlib.sha256(framed(_LABEL, bytes.fromhex(transcript), bytes.fromhex(total))).digest()


def combination(words: Ring, seed: bytes) -> int:
    """Sum of coefficient x word over F_p, words read as signed integers, shape (word,).

    Parameters
    ----------
    words
        Own words or a total, without check words.
    seed
        The challenge: word j has the coefficient made of the keystream's 16 bytes at 16 j.
    """
    total = 0
    for first in range(0, len(words), _PIECE_WORDS):
        piece = words[first : first + _PIECE_WORDS]
        stream = np.zeros(2 * len(piece), np.uint64)
        add_stream(stream, seed, 1, 2 * first)
        total += _product(piece, stream)
    return total % PRIME


def _product(words: Ring, stream: Ring) -> int:
    """Sum of 128-bit coefficient x signed word, an exact integer."""
    # Most totals are counts, whose upper limbs are all zero: those rows are left out.
    bits = int(np.bitwise_or.reduce(words)).bit_length()
    units = [1 << (_LIMB_BITS * row) for row in range(-(-bits // _LIMB_BITS))]
    rows = [_limbs(words, _WORD_LIMBS)[:, : len(units)].T]
    if bits == _WORD_BITS:
        # The sign bit counts -2^64 beside the word's limbs: two's complement.
        units.append(-(1 << _WORD_BITS))
        rows.append((words >> np.uint64(_WORD_BITS - 1))[None])
    products = np.concatenate(rows).astype(np.float64) @ _limbs(stream, _COEFFICIENT_LIMBS).astype(np.float64)
    found = 0
    for unit, values in zip(units, products, strict=True):
        found += unit * sum(int(value) << (_LIMB_BITS * place) for place, value in enumerate(values))
    return found


def _limbs(words: Ring, limbs: int) -> np.ndarray:
    """Little-endian limbs of 16 bits, shape (coefficient or word, limb)."""
    return words.astype("<u8", copy=False).view("<u2").reshape(-1, limbs)


def pair_mask(mine: str, peer: str, agreed: bytes, seed: bytes) -> int:
    """What two nodes that agreed on a secret add and subtract: whose name sorts first adds it."""
    first, second = sorted((mine, peer))
    key = derive(agreed, salt=seed, info=framed(_PAIR, first.encode(), second.encode()), n_bytes=_DRAW_BYTES)
    mask = int.from_bytes(key, "big") % PRIME
    return mask if mine == first else -mask


def masks_of(ready: ReadySecret | None, seed: bytes) -> int:
    """Sum of the masks of a node with all its peers; nothing where nothing is masked."""
    if ready is None:
        return 0
    private = bytes.fromhex(ready.mask_private)
    peers = [peer for peer in ready.peers if peer.node != ready.node]
    return sum(pair_mask(ready.node, peer.node, agree(private, bytes.fromhex(peer.mask_key)), seed) for peer in peers)


def make_scalars(
    run_and_pass: tuple[str, str], node: str, transcript: str, total: str, own: Ring, ready: ReadySecret | None
) -> Scalars:
    """What a node answers to a claim.

    Parameters
    ----------
    run_and_pass, node, transcript
        Whose answer it is, of which pass.
    total
        Digest of the claimed total.
    own
        The node's own words of the pass, without check words, shape (word,).
    ready
        Where the secrets of pairs are; None under plain.
    """
    if not is_hex(total, 32):
        raise ProtocolRefused("the digest of a claimed total is not hexadecimal; nothing was sent.", code="MALFORMED")
    seed = challenge(transcript, total)
    scalar = (combination(own, seed) + masks_of(ready, seed)) % PRIME
    return Scalars(*run_and_pass, node, total, scalar.to_bytes(SCALAR_BYTES, "big").hex())


def check_total(
    run_and_pass: tuple[str, str],
    roster: tuple[Member, ...],
    transcript: str,
    claim: bytes,
    messages: Sequence[Signed],
) -> None:
    """Refuse a claimed total that is not the sum over all nodes of the run.

    Parameters
    ----------
    run_and_pass, roster, transcript
        As the checking node has them.
    claim
        The claimed words, as `claimed` writes them.
    messages
        Signed `Scalars` of every node.

    Raises
    ------
    ProtocolRefused
        NOT_THE_TOTAL; or what `open_from_all` raises: WRONG_ROSTER, BAD_SIGNATURE, SWAPPED_KEY.
    """
    total = claim_digest(claim)
    found = open_from_all(messages, SCALARS, Scalars, roster)
    if any((said.run, said.pass_id) != run_and_pass for said in found):
        raise ProtocolRefused("scalars of another pass were shown; nothing was kept.", code="REPLAYED")
    strayed = [said.node for said in found if said.total != total or not is_hex(said.scalar, SCALAR_BYTES)]
    if strayed:
        raise _not_the_total(f"{', '.join(strayed)} was shown another total")
    expected = combination(words_of(claim), challenge(transcript, total))
    if sum(int(said.scalar, 16) for said in found) % PRIME != expected:
        raise _not_the_total("the nodes' own words do not add to it")


def _not_the_total(why: str) -> ProtocolRefused:
    return ProtocolRefused(
        f"the total that the coordinator claims is not that of the nodes: {why}. Nothing that rests on it is computed.",
        code="NOT_THE_TOTAL",
    )
