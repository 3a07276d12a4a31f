from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Signed(_message.Message):
    __slots__ = ("kind", "signer", "body", "signature")
    KIND_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    BODY_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    kind: str
    signer: str
    body: bytes
    signature: bytes
    def __init__(self, kind: _Optional[str] = ..., signer: _Optional[str] = ..., body: _Optional[bytes] = ..., signature: _Optional[bytes] = ...) -> None: ...

class Piece(_message.Message):
    __slots__ = ("data", "offset", "crc32", "behind")
    DATA_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    CRC32_FIELD_NUMBER: _ClassVar[int]
    BEHIND_FIELD_NUMBER: _ClassVar[int]
    data: bytes
    offset: int
    crc32: int
    behind: Signed
    def __init__(self, data: _Optional[bytes] = ..., offset: _Optional[int] = ..., crc32: _Optional[int] = ..., behind: _Optional[_Union[Signed, _Mapping]] = ...) -> None: ...

class Parcel(_message.Message):
    __slots__ = ("order", "piece", "then")
    ORDER_FIELD_NUMBER: _ClassVar[int]
    PIECE_FIELD_NUMBER: _ClassVar[int]
    THEN_FIELD_NUMBER: _ClassVar[int]
    order: Signed
    piece: Piece
    then: Signed
    def __init__(self, order: _Optional[_Union[Signed, _Mapping]] = ..., piece: _Optional[_Union[Piece, _Mapping]] = ..., then: _Optional[_Union[Signed, _Mapping]] = ...) -> None: ...
