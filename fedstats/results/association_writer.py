"""Associations written as they are computed: OUT.<trait>.tsv.gz and OUT.<trait>.parquet, in constant memory."""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.errors import Failed
from fedstats.results.association_lines import association_lines
from fedstats.results.associations import TraitKind, columns_of, metadata
from fedstats.results.columns import Columns, Kind, Values, schema, table
from fedstats.results.files import OpenFile, abort_all, open_for_writing, publish_all
from fedstats.results.shared_rows import SHARED_COLUMNS, SharedRows, with_plain_levels
from fedstats.results.summary import Summary, SummaryBuilder
from fedstats.results.table_writers import Cutter, ParquetTableWriter, Piece, TextTableWriter, joined

_REPETITIVE = (Kind.LEVELS, Kind.COUNT)
_RISING = ("POS", "A1_CT")
#: Doubles of which no two are alike.
_STORED = ("BETA", "SE", "STAT", "LOG10P", "P", *_RISING)
_SOUGHT = ("CHROM", "POS", "LOG10P", "P")
Variants = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Chunk:
    """Rows of a chunk: columns that all traits of the model share, and those of the trait."""

    shared: pa.Table
    own: pa.Table


class RowAssembler:
    """Joins chunks of results to the panel's columns, and sees that they come in its order."""

    def __init__(self, kind: TraitKind, shared: SharedRows, *, noised: bool = False) -> None:
        self._columns = columns_of(kind, noised=noised)
        self._own: Columns = {name: held for name, held in self._columns.items() if name not in SHARED_COLUMNS}
        self._shared = shared
        self._next = 0  # the first variant of the panel that may come next

    def chunk(self, results: Mapping[str, Values], variants: Variants | None = None) -> Chunk:
        """The rows of a chunk.

        Parameters
        ----------
        results
            Columns of the chunk without those of the panel; A1 is ALT unless given, P comes from LOG10P.
        variants
            Which variants of the panel the rows are, ascending; without it, the next ones.
        """
        count = len(results["LOG10P"])
        place = self._place(count, variants)
        log10p = np.asarray(results["LOG10P"], np.float64)
        own = {name: values for name, values in results.items() if name not in SHARED_COLUMNS}
        own = {"P": np.power(10.0, -log10p), **self._shared.spelt_out(own)}
        return Chunk(self._shared.chunk(results, place, count), table(self._own, own, count, coded=True))

    def rows(self, results: Mapping[str, Values], variants: Variants | None = None) -> pa.Table:
        """The full rows of a chunk, shape (row, column), levels as codes."""
        chunk = self.chunk(results, variants)
        return together(self._columns, chunk.shared, chunk.own)

    def nothing(self) -> pa.Table:
        """The table without rows."""
        return schema(self._columns, coded=True).empty_table()

    def _place(self, count: int, variants: Variants | None) -> slice | Variants:
        if variants is None:
            place: slice | Variants = slice(self._next, self._next + count)
            first, last = self._next, self._next + count - 1
        else:
            place = variants = np.asarray(variants, np.int64)
            if len(variants) != count or not self._shared.is_ascending(variants):
                raise Failed("a chunk of results is not in the order of the panel.", code="ROW_ORDER")
            first, last = (int(variants[0]), int(variants[-1])) if count else (self._next, self._next - 1)
        if first < self._next or last >= len(self._shared):
            raise Failed(
                f"a chunk of results for variants {first} to {last} does not follow variant {self._next - 1} "
                f"of a panel of {len(self._shared)}.",
                code="ROW_ORDER",
            )
        self._next = last + 1
        return place


def together(columns: Columns, shared: pa.Table, own: pa.Table) -> pa.Table:
    """Shared columns and those of the trait as one table, in the order of the file."""
    arrays = [(shared if name in SHARED_COLUMNS else own)[name] for name in columns]
    return pa.Table.from_arrays(arrays, schema=schema(columns, coded=True))


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
        shared: SharedRows,
        *,
        noised: bool = False,
        deflating: ThreadPoolExecutor | None = None,
        open_file: OpenFile = open_for_writing,
    ) -> None:
        self.trait, self.kind = trait, kind
        self.text_path = Path(f"{prefix}.{trait}.tsv.gz")
        self.parquet_path = Path(f"{prefix}.{trait}.parquet")
        self._columns, self._shared = columns_of(kind, noised=noised), shared
        self._assembler = RowAssembler(kind, shared, noised=noised)
        self._cutter: Cutter[Chunk] = Cutter()
        self._builder = SummaryBuilder()
        self._summary: Summary | None = None
        self._text = TextTableWriter(self.text_path, list(self._columns), deflating=deflating, open_file=open_file)
        try:
            self._parquet = ParquetTableWriter(
                self.parquet_path,
                schema(self._columns, metadata(trait, kind), coded=True),
                repetitive=[n for n, held in self._columns.items() if held in _REPETITIVE and n not in _RISING],
                rising=_RISING,
                stored=_STORED,
                sought=_SOUGHT,
                open_file=open_file,
            )
        except BaseException:
            self._text.abort()
            raise

    def append(self, results: Mapping[str, Values], variants: Variants | None = None) -> None:
        """Add rows that follow the last ones in the order of the panel; see `RowAssembler.chunk`."""
        chunk = self._assembler.chunk(results, variants)
        for pieces in self._cutter.add(chunk, chunk.own.num_rows):
            self._write(pieces)

    def close(self) -> Summary:
        """Write what is left, give both files their names, and return the summary of all rows.

        Closing again only gives the summary again.
        """
        if self._summary is not None:
            return self._summary
        try:
            for pieces in self._cutter.rest():
                self._write(pieces)
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

    def _write(self, pieces: Sequence[Piece[Chunk]]) -> None:
        shared = self._shared.batch([Piece(piece.rows.shared, piece.start, piece.stop) for piece in pieces])
        own = with_plain_levels(joined([Piece(piece.rows.own, piece.start, piece.stop) for piece in pieces]))
        batch = together(self._columns, shared.table, own)
        self._text.write_lines(association_lines(shared, own))
        self._parquet.write(batch)
        self._builder.add(batch, shared.facts)
