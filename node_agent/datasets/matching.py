"""Which row of a genotype file is which variant of the panel, by chromosome, position and the pair of alleles.

Identifiers never match variants; they only settle which of several rows with equal position and alleles is meant.
Strands are not turned: A/G in the panel and T/C in the file are other alleles, for A/T and C/G could not be told apart.
An allele that the file writes as 0 is one that nobody in the file has, as PLINK 1 writes it;
it stands for whatever the panel has beside the other allele.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from fedstats.arrays import Bools
from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED, UNPLACED, Panel

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
    offered = offered.filter(pl.col("place") >= 0)
    pairs = wanted.join(offered, on=["place", "low", "high"], how="inner", suffix="_file")
    found = pairs.select("row", "row_file", swap=pl.col("alt") != pl.col("alt_file"))
    found = pl.concat([found, _with_unseen(wanted, offered, found)])
    best, ambiguous = _settled(found, file, panel)
    return _availability(wanted, offered, best, ambiguous)


def _common_codes(file: Panel, panel: Panel) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Codes of the distinct alleles of both that are equal where alleles are, -1 for unseen ones; case is ignored."""
    codes: dict[str, int] = {}

    def of(alleles: tuple[str, ...]) -> npt.NDArray[np.int32]:
        upper = (allele.upper() for allele in alleles)
        return np.array([-1 if a in UNSEEN else codes.setdefault(a, len(codes)) for a in upper], np.int32)

    return of(file.alleles), of(panel.alleles)


def _keys(variants: Panel, codes: npt.NDArray[np.int32]) -> pl.DataFrame:
    """What is compared: place (negative where there is none) and the unordered pair of alleles."""
    ref, alt = codes[variants.ref], codes[variants.alt]
    placed = (variants.chromosome != UNPLACED) & (variants.position > 0)
    place = np.where(placed, (variants.chromosome.astype(np.int64) << 32) | variants.position, -1)
    low, high = np.minimum(ref, alt), np.maximum(ref, alt)
    row = np.arange(len(variants), dtype=np.int32)
    return pl.DataFrame({"row": row, "place": place, "low": low, "high": high, "alt": alt})


def _with_unseen(wanted: pl.DataFrame, offered: pl.DataFrame, found: pl.DataFrame) -> pl.DataFrame:
    """Matches of file rows with one unseen allele (its code -1 is `low`) to panel variants not found before."""
    partial = offered.filter((pl.col("low") == -1) & (pl.col("high") >= 0))
    if partial.is_empty():
        return found.clear()
    open_ones = wanted.join(found, on="row", how="anti")
    other = pl.when(pl.col("alt") == pl.col("low")).then(pl.col("high")).otherwise(pl.col("low"))
    open_ones = open_ones.with_columns(ref=other)
    matched = [
        open_ones.join(partial, left_on=["place", side], right_on=["place", "high"], how="inner", suffix="_file")
        # The allele the file knows is its A1 where that is not the unseen one.
        .select("row", "row_file", swap=(pl.col("alt_file") >= 0) != pl.lit(side == "alt"))
        for side in ("alt", "ref")
    ]
    return pl.concat(matched)


def _settled(found: pl.DataFrame, file: Panel, panel: Panel) -> tuple[pl.DataFrame, int]:
    """One file row for each panel variant: the one with its identifier, else the first; and how often that guessed."""
    several = found.filter(pl.col("row").is_duplicated())
    if several.is_empty():
        return found, 0
    ids = pl.Series(pl.from_arrow(panel.ids.take(several["row"].to_arrow())))
    file_ids = pl.Series(pl.from_arrow(file.ids.take(several["row_file"].to_arrow())))
    several = several.with_columns(other_id=ids != file_ids)
    best = several.sort("row", "other_id", "row_file").unique("row", keep="first", maintain_order=True)
    by_id = several.group_by("row").agg(same=(~pl.col("other_id")).sum())
    single = found.filter(~pl.col("row").is_duplicated())
    return pl.concat([single, best.drop("other_id")]), int((by_id["same"] != 1).sum())


def _availability(wanted: pl.DataFrame, offered: pl.DataFrame, best: pl.DataFrame, ambiguous: int) -> Availability:
    status = np.full(len(wanted), ABSENT, np.uint8)
    rows = np.full(len(wanted), -1, np.int32)
    same_place = wanted.join(offered, on="place", how="semi")["row"].to_numpy()
    status[same_place] = ALLELES_DIFFER
    at = best["row"].to_numpy()
    status[at] = np.where(best["swap"].to_numpy(), SWAPPED, PRESENT)
    rows[at] = best["row_file"].to_numpy()
    return Availability(status, rows, ambiguous)
