"""Documents: frozen dataclasses as canonical JSON, and back, strictly.

Everything that is signed or hashed travels as the exact bytes made here.
A document holds text, integers, floats, booleans, tuples, dictionaries with text keys, and other documents;
bytes are written as hexadecimal text by whoever makes the document.
"""

import hashlib
import json
from dataclasses import fields
from functools import cache
from typing import Any, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError

from fedstats.errors import ProtocolRefused

D = TypeVar("D")


def document(kind: type[D]) -> type[D]:
    """Mark a frozen dataclass as a document: unknown fields, inexact types, infinities and NaN are refused."""
    kind.__pydantic_config__ = ConfigDict(extra="forbid", allow_inf_nan=False)  # type: ignore[attr-defined]  # pydantic's hook
    return kind


_ADAPTERS: dict[type, TypeAdapter[object]] = {}


def _adapter(kind: type) -> TypeAdapter[object]:
    if kind not in _ADAPTERS:
        _ADAPTERS[kind] = TypeAdapter(kind)
    return _ADAPTERS[kind]


@cache
def _fields(kind: type) -> tuple[tuple[str, bool], ...]:
    """Names of a document's fields, and whether each holds reals."""
    return tuple((field.name, "float" in str(field.type)) for field in fields(kind))


def _as_object(document: Any) -> dict[str, object]:  # Any: a document, of whatever class
    """A document within a document, or the whole of it, for the encoder, which knows everything else it may hold."""
    kind: type = type(document)
    values = ((name, getattr(document, name), reals) for name, reals in _fields(kind))
    return {name: _as_reals(value) if reals else value for name, value, reals in values}


def _as_reals(value: object) -> object:
    """Whole numbers among reals as reals: 1 and 1.0 are equal, and equal documents are equal bytes."""
    if isinstance(value, dict):
        return {key: _as_reals(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_as_reals(inner) for inner in value]
    return float(value) if type(value) is int else value


_ENCODER = json.JSONEncoder(
    sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False, default=_as_object
)


def encode(subject: object) -> bytes:
    """Canonical JSON: keys sorted, no spaces, ASCII, so that equal documents are equal bytes."""
    return _ENCODER.encode(subject).encode("ascii")


def decode(kind: type[D], body: bytes) -> D:
    """The document of class `kind` that `body` holds; unknown, missing or mistyped fields are refused."""
    try:
        found = _adapter(kind).validate_json(body, strict=True)
    except ValidationError as error:
        where = "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()[:5])
        raise ProtocolRefused(f"a {kind.__name__} message is not well formed ({where})", code="MALFORMED") from None
    return cast("D", found)


def digest(subject: object) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(encode(subject)).hexdigest()
