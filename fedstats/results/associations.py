"""The result of one trait: a row per variant, what it says as a whole, and where it came from."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from fedstats.results.columns import PANEL_COLUMNS, Columns, Kind, Values
from fedstats.results.summary import Summary, SummaryBuilder

if TYPE_CHECKING:
    import pandas
    import polars
    from matplotlib.figure import Figure

TraitKind = Literal["quantitative", "binary"]

COLUMNS: Columns = {
    **PANEL_COLUMNS,
    "A1": Kind.LEVELS,
    "A1_FREQ": Kind.REAL,
    "A1_CT": Kind.COUNT,
    "OBS_CT": Kind.COUNT,
    "MISSING_CT": Kind.COUNT,
    "MISSING": Kind.LEVELS,
    "BETA": Kind.REAL,
    "SE": Kind.REAL,
    "STAT": Kind.REAL,
    "LOG10P": Kind.REAL,
    "P": Kind.REAL,
    "TEST": Kind.LEVELS,
    "STATUS": Kind.LEVELS,
    "NODES": Kind.COUNT,
}
BINARY_COLUMNS: Columns = {
    "CASE_CT": Kind.COUNT,
    "CTRL_CT": Kind.COUNT,
    "CASE_FREQ": Kind.REAL,
    "CTRL_FREQ": Kind.REAL,
}
#: Of tables from noised totals: the part of SE that the noise has, as a standard deviation.
NOISE_COLUMNS: Columns = {"NOISE_SD": Kind.REAL}
#: Rows of a table that are summarised at a time.
_SUMMARY_ROWS = 1 << 18


def columns_of(kind: TraitKind, *, noised: bool = False) -> Columns:
    """Names and kinds of the columns of a trait of this kind, in the order of the file."""
    columns = {**COLUMNS, **BINARY_COLUMNS} if kind == "binary" else COLUMNS
    return {**columns, **NOISE_COLUMNS} if noised else columns


@dataclass(frozen=True, eq=False, repr=False)
class Associations:
    """Associations of one trait with every variant of the panel that was not filtered out.

    ``result["BETA"]`` is a column as a numpy array: NaN stands for a value that could not be estimated (STATUS says
    why), −1 for a count that is withheld.
    """

    trait: str
    kind: TraitKind
    table: pa.Table
    provenance: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON as the run's file has it

    @classmethod
    def from_rows(
        cls,
        trait: str,
        kind: TraitKind,
        panel: Mapping[str, Values],
        rows: Iterable[Mapping[str, Values]],
        provenance: Mapping[str, Any] | None = None,
    ) -> "Associations":
        """The result that chunks of rows, in the order of the panel, add up to."""
        from fedstats.results.association_writer import RowAssembler
        from fedstats.results.shared_rows import SharedRows

        assembler = RowAssembler(kind, SharedRows(panel))
        tables = [assembler.rows(chunk) for chunk in rows]
        table = pa.concat_tables([*tables, assembler.nothing()]).unify_dictionaries().combine_chunks()
        return cls(trait=trait, kind=kind, table=table, provenance=dict(provenance or {}))

    @classmethod
    def read(cls, path: str | Path | pa.NativeFile, provenance: Mapping[str, Any] | None = None) -> "Associations":
        """The result in a Parquet file that a run wrote."""
        levels = [name for name, kind in columns_of("binary").items() if kind is Kind.LEVELS]
        with pq.ParquetFile(path, read_dictionary=levels) as file:
            table = file.read()
        about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        kind: TraitKind = "binary" if about.get("fedstats.kind") == "binary" else "quantitative"
        trait = about["fedstats.trait"] if "fedstats.trait" in about else Path(path).stem
        return cls(trait=trait, kind=kind, table=table.unify_dictionaries(), provenance=dict(provenance or {}))

    @property
    def noised(self) -> bool:
        """Whether the totals behind it carried noise."""
        return "NOISE_SD" in self.table.column_names

    def __len__(self) -> int:
        """Number of variants."""
        return int(self.table.num_rows)

    def __getitem__(self, column: str) -> npt.NDArray[Any]:
        """A column as a numpy array, shape (variant,)."""
        kind = columns_of(self.kind, noised=self.noised)[column]
        values = self.table[column]
        if kind is Kind.COUNT:
            counts: npt.NDArray[np.int64] = values.fill_null(-1).to_numpy()
            return counts
        if kind is Kind.REAL:
            reals: npt.NDArray[np.float64] = values.to_numpy()
            return reals
        texts: npt.NDArray[np.object_] = values.cast(pa.string()).fill_null("").to_numpy()
        return texts

    @cached_property
    def summary(self) -> Summary:
        """Counts, lambda GC, thinned points of the plots and top loci."""
        builder = SummaryBuilder()
        for start in range(0, len(self), _SUMMARY_ROWS):
            builder.add(self.table.slice(start, _SUMMARY_ROWS))
        return builder.finish()

    @property
    def lambda_gc(self) -> float:
        """Genomic inflation: median chi-square over its expectation, rows OK with minor allele count of at least 20."""
        return self.summary.lambda_gc

    @property
    def lambda_1000(self) -> float:
        """`lambda_gc` scaled to 1,000 cases and 1,000 controls; NaN for a quantitative trait."""
        return self.summary.lambda_1000

    @property
    def effective_n(self) -> float:
        """People, or for a binary trait 4 / (1/cases + 1/controls)."""
        return self.summary.effective_n

    def top(self, count: int = 20) -> "polars.DataFrame":
        """The `count` rows of smallest P, best first; every variant counts, for independent loci see `summary.top`."""
        log10p = self["LOG10P"]
        present = np.flatnonzero(~np.isnan(log10p))
        best = present[np.argsort(-log10p[present], kind="stable")[:count]]
        return _polars(self.table.take(pa.array(best)))

    def to_arrow(self) -> pa.Table:
        """The table with plain columns; missing values are null."""
        return _plain(self.table)

    def to_polars(self) -> "polars.DataFrame":
        """The table as a polars data frame; missing values are null."""
        return _polars(self.table)

    def to_pandas(self) -> "pandas.DataFrame":
        """The table as a pandas data frame; needs the extra ``fedstats[pandas]``."""
        return self.table.to_pandas()

    def manhattan(self, path: str | Path | None = None) -> "Figure":
        """Manhattan plot; saved to `path` if given, in the format of its suffix."""
        from fedstats.results.plots import manhattan_figure, save

        return save(manhattan_figure(self.summary, self.trait), path)

    def qq(self, path: str | Path | None = None) -> "Figure":
        """Quantile-quantile plot of −log10 P; saved to `path` if given, in the format of its suffix."""
        from fedstats.results.plots import qq_figure, save

        return save(qq_figure(self.summary, self.trait), path)

    def __repr__(self) -> str:
        summary = self.summary
        people = f"{summary.people:,} people"
        if self.kind == "binary":
            people = f"{summary.cases:,} cases, {summary.controls:,} controls"
        best = "no variant could be tested"
        if summary.top:
            locus = summary.top[0]
            best = f"top hit {locus.name} ({locus.chromosome}:{locus.position:,}), P = {locus.p_text}"
        return (
            f"<Associations of {self.trait} ({self.kind}, {people}): {len(self):,} variants, {summary.ok_rows:,} OK, "
            f"lambda GC {summary.lambda_gc:.4g}; {best}>"
        )


def metadata(trait: str, kind: TraitKind) -> dict[str, str]:
    """What a Parquet file says of itself; nothing that changes from run to run."""
    return {"fedstats.trait": trait, "fedstats.kind": kind}


def provenance_text(associations: Associations) -> str:
    """The provenance as indented JSON."""
    return json.dumps(associations.provenance, indent=2, sort_keys=True)


def _plain(table: pa.Table) -> pa.Table:
    """Columns of codes as text."""
    for index, column in enumerate(table.columns):
        if pa.types.is_dictionary(column.type):
            table = table.set_column(index, table.column_names[index], column.cast(pa.string()))
    return table


def _polars(table: pa.Table) -> "polars.DataFrame":
    import polars

    frame = polars.from_arrow(table)
    if not isinstance(frame, polars.DataFrame):
        raise TypeError("polars made no data frame of a table")
    return frame
