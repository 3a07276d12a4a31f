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
    shape = {
        "tables": {table: list(columns) for table, columns in rows.tables.items()},
        "filtered": {name: int(count) for name, count in rows.filtered.items()},
    }
    arrays: dict[str, Any] = {_SHAPE: np.frombuffer(json.dumps(shape).encode(), np.uint8)}  # Any: savez takes keywords
    for t, columns in enumerate(rows.tables.values()):
        for c, (name, column) in enumerate(columns.items()):
            arrays[f"{t}.{c}"] = _plain(name, np.asarray(column))
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


def rows_from_bytes(body: bytes) -> Rows:
    """The rows that bytes hold."""
    with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
        shape = json.loads(arrays[_SHAPE].tobytes())
        tables = {
            table: {name: arrays[f"{t}.{c}"] for c, name in enumerate(columns)}
            for t, (table, columns) in enumerate(shape["tables"].items())
        }
    return Rows(tables, shape["filtered"])


def _plain(name: str, column: np.ndarray) -> np.ndarray:
    if column.dtype != object:
        return column
    if all(isinstance(value, str) for value in column.ravel()):
        return column.astype(np.str_)
    raise Failed(f"column {name!r} of a result holds objects, which cannot be kept", code="BAD_TYPE")
