"""The laws of local steps, as functions that raise AssertionError; they know nothing of what a step computes."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from fedstats.additive import Additive, Limits, fraction_bits, total_words
from fedstats.additive import layout as layout_of
from fedstats.arrays import Indices
from fedstats.cohort import Cohort
from fedstats.fixed_point import decode, encode
from fedstats.genotypes import pack
from fedstats.step import Step, from_arrays, to_arrays
from fedstats.study import Block, Model

LIMITS = Limits()
#: Sums of doubles in another order differ by rounding; 1e-11 of the largest value is far above and far below an error.
FLOATS = 1e-11


@dataclass(frozen=True)
class Example:
    """A step with one cohort and parameters that a node would admit."""

    step: Step[Any, Any]
    model: Model
    cohort: Cohort
    parameters: Any

    @property
    def sizes(self) -> dict[str, int]:
        variants = len(self.cohort.genotypes) if self.cohort.genotypes is not None else 0
        block = Block(np.arange(variants)) if self.step.genotypes else None
        return self.step.sizes(self.model, self.parameters, block)

    def of(self, cohort: Cohort) -> Additive:
        """The release of some cohort, through the code that every privacy setting adds."""
        words = encode(self.step(cohort, self.parameters), self.sizes, LIMITS)
        return decode(words, self.step.release, self.sizes, LIMITS)


def additive_over_people(example: Example, rng: np.random.Generator, parts: int) -> None:
    """Integers of parts of the people add to those of all, but for one rounding a part."""
    part = rng.integers(0, parts, len(example.cohort.people))
    kind, sizes = example.step.release, example.sizes
    pieces = [
        encode(example.step(example.cohort.restrict(part == i), example.parameters), sizes, LIMITS)
        for i in range(parts)
    ]
    total = decode(np.sum(pieces, axis=0, dtype=np.uint64), kind, sizes, LIMITS)
    assert_same(total, example.of(example.cohort), roundings=parts + 1)


def nobody_adds_nothing(example: Example) -> None:
    """A cohort of nobody releases zeros, field by field."""
    release = example.step(example.cohort.restrict(np.zeros(len(example.cohort.people), np.bool_)), example.parameters)
    for name in release.schema():
        assert not np.any(np.asarray(getattr(release, name), np.float64)), name


def independent_of_order(example: Example, rng: np.random.Generator) -> None:
    """People in another order give the same release."""
    shuffled = permuted(example.cohort, rng.permutation(len(example.cohort.people)))
    assert_same(example.of(shuffled), example.of(example.cohort), roundings=1)


def pure(example: Example) -> None:
    """Twice the same bits, and nothing that the step was given has changed."""
    cohort, parameters = deepcopy(example.cohort), deepcopy(example.parameters)
    first = encode(example.step(example.cohort, example.parameters), example.sizes, LIMITS)
    second = encode(example.step(example.cohort, example.parameters), example.sizes, LIMITS)
    assert np.array_equal(first, second)
    for before, after in ((cohort, example.cohort), (parameters, example.parameters)):
        for entry in fields(before):
            a, b = getattr(before, entry.name), getattr(after, entry.name)
            assert np.array_equal(a, b) if isinstance(a, np.ndarray) else entry.name == "genotypes" or a == b


def within_bounds(example: Example) -> None:
    """Every declared value is within its bound, and bounds leave the ring room for all nodes."""
    release = example.of(example.cohort)
    for name, declared in release.schema().items():
        bits = fraction_bits(declared, LIMITS)
        assert declared.bound(LIMITS) * 2.0**bits <= 2.0 ** (62 + 56 * (declared.words - 1)), name
        values = np.abs(release.real(name))
        assert not values.size or values.max() <= declared.bound(LIMITS) + LIMITS.nodes * 2.0**-bits, name


def bounded_by_person(example: Example) -> None:
    """One person alone is within the bound that a field declares for one, to the last unit, in every element.

    Together with additivity, which is exact for these fields, no person who joins or leaves changes more.
    """
    for person in np.flatnonzero(example.cohort.people)[:80]:
        alone = np.zeros(len(example.cohort.people), np.bool_)
        alone[person] = True
        release = example.step(example.cohort.restrict(alone), example.parameters)
        for name, declared in release.schema().items():
            allowed = declared.person * 2.0 ** (declared.fraction_bits or 0)
            assert np.abs(getattr(release, name)).max(initial=0) <= allowed, name


def exactly_additive(example: Example, rng: np.random.Generator) -> None:
    """Integers of parts of the people add to those of all without any rounding."""
    half = rng.random(len(example.cohort.people)) < 0.5
    parts = [example.step(example.cohort.restrict(who), example.parameters) for who in (half, ~half)]
    whole = example.step(example.cohort, example.parameters)
    assert all(np.array_equal(getattr(parts[0] + parts[1], name), getattr(whole, name)) for name in whole.schema())


def laid_out_as_declared(example: Example) -> None:
    """Words are as many as the layout says, before any data are read; and the code gives back what it was given."""
    release = example.step(example.cohort, example.parameters)
    words = encode(release, example.sizes, LIMITS)
    assert len(words) == total_words(layout_of(example.step.release, example.sizes))
    assert_same(decode(words, example.step.release, example.sizes, LIMITS), release, roundings=1)


def parameters_survive_the_wire(example: Example) -> None:
    """Parameters are arrays by name, and come back the same."""
    arrays = to_arrays(example.parameters)
    again = to_arrays(from_arrays(type(example.parameters), arrays))
    assert all(np.array_equal(arrays[name], again[name]) for name in arrays)


def permuted(cohort: Cohort, order: Indices) -> Cohort:
    """The same people in another order."""
    block = cohort.genotypes
    return replace(
        cohort,
        **{name: getattr(cohort, name)[order] for name in ("people", "covariates", "traits", "site", "male")},
        genotypes=None if block is None else pack(block.dosages()[:, order]),
    )


def assert_same(left: Additive, right: Additive, *, roundings: int) -> None:
    """Equal integers, but for roundings of reals and fixed-point numbers; fields that count nodes apart."""
    skipped: frozenset[str] = getattr(type(left), "NODEWISE", frozenset())
    for name, declared in left.schema().items():
        if name in skipped:
            continue
        a, b = getattr(left, name), getattr(right, name)
        if declared.representation in ("count", "wide"):
            assert np.array_equal(a, b), name
            continue
        unit = 2.0 ** -fraction_bits(declared, LIMITS)
        x, y = left.real(name), right.real(name)
        allowed = roundings * unit + FLOATS * (np.abs(y).max() if y.size else 0.0)
        assert np.allclose(x, y, rtol=0, atol=allowed), name


Law = Callable[[Example], None]
