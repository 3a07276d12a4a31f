"""Rows of a finished chunk as bytes, and back: the same arrays with the same types, nothing executable.

A head in JSON says what tables and arrays there are; the arrays stand behind it, one after the other.
"""

import json
from collections.abc import Iterator

import numpy as np

from fedstats.errors import Failed
from fedstats.rows import Filtered, Rows

#: What every such file begins with.
_MARK = b"fedstats rows 2\n"
_LENGTH_BYTES = 8  # of the head's length


def rows_to_parts(rows: Rows) -> list[bytes | memoryview]:
    """What rows are kept as, one part after the other; arrays are not copied, for they can be large."""
    arrays: list[np.ndarray] = []
    places: dict[int, int] = {}
    tables: dict[str, dict[str, int]] = {}
    for table, columns in rows.tables.items():
        tables[table] = {}
        for name, column in columns.items():
            # Traits of one model share columns: each array is kept once.
            place = places.setdefault(id(column), len(places))
            tables[table][name] = place
            if place == len(arrays):
                arrays.append(np.ascontiguousarray(_plain(name, np.asarray(column))))
    filtered = []
    for one in rows.filtered:
        filtered.append({"name": one.name, "traits": one.traits, "variants": len(arrays)})
        arrays.append(np.ascontiguousarray(one.variants))
    head = {
        "tables": tables,
        "arrays": [(array.dtype.str, array.shape) for array in arrays],
        "filtered": filtered,
        "people": int(rows.people),
    }
    body = json.dumps(head).encode()
    return [_MARK, len(body).to_bytes(_LENGTH_BYTES, "little"), body, *(_bytes_of(array) for array in arrays)]


def rows_from_bytes(body: bytes) -> Rows:
    """The rows that bytes hold.

    Raises
    ------
    Failed
        Code OTHER_VERSION: another version of fedstats kept them.
    """
    if not body.startswith(_MARK):
        raise Failed(
            "finished rows of this run were kept by another version of fedstats",
            code="OTHER_VERSION",
            hint="Resume the run with the version that began it, or begin it anew without --resume.",
        )
    first = len(_MARK) + _LENGTH_BYTES
    last = first + int.from_bytes(body[len(_MARK) : first], "little")
    head = json.loads(body[first:last])
    arrays = list(_arrays(head["arrays"], memoryview(body)[last:]))
    tables = {
        table: {name: arrays[place] for name, place in places.items()} for table, places in head["tables"].items()
    }
    filtered = [Filtered(one["name"], tuple(one["traits"]), arrays[one["variants"]]) for one in head["filtered"]]
    return Rows(tables, filtered, head["people"])


def _arrays(described: list[tuple[str, list[int]]], body: memoryview) -> Iterator[np.ndarray]:
    """Arrays of these types and shapes, one after the other."""
    for kind, shape in described:
        array = np.empty(shape, kind)
        _bytes_of(array)[:] = body[: array.nbytes]
        body = body[array.nbytes :]
        yield array


def _bytes_of(array: np.ndarray) -> memoryview:
    """The bytes of an array without gaps, not copied."""
    return array.reshape(-1).view(np.uint8).data


def _plain(name: str, column: np.ndarray) -> np.ndarray:
    if column.dtype != object:
        return column
    if all(isinstance(value, str) for value in column.ravel()):
        return column.astype(np.str_)
    raise Failed(f"column {name!r} of a result holds objects, which cannot be kept", code="BAD_TYPE")
