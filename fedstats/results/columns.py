"""Columns of result tables: what the caller's arrays become, and what stands for missing.

Missing is NaN in a column of doubles, a negative number in a column of counts, and empty in a column of text;
in Arrow and Parquet all three are null, in text they are NA.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.errors import Failed

#: A column as callers give it: an array, an Arrow array, or one value for all rows.
Values = Any  # numpy arrays of text have no common static type


class Kind(Enum):
    """What a column holds."""

    TEXT = "text"
    LEVELS = "levels"  # text of few distinct values, kept as codes in memory
    COUNT = "count"
    REAL = "real"

    @property
    def arrow(self) -> pa.DataType:
        """Type of the column in a file."""
        return {Kind.COUNT: pa.int64(), Kind.REAL: pa.float64()}.get(self, pa.string())


#: Name and kind of every column, in the order of the file.
Columns = Mapping[str, Kind]

PANEL_COLUMNS: Columns = {
    "CHROM": Kind.LEVELS,
    "POS": Kind.COUNT,
    "ID": Kind.TEXT,
    "REF": Kind.LEVELS,
    "ALT": Kind.LEVELS,
}


#: A column of levels as codes.
CODED = pa.dictionary(pa.int32(), pa.string())


def schema(columns: Columns, metadata: Mapping[str, str] | None = None, *, coded: bool = False) -> pa.Schema:
    """Arrow schema of a table with these columns; with `coded`, levels are codes."""
    fields = [(name, CODED if coded and kind is Kind.LEVELS else kind.arrow) for name, kind in columns.items()]
    return pa.schema(fields, metadata=dict(metadata) if metadata else None)


def table(columns: Columns, values: Mapping[str, Values], rows: int, *, coded: bool = False) -> pa.Table:
    """The caller's arrays as a table with exactly these columns, shape (row, column).

    With `coded`, columns of levels are codes with their names, which takes less room and time.

    Raises
    ------
    Failed
        A column is missing, unknown, or not of `rows` rows.
    """
    missing, unknown = columns.keys() - values.keys(), values.keys() - columns.keys()
    if missing or unknown:
        raise Failed(
            f"a chunk of results lacks the columns {sorted(missing)} and has unknown columns {sorted(unknown)}.",
            code="COLUMNS",
        )
    arrays = [_arrow(name, kind, values[name], rows, coded=coded) for name, kind in columns.items()]
    return pa.Table.from_arrays(arrays, schema=schema(columns, coded=coded))


def chosen(values: Values, rows: slice | npt.NDArray[np.int64]) -> Values:
    """Some rows of an array or Arrow array."""
    if not isinstance(values, pa.Array | pa.ChunkedArray):
        return values[rows]
    if isinstance(rows, slice):
        return values.slice(rows.start, rows.stop - rows.start)
    return values.take(pa.array(rows))


def _arrow(name: str, kind: Kind, values: Values, rows: int, *, coded: bool) -> pa.Array:
    convert = {Kind.REAL: _reals, Kind.COUNT: _counts, Kind.LEVELS: _levels if coded else _texts}.get(kind, _texts)
    array = convert(pa.repeat(values, rows) if isinstance(values, str | int | float) else values)
    if len(array) != rows:
        raise Failed(f"a chunk of results has {rows} rows but column {name} has {len(array)}.", code="COLUMNS")
    return array


def _reals(values: Values) -> pa.Array:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        values = values.to_numpy(zero_copy_only=False)
    numbers = np.asarray(values, np.float64)
    absent = np.isnan(numbers)
    # Without a mask the column is the caller's array, not a copy.
    return pa.array(numbers, pa.float64(), mask=absent if absent.any() else None)


def _counts(values: Values) -> pa.Array:
    numbers = np.asarray(values)
    if numbers.dtype.kind == "f":
        absent = np.isnan(numbers)
        numbers = np.where(absent, -1, numbers)
    numbers = numbers.astype(np.int64)
    return pa.array(numbers, pa.int64(), mask=numbers < 0)


def _texts(values: Values) -> pa.Array:
    if isinstance(values, pa.ChunkedArray):
        values = values.combine_chunks()
    if isinstance(values, np.ndarray) and values.dtype.kind == "S":
        values = pa.array(values.astype(object), pa.binary())
    texts = (values if isinstance(values, pa.Array) else pa.array(values)).cast(pa.string())
    return pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)


def _levels(values: Values) -> pa.DictionaryArray:
    """Codes of texts; those that come as codes stay what they are."""
    if not isinstance(values, pa.DictionaryArray) or "" in values.dictionary.to_pylist():
        return _texts(values).dictionary_encode()
    return values.cast(CODED)
