"""Rows of a finished chunk as bytes, and back: the same arrays with the same types, nothing executable."""

import io
import json
from typing import Any

import numpy as np

from fedstats.errors import Failed
from fedstats.rows import Rows

_SHAPE = "shape"


def rows_to_bytes(rows: Rows) -> bytes:
    """All columns in numpy's own format, behind a description of tables and counts of filtered variants."""
    arrays: dict[str, Any] = {}  # Any: savez takes keywords
    places: dict[int, str] = {}
    tables: dict[str, dict[str, str]] = {}
    for table, columns in rows.tables.items():
        tables[table] = {}
        for name, column in columns.items():
            # Traits of one model share columns: each array is kept once.
            place = places.setdefault(id(column), str(len(places)))
            tables[table][name] = place
            if place not in arrays:
                arrays[place] = _plain(name, np.asarray(column))
    shape = {"tables": tables, "filtered": {name: int(count) for name, count in rows.filtered.items()}}
    arrays[_SHAPE] = np.frombuffer(json.dumps(shape).encode(), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def rows_from_bytes(body: bytes) -> Rows:
    """The rows that bytes hold."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        shape = json.loads(arrays[_SHAPE].tobytes())
        columns = {place: arrays[place] for place in arrays.files if place != _SHAPE}
        tables = {
            table: {name: columns[place] for name, place in places.items()} for table, places in shape["tables"].items()
        }
    return Rows(tables, shape["filtered"])


def _plain(name: str, column: np.ndarray) -> np.ndarray:
    if column.dtype != object:
        return column
    if all(isinstance(value, str) for value in column.ravel()):
        return column.astype(np.str_)
    raise Failed(f"column {name!r} of a result holds objects, which cannot be kept", code="BAD_TYPE")
