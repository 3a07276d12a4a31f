"""Matching where rows of a file share a place: several alternate alleles, or one variant written twice."""

import numpy as np
import polars as pl
import pyarrow as pa

from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED
from node_agent.datasets.matching import Availability, Candidates, Keys


def joined(wanted: Candidates, offered: Candidates) -> Availability:
    """What some rows of a file, by their number among them, have of some variants of a panel: by place and alleles."""
    of_panel, of_file = _frame(wanted.keys), _frame(offered.keys).filter(pl.col("place") >= 0)
    pairs = of_panel.join(of_file, on=["place", "low", "high"], how="inner", suffix="_file")
    found = pairs.select("row", "row_file", swap=pl.col("alt") != pl.col("alt_file"))
    found = pl.concat([found, _with_unseen(of_panel, of_file, found)])
    best, ambiguous = _settled(found, wanted.ids, offered.ids)
    return _availability(of_panel, of_file, best, ambiguous)


def _frame(keys: Keys) -> pl.DataFrame:
    row = np.arange(len(keys.place), dtype=np.int32)
    return pl.DataFrame({"row": row, "place": keys.place, "low": keys.low, "high": keys.high, "alt": keys.alt})


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


def _settled(
    found: pl.DataFrame, wanted: pa.LargeStringArray, offered: pa.LargeStringArray
) -> tuple[pl.DataFrame, int]:
    """One file row for each panel variant: the one with its identifier, else the first; and how often that guessed."""
    several = found.filter(pl.col("row").is_duplicated())
    if several.is_empty():
        return found, 0
    ids = pl.Series(pl.from_arrow(wanted.take(several["row"].to_arrow())))
    file_ids = pl.Series(pl.from_arrow(offered.take(several["row_file"].to_arrow())))
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
