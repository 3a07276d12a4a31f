"""Documents that a coordinator and a key holder exchange, besides those that they share with nodes.

An order is signed by the coordinator; the product of ciphertexts that it announces follows as pieces.
What comes back is one word of eight bytes, little-endian, for every lane: the sum in it, modulo two to its width.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from fedstats.documents import document
from fedstats.privacy.conceal import Widths
from fedstats.privacy.paillier import runs_of, widths_of

#: Bytes of an opened word.
WORD_BYTES = 8


@document
@dataclass(frozen=True)
class AlikeBlocks:
    """Blocks of a pass that follow each other and have the same lanes.

    Attributes
    ----------
    runs
        Widths of the words of one such block, in order, as (bits, how many words).
    blocks
        How many there are.
    """

    runs: tuple[tuple[int, int], ...]
    blocks: int

    @property
    def words(self) -> int:
        """Words of all these blocks."""
        return self.blocks * sum(count for _, count in self.runs)


@document
@dataclass(frozen=True)
class DecryptOrder:
    """Open the product of all nodes' ciphertexts of one pass.

    Attributes
    ----------
    plan, roster
        Digests of the plan of the run, and of the federation roster.
    nodes
        Names of the nodes whose ciphertexts are in the product, as the roster calls them.
    masked
        Whether the words were masked before they were encrypted.
    layout
        Widths of the words of every block; a block begins a ciphertext of its own.
    words
        How many words are in the layout.
    length, sha256
        Of the bytes of the product.
    attempt
        As in the order of the pass; it is part of the pass id.
    """

    run: str
    pass_id: str
    plan: str
    roster: str
    nodes: tuple[str, ...]
    masked: bool
    layout: tuple[AlikeBlocks, ...]
    words: int
    length: int
    sha256: str
    attempt: int


@document
@dataclass(frozen=True)
class KeyHolderCatalogue:
    """Who a key holder is, and what it allows."""

    key_holder: str
    nonce: str
    roster: str
    versions: dict[str, str]
    protocol: int
    modulus: str
    policy: dict[str, str]
    certificate_expires: str
    ledger_head: str


def layout_of(blocks: Sequence[Widths]) -> tuple[AlikeBlocks, ...]:
    """Widths of the words of every block, as an order has them."""
    return tuple(AlikeBlocks(runs, len(list(alike))) for runs, alike in groupby(runs_of(block) for block in blocks))


def widths_of_blocks(layout: Sequence[AlikeBlocks]) -> Iterator[Widths]:
    """Widths of the words of every block that an order has.

    Raises
    ------
    ProtocolRefused
        MALFORMED: a run is empty, or a word has not from 1 to 64 bits.
    """
    for alike in layout:
        widths = widths_of(alike.runs)
        for _ in range(alike.blocks):
            yield widths
