"""Associations written as they are computed: OUT.<trait>.tsv.gz and OUT.<trait>.parquet, in constant memory."""

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.errors import Failed
from fedstats.results.associations import TraitKind, columns_of, metadata
from fedstats.results.columns import PANEL_COLUMNS, Kind, Values, chosen, schema, table
from fedstats.results.decimal_text import text_of_probabilities
from fedstats.results.files import OpenFile, abort_all, open_for_writing, publish_all
from fedstats.results.summary import Summary, SummaryBuilder
from fedstats.results.table_writers import ParquetTableWriter, Regrouper, TextTableWriter

_REPETITIVE = (Kind.LEVELS, Kind.COUNT)
Variants = npt.NDArray[np.int64]


class RowAssembler:
    """Joins chunks of results to the panel's columns, and sees that they come in its order."""

    def __init__(self, kind: TraitKind, panel: Mapping[str, Values]) -> None:
        self._columns = columns_of(kind)
        self._panel = {name: panel[name] for name in PANEL_COLUMNS}
        self._next = 0  # the first variant of the panel that may come next

    def rows(self, results: Mapping[str, Values], variants: Variants | None = None) -> pa.Table:
        """The full rows of a chunk, shape (row, column).

        Parameters
        ----------
        results
            Columns of the chunk without those of the panel; A1 is ALT unless given, P comes from LOG10P.
        variants
            Which variants of the panel the rows are, ascending; without it, the next ones.
        """
        count = len(results["LOG10P"])
        place = self._place(count, variants)
        values: dict[str, Values] = {name: chosen(column, place) for name, column in self._panel.items()}
        log10p = np.asarray(results["LOG10P"], np.float64)
        values |= {"A1": values["ALT"], "P": np.power(10.0, -log10p)}
        return table(self._columns, {**values, **results}, count)

    def nothing(self) -> pa.Table:
        """The table without rows."""
        return schema(self._columns).empty_table()

    def _place(self, count: int, variants: Variants | None) -> slice | Variants:
        if variants is None:
            place: slice | Variants = slice(self._next, self._next + count)
            first, last = self._next, self._next + count - 1
        else:
            place = variants = np.asarray(variants, np.int64)
            ascending = len(variants) == count and bool(np.all(np.diff(variants) > 0))
            if not ascending:
                raise Failed("a chunk of results is not in the order of the panel.", code="ROW_ORDER")
            first, last = (int(variants[0]), int(variants[-1])) if count else (self._next, self._next - 1)
        if first < self._next or last >= len(self._panel["POS"]):
            raise Failed(
                f"a chunk of results for variants {first} to {last} does not follow variant {self._next - 1} "
                f"of a panel of {len(self._panel['POS'])}.",
                code="ROW_ORDER",
            )
        self._next = last + 1
        return place


class AssociationWriter:
    """Writes the result of one trait; both files appear together when it is closed, or neither does.

    Memory does not depend on the number of variants, and the bytes do not depend on how rows were chunked.
    As a context manager it closes at the end of the block and aborts on an error.
    """

    def __init__(
        self,
        prefix: str | Path,
        trait: str,
        kind: TraitKind,
        panel: Mapping[str, Values],
        *,
        open_file: OpenFile = open_for_writing,
    ) -> None:
        columns = columns_of(kind)
        self.trait, self.kind = trait, kind
        self.text_path = Path(f"{prefix}.{trait}.tsv.gz")
        self.parquet_path = Path(f"{prefix}.{trait}.parquet")
        self._assembler = RowAssembler(kind, panel)
        self._regrouper = Regrouper()
        self._builder = SummaryBuilder()
        self._summary: Summary | None = None
        self._text = TextTableWriter(self.text_path, list(columns), open_file=open_file)
        try:
            self._parquet = ParquetTableWriter(
                self.parquet_path,
                schema(columns, metadata(trait, kind)),
                repetitive=[name for name, held in columns.items() if held in _REPETITIVE and name != "POS"],
                open_file=open_file,
            )
        except BaseException:
            self._text.abort()
            raise

    def append(self, results: Mapping[str, Values], variants: Variants | None = None) -> None:
        """Add rows that follow the last ones in the order of the panel; see `RowAssembler.rows`."""
        for batch in self._regrouper.add(self._assembler.rows(results, variants)):
            self._write(batch)

    def close(self) -> Summary:
        """Write what is left, give both files their names, and return the summary of all rows.

        Closing again only gives the summary again.
        """
        if self._summary is not None:
            return self._summary
        try:
            for batch in self._regrouper.rest():
                self._write(batch)
        except BaseException:
            self.abort()
            raise
        publish_all([self._text, self._parquet])
        self._summary = self._builder.finish()
        return self._summary

    def abort(self) -> None:
        """Leave nothing behind; files of an earlier run, or of this one once it is closed, stay as they are."""
        if self._summary is None:
            abort_all([self._text, self._parquet])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def _write(self, batch: pa.Table) -> None:
        log10p = batch["LOG10P"].to_numpy()
        printed = batch.set_column(batch.schema.get_field_index("P"), "P", text_of_probabilities(log10p))
        self._text.write(printed)
        self._parquet.write(batch)
        self._builder.add(batch)
