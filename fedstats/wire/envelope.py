"""Envelopes: signed documents as protobuf messages, long byte runs as pieces, errors as documents."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from isal import isal_zlib

from fedstats.arrays import Bytes
from fedstats.documents import decode, document, encode
from fedstats.errors import BY_NAME, Failed, FedstatsError, ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.wire.generated.fedstats.v1 import node_pb2

PIECE_BYTES = 1 << 20

#: Metadata key under which a refusal travels beside the gRPC status.
ERROR_KEY = "fedstats-error-bin"


def to_wire(signed: Signed) -> node_pb2.Signed:
    """A signed document as a message."""
    return node_pb2.Signed(kind=signed.kind, signer=signed.signer, body=signed.body, signature=signed.signature)


def from_wire(message: node_pb2.Signed) -> Signed:
    """The signed document of a message; nothing is verified yet."""
    return Signed(message.kind, message.signer, message.body, message.signature)


def pieces(data: Iterable[Bytes | Signed], first: int = 0) -> Iterator[node_pb2.Piece]:
    """Cut runs of bytes into pieces of at most 1 MiB, each with its place and a check of its bytes.

    The check finds damage by accident; TLS keeps whoever is on the line from doing any. A document behind the bytes
    travels as a piece of its own.
    """
    offset = first
    for run in data:
        if isinstance(run, Signed):
            yield node_pb2.Piece(behind=to_wire(run))
            continue
        for at in range(0, len(run), PIECE_BYTES):
            part = bytes(run[at : at + PIECE_BYTES])
            yield node_pb2.Piece(data=part, offset=offset, crc32=isal_zlib.crc32(part))
            offset += len(part)


def checked(piece: node_pb2.Piece, offset: int) -> bytes:
    """The bytes of a piece that must lie at `offset`; there is no empty piece."""
    data = piece.data
    if not data or piece.offset != offset or isal_zlib.crc32(data) != piece.crc32:
        raise ProtocolRefused("a piece arrived out of place or damaged", code="DAMAGED_PIECE")
    return data


def contents(found: Iterable[node_pb2.Piece], first: int = 0) -> Iterator[bytes | Signed]:
    """The bytes of pieces, each at its place from `first` on, and the document that comes behind them."""
    offset = first
    for piece in found:
        if piece.HasField("behind"):
            yield from_wire(piece.behind)
            continue
        data = checked(piece, offset)
        offset += len(data)
        yield data


@document
@dataclass(frozen=True)
class ErrorDocument:
    """An error as it crosses the wire: no value, no sample, no path; `incident` finds the node's own log line."""

    kind: str
    code: str
    message: str
    hint: str
    node: str
    incident: str


def error_to_bytes(error: FedstatsError, node: str, incident: str) -> bytes:
    """An error of our own as a document; its message was written to be seen by the other side."""
    kind = next(name for cls in type(error).__mro__ for name, known in BY_NAME.items() if known is cls)
    return encode(ErrorDocument(kind, error.code, error.message, error.hint, node, incident))


def error_from_bytes(data: bytes) -> FedstatsError:
    """The exception that a node's error document stands for."""
    found = decode(ErrorDocument, data)
    kind = BY_NAME.get(found.kind, Failed)
    return kind(found.message, code=found.code, hint=found.hint, node=found.node)
