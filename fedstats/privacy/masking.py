"""Masked sums: each node adds to its words keystreams that cancel in the sum over all nodes of the run, and only there.

Double masking on the complete graph of 3 to 20 nodes, after Bonawitz et al. [1]_, with one simplification that makes it
stronger: the set of nodes is the whole run roster, so secrets of pairs are never shared and no smaller sum can ever be
opened by anybody. What may be recovered is the self mask of each node, and only for all nodes at once.

====  =======================================================  =========================================
step  a node says                                              before it does, it checks
====  =======================================================  =========================================
run   signed X25519 channel key                                run roster is part of its own roster
S     signed X25519 mask key, sealed shares of its seed,       every node's channel key, for this run
      commitments to seed and nonce, head of its ledger
R     signed transcript hash T, nonce                          every node's S, its own among them unchanged
M     words + self mask + masks of pairs                       every node's signature of its own T
C     signed (T, complete), once                               all its words are out
U     shares of all nodes' seeds, once                         t signatures of (T, complete)
====  =======================================================  =========================================

Who learns what
---------------
The coordinator learns the sum over all nodes of the run, and that each took part. A node learns nothing of its peers'
words. The coordinator together with c nodes learns the sum over the other N - c nodes.

Assumes
-------
At least two nodes outside the collusion (three are better: of two, each is the other's difference).
The roster at each node is the true one. AES-256, X25519, HKDF-SHA256, Ed25519 and SHA-256 hold. Nodes keep secrets of
a pass until it is over, delete them then, and never use a pass id twice.

Fails if
--------
A node masks two different arrays under one transcript: their difference is open. The ledger and the stored chunks of
the node stand in front of that. A malicious node can spoil the sum, but not read the others' parts of it. With two
nodes each learns the other's words from the total.

References
----------
.. [1] Bonawitz et al. (2017), Practical Secure Aggregation for Privacy-Preserving Machine Learning, CCS, 1175-1191.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from fedstats.identity.signing import framed
from fedstats.privacy.conceal import Setting, Widths, little_endian
from fedstats.privacy.primitives.key_agreement import derive
from fedstats.privacy.primitives.stream import Ring, Sign, Stream, add_streams

_PAIR = b"fedstats/v1/pair-mask@1"
_SELF = b"fedstats/v1/self-mask@1"


@dataclass(frozen=True)
class Masks:
    """The streams that one party adds in one pass: a node conceals with them, a coordinator reveals."""

    setting: ClassVar[Setting] = Setting.MASKED
    streams: tuple[Stream, ...] = field(repr=False)

    def apply(self, words: Ring, first_word: int) -> Ring:
        """Return a copy of `words` with the streams added; the first word stands at `first_word` of the layout."""
        return mask(words, first_word, self.streams)

    def protect(self, words: Ring, first_word: int, widths: Widths) -> bytes:  # noqa: ARG002 - masks fill every word
        """The masked words of one ask, as they leave a node."""
        return little_endian(self.apply(words, first_word))


def mask(words: Ring, first_word: int, streams: Sequence[Stream]) -> Ring:
    """Return a copy of `words`, shape (word,), with all streams added modulo 2^64."""
    masked = words.copy()
    add_streams(masked, streams, first_word)
    return masked


def pair_stream(mine: str, peer: str, agreed: bytes, transcript: str) -> Stream:
    """The stream of two nodes that agreed on a secret: whose name sorts first adds it, the other subtracts it.

    The transcript salts the key: nodes that were shown different things get different streams, and garbage as sum.
    """
    first, second = sorted((mine, peer))
    info = framed(_PAIR, first.encode(), second.encode())
    key = derive(agreed, salt=bytes.fromhex(transcript), info=info)
    sign: Sign = 1 if mine == first else -1
    return Stream(key, sign)


def self_stream(node: str, seed: bytes, transcript: str, sign: Sign) -> Stream:
    """The stream of a node's own seed: added by the node, subtracted by the coordinator once the pass is open."""
    return Stream(derive(seed, salt=bytes.fromhex(transcript), info=framed(_SELF, node.encode())), sign)
