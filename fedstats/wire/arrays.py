"""Arrays on the wire: numpy to protobuf and back; names, types and lengths are checked before an array exists."""

from collections.abc import Iterable, Mapping
from math import prod

import numpy as np

from fedstats.arrays import Indices
from fedstats.errors import ProtocolRefused
from fedstats.study import LARGEST_PASS
from fedstats.wire.generated.fedstats.v1 import array_pb2

_DTYPES: dict[int, np.dtype[np.generic]] = {
    array_pb2.DTYPE_FLOAT64: np.dtype("<f8"),
    array_pb2.DTYPE_INT64: np.dtype("<i8"),
    array_pb2.DTYPE_UINT64: np.dtype("<u8"),
    array_pb2.DTYPE_UINT8: np.dtype("u1"),
    array_pb2.DTYPE_BOOL: np.dtype("?"),
}
_CODES = {dtype: code for code, dtype in _DTYPES.items()}
_SIGNED = (np.dtype("i1"), np.dtype("<i2"), np.dtype("<i4"), np.dtype("<i8"))
#: Most bytes of one array, and of all arrays that are asked together, once each element has all its bytes.
_LARGEST = 1 << 30
#: Most asks of a pass, each of which has a variant.
MOST_ASKS = LARGEST_PASS
#: How protobuf begins an ask: field 1, of a length that follows.
_ASK = 1 << 3 | 2


def array_to_wire(array: np.ndarray) -> array_pb2.Array:
    """One array as a message; only the five types of the closed list travel, signed integers in as few bytes as fit."""
    code = _CODES.get(array.dtype.newbyteorder("<"))
    if code is None:
        raise ProtocolRefused(f"arrays of type {array.dtype} do not travel", code="BAD_TYPE")
    stored = _narrowest(array) if code == array_pb2.DTYPE_INT64 else _DTYPES[code]
    data = np.ascontiguousarray(array, stored).tobytes()
    return array_pb2.Array(dtype=code, shape=array.shape, data=data)  # type: ignore[arg-type]  # enum values are ints


def array_from_wire(message: array_pb2.Array) -> np.ndarray:
    """The array of a message; its data must have exactly the declared length."""
    dtype = _DTYPES.get(message.dtype)
    shape = tuple(int(length) for length in message.shape)
    data, count = message.data, prod(shape)
    stored = None if dtype is None else _stored(dtype, count, len(data))
    if dtype is None or stored is None or len(shape) > 8 or count * dtype.itemsize > _LARGEST:
        raise ProtocolRefused("an array on the wire does not have the length that its shape declares", code="MALFORMED")
    return np.frombuffer(data, stored).reshape(shape).astype(dtype, copy=False)


def _narrowest(array: np.ndarray) -> np.dtype[np.generic]:
    """The smallest type of signed integers that holds all values."""
    lowest, highest = array.min(initial=0), array.max(initial=0)
    bits = ((kind, 8 * kind.itemsize - 1) for kind in _SIGNED)
    return next(kind for kind, held in bits if -(1 << held) <= int(lowest) and int(highest) < 1 << held)


def _stored(dtype: np.dtype[np.generic], count: int, length: int) -> np.dtype[np.generic] | None:
    """The type in which so many bytes hold so many elements; None where they do not."""
    kinds = _SIGNED if dtype.kind == "i" else (dtype,)
    return next((kind for kind in kinds if count * kind.itemsize == length), None)


def arrays_to_wire(arrays: Mapping[str, np.ndarray]) -> array_pb2.Arrays:
    """Named arrays, by name in order, so that equal arrays are equal bytes."""
    items = [array_pb2.Arrays.Item(name=name, array=array_to_wire(arrays[name])) for name in sorted(arrays)]
    return array_pb2.Arrays(items=items)


def arrays_from_wire(message: array_pb2.Arrays) -> dict[str, np.ndarray]:
    """Named arrays of a message; a name that occurs twice is refused."""
    found = {item.name: array_from_wire(item.array) for item in message.items}
    if len(found) != len(message.items):
        raise ProtocolRefused("an array name occurs twice", code="MALFORMED")
    return found


def asks_to_bytes(asks: Iterable[tuple[Indices | None, Mapping[str, np.ndarray]]]) -> bytes:
    """What a pass asks, as the bytes that are put at the nodes and bound by digest."""
    message = array_pb2.Asks()
    for variants, parameters in asks:
        ask = message.asks.add()
        if variants is not None:
            ask.variants.CopyFrom(array_to_wire(np.asarray(variants, np.int64)))
        ask.parameters.CopyFrom(arrays_to_wire(parameters))
    return message.SerializeToString(deterministic=True)


def _check_size(message: array_pb2.Asks) -> None:
    """Refuse asks that would take far more memory than bytes came: integers of one byte become eight."""
    arrays = (array for ask in message.asks for array in (ask.variants, *(i.array for i in ask.parameters.items)))
    if sum(8 * prod(array.shape) for array in arrays if array.data) > _LARGEST:
        raise ProtocolRefused(f"the asks of a pass are larger than {_LARGEST} bytes", code="MALFORMED")


def _check_number(data: bytes) -> None:
    """Refuse more asks than a pass has variants, before they are read: an empty one takes two bytes, and far more read.

    Only the outermost fields are looked at, all of which are asks; what else is wrong shows when the bytes are read.
    """
    at = number = 0
    while at < len(data):
        if data[at] != _ASK:
            raise ProtocolRefused("the asks of a pass are not well formed", code="MALFORMED")
        number += 1
        length, shift, at = 0, 0, at + 1
        while at < len(data):
            length |= (data[at] & 0x7F) << shift
            at, shift, last = at + 1, shift + 7, data[at] < 0x80
            if last:
                break
        at += length
        if number > MOST_ASKS:
            raise ProtocolRefused(f"a pass has more than {MOST_ASKS} asks", code="MALFORMED")


def asks_from_bytes(data: bytes) -> list[tuple[Indices | None, dict[str, np.ndarray]]]:
    """The asks that bytes hold: variants (or None) and named parameter arrays of each block."""
    _check_number(data)
    try:
        message = array_pb2.Asks.FromString(data)
    except Exception as error:  # protobuf raises DecodeError of its own C module; any failure is malformed
        raise ProtocolRefused("the asks of a pass are not well formed", code="MALFORMED") from error
    _check_size(message)
    return [
        (array_from_wire(ask.variants) if ask.HasField("variants") else None, arrays_from_wire(ask.parameters))
        for ask in message.asks
    ]
