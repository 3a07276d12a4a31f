"""Which row of a genotype file is which variant of the panel, by chromosome, position and the pair of alleles.

Identifiers never match variants; they only settle which of several rows with equal position and alleles is meant.
Strands are not turned: A/G in the panel and T/C in the file are other alleles, for A/T and C/G could not be told apart.
An allele that the file writes as 0 is one that nobody in the file has, as PLINK 1 writes it;
it stands for whatever the panel has beside the other allele.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Indices
from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED, UNPLACED, Panel

#: Variants that are looked up together: what that takes does not grow with the panel.
_SLICE = 1 << 17

#: Spellings of an allele that was never seen.
UNSEEN = frozenset({"0", "."})


@dataclass(frozen=True, eq=False)
class Availability:
    """What a file has of a panel.

    Attributes
    ----------
    status
        ABSENT, PRESENT, SWAPPED or ALLELES_DIFFER of `fedstats.planning.panel`, shape (panel variant,).
    rows
        Row in the file, -1 where there is none, shape (panel variant,).
    ambiguous
        Panel variants that several rows of the file fit equally well; the first one is used.
    """

    status: npt.NDArray[np.uint8]
    rows: npt.NDArray[np.int32]
    ambiguous: int

    @property
    def present(self) -> Bools:
        """Whether the file has the variant, either way round, shape (panel variant,)."""
        return np.asarray((self.status == PRESENT) | (self.status == SWAPPED))

    def counts(self) -> dict[str, int]:
        """How many variants of the panel have each status."""
        number = np.bincount(self.status, minlength=4).tolist()
        return {
            "absent": number[ABSENT],
            "present": number[PRESENT],
            "swapped": number[SWAPPED],
            "alleles_differ": number[ALLELES_DIFFER],
        }

    def bitmap(self, status: int) -> bytes:
        """One bit a variant, lowest bit first: whether it has this status."""
        return np.packbits(self.status == status, bitorder="little").tobytes()


def match(file: Panel, panel: Panel) -> Availability:
    """Find the variants of a panel in a file, whose A1 is `alt` and whose A2 is `ref`."""
    offered, wanted = (
        Side(variants, codes) for variants, codes in zip((file, panel), _common_codes(file, panel), strict=True)
    )
    found = _one_a_place(wanted, offered)
    if found is not None:
        return found
    from node_agent.datasets.joins import joined  # where it is needed: it takes a quarter of a second to load

    return joined(wanted.keys(slice(None)), offered.keys(slice(None)), file, panel)


def _common_codes(file: Panel, panel: Panel) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Codes of the distinct alleles of both that are equal where alleles are, -1 for unseen ones; case is ignored."""
    codes: dict[str, int] = {}

    def of(alleles: tuple[str, ...]) -> npt.NDArray[np.int32]:
        upper = (allele.upper() for allele in alleles)
        return np.array([-1 if a in UNSEEN else codes.setdefault(a, len(codes)) for a in upper], np.int32)

    return of(file.alleles), of(panel.alleles)


@dataclass(frozen=True, eq=False)
class Keys:
    """What is compared of variants: place (negative where there is none) and codes of alleles, each shape (variant,).

    `low` and `high` are the pair of alleles whichever way round it is.
    """

    place: npt.NDArray[np.int64]
    ref: npt.NDArray[np.int32]
    alt: npt.NDArray[np.int32]
    low: npt.NDArray[np.int32]
    high: npt.NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Side:
    """Variants of a file or a panel, and codes of their alleles that both have in common.

    What is compared of them is made for some at a time: of all it would take as much memory as the variants do.
    """

    variants: Panel
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.variants)

    def places(self, part: slice) -> npt.NDArray[np.int64]:
        """Places of some of the variants."""
        chromosome, position = self.variants.chromosome[part], self.variants.position[part]
        placed = (chromosome != UNPLACED) & (position > 0)
        return np.where(placed, (chromosome.astype(np.int64) << 32) | position, -1)

    def alleles(self, part: slice | Indices) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Codes of REF and ALT of some of the variants."""
        return self.codes[self.variants.ref[part]], self.codes[self.variants.alt[part]]

    def keys(self, part: slice) -> Keys:
        """What is compared of some of the variants."""
        ref, alt = self.alleles(part)
        return Keys(self.places(part), ref, alt, np.minimum(ref, alt), np.maximum(ref, alt))


def _slices(length: int) -> Iterator[slice]:
    for first in range(0, length, _SLICE):
        yield slice(first, first + _SLICE)


def _one_a_place(wanted: Side, offered: Side) -> Availability | None:
    """The matches where no two rows of the file have one place; None where some have, or the panel has odd alleles."""
    order, places = _in_order(offered)
    if not len(places) or (places[1:] == places[:-1]).any():
        return None
    status, rows = np.empty(len(wanted), np.uint8), np.empty(len(wanted), np.int32)
    for part in _slices(len(wanted)):
        keys = wanted.keys(part)
        if (keys.low == keys.high).any():
            return None
        status[part], rows[part] = _found_at(keys, offered, order, places)
    return Availability(status, rows, 0)


def _in_order(offered: Side) -> tuple[Indices | None, npt.NDArray[np.int64]]:
    """Rows of a file that have a place, in the order of their places, and these; None for all rows as they stand."""
    places = np.concatenate([np.zeros(0, np.int64), *(offered.places(part) for part in _slices(len(offered)))])
    if not len(places) or (places[0] >= 0 and (places[1:] >= places[:-1]).all()):
        return None, places
    placed = np.flatnonzero(places >= 0)
    order = placed[np.argsort(places[placed], kind="stable")]
    return order, places[order]


def _found_at(
    wanted: Keys, offered: Side, order: Indices | None, places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Status and row of some variants, given the rows of the file in the order of their places, and these places."""
    at = np.minimum(np.searchsorted(places, wanted.place), len(places) - 1)
    row = at if order is None else order[at]
    same_place = places[at] == wanted.place
    a2, a1 = offered.alleles(row)
    low, high = np.minimum(a1, a2), np.maximum(a1, a2)
    same = (wanted.low == low) & (wanted.high == high)
    # One unseen allele (its code -1 is `low`) stands for whatever the panel has beside the other.
    known, a1_known = np.where(low == -1, high, -1), a1 >= 0
    is_alt, is_ref = (known >= 0) & (known == wanted.alt), (known >= 0) & (known == wanted.ref)
    swap = np.where(same, wanted.alt != a1, np.where(is_alt, ~a1_known, a1_known))
    found = same_place & (same | is_alt | is_ref)
    status = np.where(found, np.where(swap, SWAPPED, PRESENT), np.where(same_place, ALLELES_DIFFER, ABSENT))
    return status.astype(np.uint8), np.where(found, row, -1).astype(np.int32)
