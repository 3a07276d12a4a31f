"""Which row of a genotype file is which variant of the panel, by chromosome, position and the pair of alleles.

Identifiers never match variants; they only settle which of several rows with equal position and alleles is meant.
Strands are not turned: A/G in the panel and T/C in the file are other alleles, for A/T and C/G could not be told apart.
An allele that the file writes as 0 is one that nobody in the file has, as PLINK 1 writes it;
it stands for whatever the panel has beside the other allele.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.arrays import Bools, Indices
from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED, UNPLACED, Panel
from fedstats.scratch import Scratch, elements_where, indices_where, slices

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

    def present_at(self, variants: Indices) -> Bools:
        """Whether the file has some variants of the panel, either way round, shape (variant,)."""
        status = self.status[variants]
        return np.asarray((status == PRESENT) | (status == SWAPPED))

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
    file_codes, panel_codes = _common_codes(file, panel)
    wanted, offered = Side(panel, panel_codes), _by_place(Side(file, file_codes))
    status, rows, ambiguous = Scratch(np.uint8), Scratch(np.int32), 0
    for part in slices(len(wanted)):
        stretch = np.arange(*part.indices(len(wanted)))
        found = _matched(wanted, stretch, offered)
        status.append(found.status)
        rows.append(found.rows)
        ambiguous += found.ambiguous
    return Availability(status.array(), rows.array(), ambiguous)


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
class Candidates:
    """Variants that cannot be told apart by their places: what is compared of them, and their identifiers."""

    keys: Keys
    ids: pa.LargeStringArray


@dataclass(frozen=True, eq=False)
class Side:
    """Variants of a file or a panel, and codes of their alleles that both have in common.

    What is compared of them is made for some at a time: of all it would take as much memory as the variants do.
    """

    variants: Panel
    codes: npt.NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.variants)

    def places(self, rows: slice | Indices) -> npt.NDArray[np.int64]:
        """Places of some of the variants."""
        chromosome, position = self.variants.chromosome[rows], self.variants.position[rows]
        placed = (chromosome != UNPLACED) & (position > 0)
        return np.where(placed, (chromosome.astype(np.int64) << 32) | position, -1)

    def alleles(self, rows: Indices) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
        """Codes of REF and ALT of some of the variants."""
        return self.codes[self.variants.ref[rows]], self.codes[self.variants.alt[rows]]

    def keys(self, rows: Indices) -> Keys:
        """What is compared of some of the variants."""
        ref, alt = self.alleles(rows)
        return Keys(self.places(rows), ref, alt, np.minimum(ref, alt), np.maximum(ref, alt))

    def candidates(self, rows: Indices) -> Candidates:
        """The same, with identifiers."""
        return Candidates(self.keys(rows), self.variants.ids.take(pa.array(rows)))


@dataclass(frozen=True, eq=False)
class ByPlace:
    """Rows of a file that have a place, in the order of their places; `order` is None for all rows as they stand."""

    side: Side
    order: Indices | None
    places: npt.NDArray[np.int64]

    def rows(self, at: Indices) -> Indices:
        """Numbers of rows in the file."""
        return at if self.order is None else self.order[at]

    def rows_at(self, places: npt.NDArray[np.int64]) -> Indices:
        """Numbers of all rows that have one of these places; those of one place increase."""
        sought = np.unique(places)
        first, last = np.searchsorted(self.places, sought), np.searchsorted(self.places, sought, "right")
        ends = np.cumsum(last - first)
        skipped = np.repeat(last - ends, last - first)
        return self.rows(skipped + np.arange(len(skipped)))


def _by_place(side: Side) -> ByPlace:
    every = Scratch(np.int64)
    for part in slices(len(side)):
        every.append(side.places(part))
    places = every.array()
    if _are_placed(places) and _ascend(places):
        return ByPlace(side, None, places)
    placed = places >= 0
    rows, places = indices_where(placed), elements_where(placed, places)
    if not _ascend(places):
        order = np.argsort(places, kind="stable")
        rows, places = rows[order], places[order]
    return ByPlace(side, rows, places)


def _are_placed(places: npt.NDArray[np.int64]) -> bool:
    return all((places[part] >= 0).all() for part in slices(len(places)))


def _ascend(places: npt.NDArray[np.int64]) -> bool:
    return all((np.diff(places[part.start : part.stop + 1]) >= 0).all() for part in slices(len(places)))


def _matched(wanted: Side, stretch: Indices, offered: ByPlace) -> Availability:
    """What a file has of a stretch of a panel."""
    keys = wanted.keys(stretch)
    status, rows, several = _found_at(keys, offered)
    if not several.any():
        return Availability(status, rows, 0)
    from node_agent.datasets.joins import joined  # where it is needed: it takes a quarter of a second to load

    file_rows = offered.rows_at(keys.place[several])
    found = joined(wanted.candidates(stretch[several]), offered.side.candidates(file_rows))
    status[several] = found.status
    rows[several] = np.where(found.rows < 0, -1, file_rows[found.rows])
    return Availability(status, rows, found.ambiguous)


def _found_at(wanted: Keys, offered: ByPlace) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32], Bools]:
    """Status and row of some variants, and for which of them these do not hold.

    They hold where one row of the file has the place of a variant of two different alleles.
    """
    places = offered.places
    if not len(places):
        none = np.zeros(len(wanted.place), np.bool_)
        return np.full(len(none), ABSENT, np.uint8), np.full(len(none), -1, np.int32), none
    at = np.minimum(np.searchsorted(places, wanted.place), len(places) - 1)
    row = offered.rows(at)
    same_place = places[at] == wanted.place
    last = np.searchsorted(places, wanted.place, "right") - 1
    several = same_place & ((last > at) | (wanted.low == wanted.high))
    a2, a1 = offered.side.alleles(row)
    low, high = np.minimum(a1, a2), np.maximum(a1, a2)
    same = (wanted.low == low) & (wanted.high == high)
    # One unseen allele (its code -1 is `low`) stands for whatever the panel has beside the other.
    known, a1_known = np.where(low == -1, high, -1), a1 >= 0
    is_alt, is_ref = (known >= 0) & (known == wanted.alt), (known >= 0) & (known == wanted.ref)
    swap = np.where(same, wanted.alt != a1, np.where(is_alt, ~a1_known, a1_known))
    found = same_place & (same | is_alt | is_ref)
    status = np.where(found, np.where(swap, SWAPPED, PRESENT), np.where(same_place, ALLELES_DIFFER, ABSENT))
    return status.astype(np.uint8), np.where(found, row, -1).astype(np.int32), several
