"""What coordinator and node derive alike from a plan and the order of a pass: who takes part, layout, context.

Both sides call these functions on the documents that they hold; a difference shows as different transcripts,
so as masks that do not cancel, never as a wrong sum.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from math import ceil
from typing import Any

import numpy as np

from fedstats.additive import Additive, Limits, layout, total_words
from fedstats.analysis import steers
from fedstats.arrays import Indices
from fedstats.documents import digest
from fedstats.fixed_point import CODEC
from fedstats.identity.roster import threshold
from fedstats.identity.signing import framed
from fedstats.privacy.conceal import Widths
from fedstats.privacy.messages import Member, PassContext, RunContext
from fedstats.step import STEPS, Step, from_arrays
from fedstats.study import Block, Model
from fedstats.wire.messages import PassOrder, Plan

#: Words that follow the release of every ask: the check word.
CHECK_WORDS = 1

Ask = tuple[Indices | None, Mapping[str, np.ndarray]]


def members(plan: Plan) -> tuple[Member, ...]:
    """The run roster: the nodes of the study in its order, with the identities of the plan."""
    return tuple(Member(name, plan.nodes[name]) for name in plan.study.nodes)


def run_context(plan: Plan) -> RunContext:
    """The run as its nodes agreed on it."""
    return RunContext(plan.run, plan.digest, members(plan))


def pass_context(plan: Plan, order: PassOrder) -> PassContext:
    """All that a pass depends on. The digest of its order binds place, step, model, asks and layout."""
    return PassContext(
        run=plan.run,
        pass_id=order.pass_id,
        plan_digest=plan.digest,
        roster=members(plan),
        threshold=threshold(len(plan.study.nodes)),
        step=order.step,
        schema_digest=STEPS[order.step].release.schema_digest(),
        codec=CODEC,
        privacy=plan.privacy,
        parameters_digest=_digest_of(order),
        totals_digest="",  # totals travel among the parameters of the asks, which the order binds
        layout_digest=order.layout,
    )


#: Several steps of a pass need it, and an order never changes.
@lru_cache(maxsize=32)
def _digest_of(order: PassOrder) -> str:
    return digest(order)


def plain_transcript(context: PassContext) -> str:
    """What stands for the transcript where there is no key exchange: check words are made from it all the same."""
    return digest(context)


def certifies(plan: Plan) -> bool:
    """Whether the nodes of a run certify totals that steer it.

    Not where scalars could not be hidden and words are: under paillier without masks the coordinator is trusted. Under
    dp no total steers anything.
    """
    return plan.privacy in ("masked", "plain") or (plan.privacy == "paillier" and plan.request.setting.paillier_masks)


def to_be_certified(plan: Plan, step: str) -> bool:
    """Whether totals of a step decide what a run asks later, and its nodes certify them."""
    return certifies(plan) and steers(step, plan.study)


def ask_words(step: Step[Any, Any], model: Model, asks: Sequence[Ask]) -> tuple[int, ...]:
    """Ring words of each ask in the layout of its pass, check word included."""
    return tuple(total_words(layout(step.release, sizes)) + CHECK_WORDS for sizes in _sizes(step, model, asks))


def upload_bytes(words: int) -> int:
    """Bytes that one node uploads in a pass of so many ring words, unless they are encrypted."""
    return 8 * words


def encrypted_bytes(modulus: str, blocks: Iterable[Widths]) -> int:
    """Bytes that one node uploads in a pass under paillier.

    Parameters
    ----------
    modulus
        The key holder's, as in the roster.
    blocks
        Widths of the words of each ask (see `word_widths`).
    """
    from fedstats.privacy.paillier import block_bytes, public_key  # needs the extra

    public = public_key(modulus)
    return sum(block_bytes(public, widths) for widths in blocks)


def word_widths(step: Step[Any, Any], sizes: Mapping[str, int], limits: Limits) -> Widths:
    """Bits that hold the total in each word of an ask, sign and check word included, shape (word,).

    Counts are bounded by the number of people, which is far below 64 bits; every other word takes all of them.
    """
    release: Any = step.release  # as in `layout`
    return _widths(release, tuple(sizes.items()), limits)


#: As layouts, they are few and asked for with every block.
@lru_cache(maxsize=64)
def _widths(release: type[Additive], lengths: tuple[tuple[str, int], ...], limits: Limits) -> Widths:
    slots = layout(release, dict(lengths))
    widths = np.full(total_words(slots) + CHECK_WORDS, 64, np.uint8)
    for slot in slots:
        if slot.field.representation == "count":
            most = ceil(slot.field.bound(limits))
            widths[slot.first_word : slot.first_word + slot.words] = most.bit_length() + 1
    widths.flags.writeable = False
    return widths


def ask_widths(step: Step[Any, Any], model: Model, asks: Sequence[Ask]) -> tuple[Widths, ...]:
    """Widths of the words of each ask of a pass."""
    return tuple(word_widths(step, sizes, Limits()) for sizes in _sizes(step, model, asks))


def _sizes(step: Step[Any, Any], model: Model, asks: Sequence[Ask]) -> Iterator[dict[str, int]]:
    for variants, arrays in asks:
        block = None if variants is None else Block(variants)
        yield step.sizes(model, from_arrays(step.parameters, arrays), block)


def layout_digest(schema_digest: str, words: Sequence[int]) -> str:
    """SHA-256, in hexadecimal, over the schema and the words of each ask."""
    lengths = b"".join(count.to_bytes(8, "big") for count in words)
    return hashlib.sha256(framed(b"fedstats/v1/layout@1", schema_digest.encode(), lengths)).hexdigest()
