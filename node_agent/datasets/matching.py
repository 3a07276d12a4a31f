"""Which row of a genotype file is which variant of the panel, by chromosome, position and the pair of alleles.

Identifiers never match variants; they only settle which of several rows with equal position and alleles is meant.
Strands are not turned: A/G in the panel and T/C in the file are other alleles, for A/T and C/G could not be told apart.
An allele that the file writes as 0 is one that nobody in the file has, as PLINK 1 writes it;
it stands for whatever the panel has beside the other allele.
"""

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
    file_codes, panel_codes = _common_codes(file, panel)
    wanted, offered = _keys(panel, panel_codes), _keys(file, file_codes)
    found = _one_a_place(wanted, offered)
    if found is not None:
        return found
    from node_agent.datasets.joins import joined  # where it is needed: it takes a quarter of a second to load

    return joined(wanted, offered, file, panel)


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

    def part(self, part: slice) -> "Keys":
        """The keys of some of the variants."""
        return Keys(self.place[part], self.ref[part], self.alt[part], self.low[part], self.high[part])


def _keys(variants: Panel, codes: npt.NDArray[np.int32]) -> Keys:
    ref, alt = codes[variants.ref], codes[variants.alt]
    placed = (variants.chromosome != UNPLACED) & (variants.position > 0)
    place = np.where(placed, (variants.chromosome.astype(np.int64) << 32) | variants.position, -1)
    return Keys(place, ref, alt, np.minimum(ref, alt), np.maximum(ref, alt))


def _one_a_place(wanted: Keys, offered: Keys) -> Availability | None:
    """The matches where no two rows of the file have one place; None where some have, or the panel has odd alleles."""
    placed = np.flatnonzero(offered.place >= 0)
    order = placed[np.argsort(offered.place[placed], kind="stable")]
    places = offered.place[order]
    if not len(order) or (places[1:] == places[:-1]).any() or (wanted.low == wanted.high).any():
        return None
    status, rows = np.empty(len(wanted.place), np.uint8), np.empty(len(wanted.place), np.int32)
    for first in range(0, len(rows), _SLICE):
        part = slice(first, first + _SLICE)
        status[part], rows[part] = _found_at(wanted.part(part), offered, order, places)
    return Availability(status, rows, 0)


def _found_at(
    wanted: Keys, offered: Keys, order: Indices, places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """Status and row of some variants, given the rows of the file in the order of their places, and these places."""
    at = np.minimum(np.searchsorted(places, wanted.place), len(order) - 1)
    row = order[at]
    same_place = places[at] == wanted.place
    same = (wanted.low == offered.low[row]) & (wanted.high == offered.high[row])
    # One unseen allele (its code -1 is `low`) stands for whatever the panel has beside the other.
    known, a1_known = np.where(offered.low[row] == -1, offered.high[row], -1), offered.alt[row] >= 0
    is_alt, is_ref = (known >= 0) & (known == wanted.alt), (known >= 0) & (known == wanted.ref)
    swap = np.where(same, wanted.alt != offered.alt[row], np.where(is_alt, ~a1_known, a1_known))
    found = same_place & (same | is_alt | is_ref)
    status = np.where(found, np.where(swap, SWAPPED, PRESENT), np.where(same_place, ALLELES_DIFFER, ABSENT))
    return status.astype(np.uint8), np.where(found, row, -1).astype(np.int32)
