"""Fixed-point code: releases as integers modulo 2^64, and totals back.

Every privacy setting adds the same integers, so plain and masked sums are the same bits.
Reals are multiplied by 2^f and rounded once per node; the sum over N nodes is then off by at most N/2 units of 2^-f.
Wide integers are split into limbs of 56 bits, each in a ring word of its own, so that no carry is lost.
"""

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np

from fedstats.additive import LIMB_BITS, Additive, Field, Limits, Slot, fraction_bits, layout, total_words
from fedstats.arrays import Fixed, Ring
from fedstats.errors import Failed, RangeOverflow

S = TypeVar("S", bound=Additive)

CODEC = "fixed-point/1: int64 modulo 2^64, limbs of 56 bits"
_LIMB_MASK = (1 << LIMB_BITS) - 1
_SLICE = 8192  # reals that are rounded at a time: what lies between stays in the processor's cache


def encode(release: Additive, sizes: Mapping[str, int], limits: Limits) -> Ring:
    """Ring words of a release, shape (word,).

    Raises
    ------
    Failed
        A field has another shape than declared, or a value is not finite.
    RangeOverflow
        A value is larger than the declared bound of the *total*.
    """
    slots = layout(type(release), sizes)
    words = np.empty(total_words(slots), np.uint64)
    for slot in slots:
        values = np.asarray(getattr(release, slot.name))
        if values.shape != slot.shape:
            raise Failed(f"{slot.name} has shape {values.shape}, declared is {slot.shape}", code="BAD_SHAPE")
        _encode_field(slot, values, limits, words[slot.first_word : slot.first_word + slot.words])
    return words


def _encode_field(slot: Slot, values: Any, limits: Limits, words: Ring) -> None:
    """Fill the words of one field."""
    if slot.field.representation == "wide":
        words[:] = _split(slot, values, limits)
        return
    integers = words.view(np.int64)
    if slot.field.representation == "real":
        _round(slot, values, limits, integers)
    elif values.dtype != np.int64:
        raise Failed(f"{slot.name} must be int64, not {values.dtype}", code="BAD_TYPE")
    else:
        integers.reshape(values.shape)[...] = values
    _check(slot.name, slot.field, integers, limits)


def _round(slot: Slot, values: Any, limits: Limits, integers: Fixed) -> None:
    """Fill in reals times 2^f as integers; one that does not fit a word becomes one that no bound allows."""
    factor = 2.0 ** fraction_bits(slot.field, limits)
    rows = values.reshape(max(len(values), 1), -1) if values.ndim else values.reshape(1, 1)
    step = max(1, _SLICE // max(rows.shape[1], 1))
    filled = 0
    for first in range(0, len(rows), step):
        piece = rows[first : first + step]
        if not np.isfinite(piece).all():
            raise Failed(f"{slot.name} has values that are not finite", code="NOT_FINITE")
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = piece * factor
            integers[filled : filled + piece.size] = np.rint(scaled, out=scaled).reshape(-1)
        filled += piece.size


def _split(slot: Slot, values: Any, limits: Limits) -> Ring:
    flat = [int(value) for value in values.ravel()]
    allowed = slot.field.bound(limits) * 2.0 ** fraction_bits(slot.field, limits)
    if any(abs(value) > allowed for value in flat):
        raise _overflow(slot.name, slot.field, limits)
    limbs = np.empty((slot.field.words, len(flat)), np.uint64)
    for number in range(slot.field.words):
        last = number == slot.field.words - 1
        shifted = [value >> (LIMB_BITS * number) for value in flat]
        limbs[number] = np.array([v % (1 << 64) if last else v & _LIMB_MASK for v in shifted], np.uint64)
    return limbs.reshape(-1)


def decode(words: Ring, kind: type[S], sizes: Mapping[str, int], limits: Limits) -> S:
    """The total that ring words hold; each value is checked against its bound.

    Raises
    ------
    RangeOverflow
        A total is larger than declared: a node added garbage, or the parties disagree.
    """
    slots = layout(kind, sizes)
    if words.shape != (total_words(slots),):
        raise Failed(f"{kind.__name__} needs {total_words(slots)} words, not {words.shape}", code="BAD_SHAPE")
    values = {s.name: _decode_field(s, words[s.first_word : s.first_word + s.words], limits) for s in slots}
    return kind(**values)


def _decode_field(slot: Slot, words: Ring, limits: Limits) -> Any:
    if slot.field.representation == "wide":
        return _join(slot, words, limits)
    integers = words.view(np.int64).reshape(slot.shape)
    _check(slot.name, slot.field, integers, limits)
    if slot.field.representation == "real":
        return np.ldexp(integers.astype(np.float64), -fraction_bits(slot.field, limits))
    return integers.copy()


def _join(slot: Slot, words: Ring, limits: Limits) -> Any:
    limbs = words.reshape(slot.field.words, slot.elements)
    top = limbs[-1].view(np.int64)
    joined = [int(value) << (LIMB_BITS * (slot.field.words - 1)) for value in top]
    for number in range(slot.field.words - 1):
        joined = [j + (int(value) << (LIMB_BITS * number)) for j, value in zip(joined, limbs[number], strict=True)]
    allowed = slot.field.bound(limits) * 2.0 ** fraction_bits(slot.field, limits)
    if any(abs(value) > allowed for value in joined):
        raise _overflow(slot.name, slot.field, limits)
    out = np.empty(slot.elements, object)
    out[:] = joined
    return out.reshape(slot.shape)


def _check(name: str, declared: Field, integers: Any, limits: Limits) -> None:
    if not integers.size:
        return
    bits = fraction_bits(declared, limits)
    # Each node rounds once, so a total may pass its bound by half a unit a node.
    allowed = declared.bound(limits) * 2.0**bits + limits.nodes
    largest = max(float(integers.max()), -float(integers.min()))
    if largest > allowed:
        raise _overflow(name, declared, limits)


def _overflow(name: str, declared: Field, limits: Limits) -> RangeOverflow:
    return RangeOverflow(
        f"{name} exceeds its bound of {declared.bound(limits):g}; nothing was released",
        code="RANGE_OVERFLOW",
        hint="A total of this study is larger than declared limits allow; check the scale of traits and covariates.",
    )
