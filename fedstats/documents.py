"""Documents: frozen dataclasses as canonical JSON, and back, strictly.

Everything that is signed or hashed travels as the exact bytes made here.
A document holds text, integers, floats, booleans, tuples, dictionaries with text keys, and other documents;
bytes are written as hexadecimal text by whoever makes the document.
"""

import hashlib
import json
from typing import TypeVar, cast

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


def encode(subject: object) -> bytes:
    """Canonical JSON: keys sorted, no spaces, ASCII, so that equal documents are equal bytes."""
    plain = _adapter(type(subject)).dump_python(subject, mode="json")
    return json.dumps(plain, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode("ascii")


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
