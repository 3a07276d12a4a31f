"""What the rows of several traits have in common: columns and text that are made once for all traits of a model.

The traits of a model have the same variants, frequencies and counts; an analysis gives them as the very same arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.results import lines
from fedstats.results.columns import PANEL_COLUMNS, Columns, Kind, Values, chosen, table
from fedstats.results.shared_facts import SharedFacts
from fedstats.results.table_writers import Piece, joined

#: Columns that do not depend on the trait; in a file, all but the last stand together at its beginning.
SHARED_COLUMNS: Columns = {
    **PANEL_COLUMNS,
    "A1": Kind.LEVELS,
    "A1_FREQ": Kind.REAL,
    "A1_CT": Kind.COUNT,
    "OBS_CT": Kind.COUNT,
    "MISSING_CT": Kind.COUNT,
    "MISSING": Kind.LEVELS,
    "NODES": Kind.COUNT,
}

Place = slice | npt.NDArray[np.int64]
_Key = tuple[Any, ...]  # Any: numbers that identify objects


@dataclass(frozen=True, eq=False)
class SharedBatch:
    """Shared columns of a batch, and their text."""

    table: pa.Table

    @cached_property
    def text_before(self) -> pa.StringArray:
        """The cells before those of the trait, with tabs between them."""
        return lines.joined(lines.cells_of(self.table.drop_columns("NODES")))

    @cached_property
    def nodes(self) -> pa.DictionaryArray:
        """The numbers of nodes as text in codes."""
        return lines.text(self.table["NODES"]).dictionary_encode()

    @cached_property
    def facts(self) -> SharedFacts:
        """What summaries take from the shared columns."""
        return SharedFacts(self.table)


class SharedRows:
    """Makes shared columns of chunks and batches, and remembers the last of each: traits come one after another."""

    def __init__(self, panel: Mapping[str, Values], names: Mapping[str, Sequence[str]] | None = None) -> None:
        """Rows of this panel; `names` stand behind the codes of columns that come as codes."""
        self._panel = {name: panel[name] for name in PANEL_COLUMNS}
        self._names = {column: pa.array(texts, pa.string()) for column, texts in (names or {}).items()}
        self._chunk: tuple[_Key, object, pa.Table] | None = None
        self._batch: tuple[_Key, object, SharedBatch] | None = None
        self._ascending: npt.NDArray[np.int64] | None = None

    def __len__(self) -> int:
        """Variants of the panel."""
        return len(self._panel["POS"])

    def is_ascending(self, variants: npt.NDArray[np.int64]) -> bool:
        """Whether these variants are in the order of the panel, each once."""
        if self._ascending is not variants and bool(np.all(np.diff(variants) > 0)):
            self._ascending = variants
        return self._ascending is variants

    def chunk(self, results: Mapping[str, Values], place: Place, count: int) -> pa.Table:
        """Shared columns of a chunk of `count` rows, which are at `place` in the panel; A1 is ALT unless given."""
        given = {name: results[name] for name in SHARED_COLUMNS if name in results}
        at = (place.start, place.stop) if isinstance(place, slice) else (id(place),)
        key = (*at, count, *((name, id(values)) for name, values in given.items()))
        if self._chunk is None or self._chunk[0] != key:
            panel = {name: chosen(column, place) for name, column in self._panel.items()}
            values = {**panel, "A1": panel["ALT"], **self.spelt_out(given)}
            made = table(SHARED_COLUMNS, values, count, coded=True)
            # What is identified by its place in memory must stay there.
            self._chunk = (key, (place, given), made)
        return self._chunk[2]

    def spelt_out(self, results: Mapping[str, Values]) -> dict[str, Values]:
        """The same columns, with names behind codes."""
        return {
            name: pa.DictionaryArray.from_arrays(values, self._names[name]) if name in self._names else values
            for name, values in results.items()
        }

    def batch(self, pieces: Sequence[Piece[pa.Table]]) -> SharedBatch:
        """Shared columns of a batch."""
        key = tuple((id(piece.rows), piece.start, piece.stop) for piece in pieces)
        if self._batch is None or self._batch[0] != key:
            self._batch = (key, list(pieces), SharedBatch(with_plain_levels(joined(pieces))))
        return self._batch[2]


def with_plain_levels(rows: pa.Table) -> pa.Table:
    """The same table with levels in order and none that does not occur: what is written does not depend on chunks."""
    for index, column in enumerate(rows.columns):
        if pa.types.is_dictionary(column.type):
            rows = rows.set_column(index, rows.schema.field(index), _plain(column.combine_chunks()))
    return rows


def _plain(column: pa.DictionaryArray) -> pa.DictionaryArray:
    codes = column.indices.fill_null(len(column.dictionary)).to_numpy(zero_copy_only=False)
    occurring = np.flatnonzero(np.bincount(codes, minlength=len(column.dictionary) + 1)[:-1])
    names = column.dictionary.take(pa.array(occurring))
    order = pc.sort_indices(names).to_numpy()
    new = np.full(len(column.dictionary) + 1, -1, np.int32)
    new[occurring[order]] = np.arange(len(order), dtype=np.int32)
    indices = new[codes]
    mask = indices < 0 if column.null_count else None
    return pa.DictionaryArray.from_arrays(pa.array(indices, mask=mask), names.take(pa.array(order)))
