"""The asks of one call as passes of bounded size: what each pass puts at the nodes, and how its words lie."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Generic

from fedstats.additive import Limits, Slot, layout, total_words
from fedstats.documents import digest
from fedstats.identity.signing import framed
from fedstats.privacy.conceal import Widths
from fedstats.step import Q, S, Step, to_arrays
from fedstats.study import LARGEST_PASS, Block, Model
from fedstats.wire.arrays import asks_to_bytes
from fedstats.wire.passes import CHECK_WORDS, layout_digest, word_widths

#: Words of one pass at one node: 64 MiB.
LARGEST_PASS_WORDS = 1 << 23


@dataclass(frozen=True, eq=False)
class Ask(Generic[Q]):
    """One block with its parameters, and the layout of its release."""

    block: Block | None
    parameters: Q
    sizes: dict[str, int]
    slots: tuple[Slot, ...]

    @property
    def words(self) -> int:
        """Ring words in the pass, check word included."""
        return total_words(self.slots) + CHECK_WORDS


@dataclass(frozen=True, eq=False)
class PassWork(Generic[Q, S]):
    """What one pass computes."""

    step: Step[Q, S]
    model: Model
    asks: tuple[Ask[Q], ...]
    blob: bytes

    @property
    def words(self) -> int:
        """Ring words of the pass at each node."""
        return sum(ask.words for ask in self.asks)

    @property
    def variants(self) -> int:
        """Number of variants in the pass."""
        return sum(len(ask.block) for ask in self.asks if ask.block is not None)

    @property
    def layout(self) -> str:
        """Digest of schema and lengths."""
        return layout_digest(self.step.release.schema_digest(), [ask.words for ask in self.asks])

    @property
    def widths(self) -> tuple[Widths, ...]:
        """Widths of the words of each ask."""
        return tuple(word_widths(self.step, ask.sizes, Limits()) for ask in self.asks)

    @property
    def blob_digest(self) -> str:
        """SHA-256 of the asks as they are put at the nodes."""
        return hashlib.sha256(self.blob).hexdigest()

    @property
    def asked(self) -> str:
        """Digest of all that the total depends on, besides the run."""
        fields = (self.step.name, digest(self.model), self.layout, self.blob_digest)
        return hashlib.sha256(framed(*(text.encode() for text in fields))).hexdigest()


def make_ask(step: Step[Q, S], model: Model, parameters: Q, block: Block | None) -> Ask[Q]:
    """An ask with its layout."""
    sizes = step.sizes(model, parameters, block)
    return Ask(block, parameters, sizes, layout(step.release, sizes))


def make_pass(step: Step[Q, S], model: Model, asks: Iterable[Ask[Q]]) -> PassWork[Q, S]:
    """The pass of some asks."""
    held = tuple(asks)
    blob = asks_to_bytes((None if a.block is None else a.block.variants, to_arrays(a.parameters)) for a in held)
    return PassWork(step, model, held, blob)


def passes(
    step: Step[Q, S], model: Model, asks: Iterable[tuple[Block, Q]], largest: "Largest"
) -> Iterator[PassWork[Any, S]]:
    """The asks of a call in order, as many in a pass as fit; one that is larger by itself is a pass of its own.

    Variants increase within a pass, each asked once.
    """
    gathered: list[Ask[Q]] = []
    words = variants = 0
    for block, parameters in asks:
        ask = make_ask(step, model, parameters, block)
        full = words + ask.words > largest.words or variants + len(block) > largest.variants
        if gathered and (full or not _follows(gathered[-1], block)):
            yield make_pass(step, model, gathered)
            gathered, words, variants = [], 0, 0
        gathered.append(ask)
        words += ask.words
        variants += len(block)
    if gathered:
        yield make_pass(step, model, gathered)


@dataclass(frozen=True)
class Largest:
    """The size of a pass: ring words at one node, and variants."""

    words: int = LARGEST_PASS_WORDS
    variants: int = LARGEST_PASS


def _follows(last: Ask[Any], block: Block) -> bool:
    """Whether a block's variants lie behind those of the last ask."""
    before = last.block
    return before is None or not len(before) or not len(block) or bool(block.variants[0] > before.variants[-1])
