"""Additive releases: the only thing that an analysis may ask of a node.

A release is a frozen dataclass of arrays whose meaning survives addition over people.
Each field says along which dimensions it runs, and how large the *total* over the federation can be.
From that one declaration follow the fixed-point code, the layout on the wire, the check of every total,
and the laws that the tests run on every registered step.

    @dataclass(frozen=True)
    class Moments(Additive):
        called: Annotated[Counts, Count("variant")]
        score: Annotated[Reals, Sum("variant", "covariate", bound=lambda limits: 2 * limits.people)]

Statistics import this module; it knows nothing of them, of privacy or of the network.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from math import ceil, log2, prod
from typing import Annotated, Any, ClassVar, Self, get_args, get_origin, get_type_hints

import numpy as np

from fedstats.arrays import Reals
from fedstats.errors import Failed

#: Bits of one word below which a limb of a wide integer lies; eight bits are left for the sum over nodes.
LIMB_BITS = 56


@dataclass(frozen=True)
class Limits:
    """Public limits from which bounds of totals follow; the same for every study, so that no bound depends on data."""

    people: int = 2**21
    nodes: int = 20


Bound = Callable[[Limits], float]


def _people(limits: Limits) -> float:
    return float(limits.people)


@dataclass(frozen=True, init=False)
class Field:
    """How one array of a release is read: dimensions, bound of the total, and its representation.

    `person` is the most by which one person changes any element, exactly, 0 where nobody says; `coarseness` is how much
    noise an element takes, where sums are noised, beside an element of coarseness 1 and the same `person`.
    """

    dims: tuple[str, ...]
    bound: Bound
    words: int
    fraction_bits: int | None
    person: float = 0.0
    coarseness: float = 1.0
    representation: ClassVar[str] = ""

    def __init__(self, *dims: str, bound: Bound, words: int = 1, fraction_bits: int | None = 0) -> None:
        object.__setattr__(self, "dims", dims)
        object.__setattr__(self, "bound", bound)
        object.__setattr__(self, "words", words)
        object.__setattr__(self, "fraction_bits", fraction_bits)

    def shape(self, sizes: Mapping[str, int]) -> tuple[int, ...]:
        """Lengths of the dimensions, in order."""
        return tuple(sizes[name] for name in self.dims)


class Count(Field):
    """Whole numbers of people, calls or nodes; exact. The bound of the total is the number of people unless said."""

    representation = "count"

    def __init__(self, *dims: str, bound: Bound = _people) -> None:
        super().__init__(*dims, bound=bound)


class Sum(Field):
    """A sum of reals, encoded after the step with as many fraction bits as the bound of the total leaves."""

    representation = "real"

    def __init__(self, *dims: str, bound: Bound) -> None:
        super().__init__(*dims, bound=bound, fraction_bits=None)


class FixedSum(Field):
    """A sum that a kernel accumulated in fixed point (int64), passed through by the codec after a check.

    With `person` (see `Field`) it may be noised: each person's part is rounded by itself and kept within that bound.
    """

    representation = "fixed"

    def __init__(
        self, *dims: str, bound: Bound, fraction_bits: int, person: float = 0.0, coarseness: float = 1.0
    ) -> None:
        super().__init__(*dims, bound=bound, fraction_bits=fraction_bits)
        object.__setattr__(self, "person", person)
        object.__setattr__(self, "coarseness", coarseness)


class WideSum(Field):
    """Exact integers that need several words; Python integers in arrays of dtype object."""

    representation = "wide"

    def __init__(self, *dims: str, bound: Bound, fraction_bits: int, words: int) -> None:
        super().__init__(*dims, bound=bound, words=words, fraction_bits=fraction_bits)


class Additive:
    """Base of releases: adding two releases is the release of the people of both."""

    @classmethod
    def schema(cls) -> Mapping[str, Field]:
        """The declared fields by name, in the order in which they are laid out."""
        return _schema(cls)

    @classmethod
    def schema_digest(cls) -> str:
        """SHA-256 over names, dimensions, representations, words, fraction bits and bounds."""
        limits = Limits()
        lines = [
            f"{name}|{','.join(f.dims)}|{f.representation}|{f.words}|{fraction_bits(f, limits)}|{f.bound(limits)!r}"
            f"{f'|{f.person!r}|{f.coarseness!r}' if f.person else ''}"
            for name, f in cls.schema().items()
        ]
        return hashlib.sha256("\n".join([cls.__name__, *lines]).encode()).hexdigest()

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: getattr(self, name) + getattr(other, name) for name in self.schema()})

    def real(self, name: str) -> Reals:
        """A field as real numbers, whatever its representation."""
        declared, values = self.schema()[name], getattr(self, name)
        if declared.representation == "wide":
            bits = declared.fraction_bits or 0
            flat = [_ratio(int(value), bits) for value in values.ravel()]
            return np.array(flat, np.float64).reshape(values.shape)
        if declared.representation == "fixed":
            # A power of two: as exact as `ldexp`, and ten times as fast.
            return np.asarray(values * 2.0 ** -(declared.fraction_bits or 0), np.float64)
        return np.asarray(values, np.float64)


def _ratio(value: int, bits: int) -> float:
    """Value / 2^bits, correctly rounded (Python divides integers exactly)."""
    return value / (1 << bits)


_SCHEMAS: dict[type, Mapping[str, Field]] = {}


def _schema(cls: type[Additive]) -> Mapping[str, Field]:
    if cls not in _SCHEMAS:
        _SCHEMAS[cls] = _read_schema(cls)
    return _SCHEMAS[cls]


def _read_schema(cls: type[Additive]) -> Mapping[str, Field]:
    hints = get_type_hints(cls, include_extras=True)
    found: dict[str, Field] = {}
    for entry in fields(cls):  # type: ignore[arg-type]  # every release is a dataclass; this raises where one is not
        declared = [a for a in get_args(hints[entry.name])[1:] if isinstance(a, Field)]
        if get_origin(hints[entry.name]) is not Annotated or len(declared) != 1:
            raise TypeError(
                f"{cls.__name__}.{entry.name} must be Annotated with exactly one of Count, Sum, FixedSum, WideSum"
            )
        found[entry.name] = declared[0]
    return found


def fraction_bits(declared: Field, limits: Limits) -> int:
    """Fraction bits of a field: declared, or 62 - ceil(log2(bound)) so that the total stays under 2^62."""
    if declared.fraction_bits is not None:
        return declared.fraction_bits
    return 62 - max(0, ceil(log2(declared.bound(limits))))


@dataclass(frozen=True)
class Slot:
    """Where one field lies in the words of a release."""

    name: str
    field: Field
    shape: tuple[int, ...]
    first_word: int

    @property
    def elements(self) -> int:
        """Number of elements, before they are split into words."""
        return prod(self.shape)

    @property
    def words(self) -> int:
        """Number of ring words the field takes."""
        return self.elements * self.field.words


def layout(kind: type[Additive], sizes: Mapping[str, int]) -> tuple[Slot, ...]:
    """Where each field of a release lies, given the lengths of its dimensions."""
    known: Any = kind  # mypy takes no class for hashable whose instances are not
    return _layout(known, tuple(sizes.items()))


#: Blocks of a scan have a few sizes, and each is laid out many times.
@lru_cache(maxsize=256)
def _layout(kind: type[Additive], lengths: tuple[tuple[str, int], ...]) -> tuple[Slot, ...]:
    sizes = dict(lengths)
    slots: list[Slot] = []
    first = 0
    for name, declared in kind.schema().items():
        missing = [d for d in declared.dims if d not in sizes]
        if missing:
            raise Failed(f"{kind.__name__}.{name}: the length of dimension {missing[0]!r} is not known", code="NO_SIZE")
        slot = Slot(name, declared, declared.shape(sizes), first)
        slots.append(slot)
        first += slot.words
    return tuple(slots)


def total_words(slots: tuple[Slot, ...]) -> int:
    """Number of ring words of a release with this layout."""
    return slots[-1].first_word + slots[-1].words if slots else 0


def zeros(kind: type[Any], sizes: Mapping[str, int]) -> Any:
    """The release of nobody: the neutral element of addition."""
    values: dict[str, Any] = {}
    for name, declared in kind.schema().items():
        dtype = {"count": np.int64, "fixed": np.int64, "real": np.float64, "wide": object}[declared.representation]
        values[name] = np.zeros(declared.shape(sizes), dtype)
    return kind(**values)
