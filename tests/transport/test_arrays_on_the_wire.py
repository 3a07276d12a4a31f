"""Arrays on the wire: what comes is what went, in as few bytes as hold it, and nothing that does not fit its shape."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fedstats.errors import ProtocolRefused
from fedstats.wire import arrays as arrays_on_the_wire
from fedstats.wire.arrays import array_from_wire, array_to_wire, asks_from_bytes, asks_to_bytes
from fedstats.wire.generated.fedstats.v1 import array_pb2

TYPES = st.sampled_from([np.float64, np.int64, np.uint64, np.uint8, np.bool_])
SHAPES = arrays.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5)


@given(TYPES.flatmap(lambda dtype: arrays.arrays(dtype, SHAPES)))
def test_every_array_comes_back_with_its_type_and_shape(array: np.ndarray):
    back = array_from_wire(array_to_wire(array))

    assert back.dtype == array.dtype
    np.testing.assert_array_equal(back, array)


@pytest.mark.parametrize(
    ("lowest", "highest", "width"),
    [
        *((0, 127, 1), (-128, 0, 1), (0, 128, 2), (-129, 0, 2), (0, 2**15, 4), (-(2**31), 2**31 - 1, 4)),
        *((0, 2**31, 8), (-(2**63), 2**63 - 1, 8)),
    ],
)
def test_integers_lie_in_as_few_bytes_as_hold_them_all(lowest: int, highest: int, width: int):
    array = np.array([[lowest, 0], [1, highest]])

    message = array_to_wire(array)

    assert len(message.data) == 4 * width
    np.testing.assert_array_equal(array_from_wire(message), array)


def test_equal_asks_are_equal_bytes_however_they_lie_in_memory():
    variants, table = np.arange(40)[::2], np.arange(6).reshape(2, 3)
    whole = asks_to_bytes([(variants, {"b": table, "a": np.ones(2)})])

    again = asks_to_bytes([(variants.copy(), {"a": np.ones(2), "b": np.asfortranarray(table)})])

    assert whole == again
    ((found, parameters),) = asks_from_bytes(whole)
    assert found is not None
    np.testing.assert_array_equal(found, variants)
    np.testing.assert_array_equal(parameters["b"], [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("dtype", "shape", "length"),
    [
        *((array_pb2.DTYPE_INT64, (3,), 9), (array_pb2.DTYPE_INT64, (3,), 2), (array_pb2.DTYPE_INT64, (0,), 1)),
        *((array_pb2.DTYPE_FLOAT64, (2,), 8), (array_pb2.DTYPE_UINT64, (2,), 4), (array_pb2.DTYPE_BOOL, (2,), 16)),
        *((array_pb2.DTYPE_INT64, (1 << 30,), 1 << 30), (array_pb2.DTYPE_UNSPECIFIED, (1,), 8)),
        *((array_pb2.DTYPE_UINT8, (1,) * 9, 1), (array_pb2.DTYPE_INT64, (1 << 62, 4), 0)),
    ],
)
def test_bytes_that_do_not_fit_their_shape_are_refused(dtype: int, shape: tuple[int, ...], length: int):
    message = array_pb2.Array(dtype=dtype, shape=shape, data=bytes(length))  # type: ignore[arg-type]  # enums are ints

    with pytest.raises(ProtocolRefused) as caught:
        array_from_wire(message)

    assert caught.value.code == "MALFORMED"


@pytest.mark.parametrize("size", [1, 127, 128, 300])
def test_more_asks_than_a_pass_has_variants_are_refused_before_they_are_read(
    size: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(arrays_on_the_wire, "MOST_ASKS", 3)
    ask = (np.zeros(1, np.int64), {"a": np.full(size, 0.5)})

    assert len(asks_from_bytes(asks_to_bytes([ask] * 3))) == 3
    with pytest.raises(ProtocolRefused, match="more than 3 asks") as caught:
        asks_from_bytes(asks_to_bytes([ask] * 4))
    assert caught.value.code == "MALFORMED"


@pytest.mark.parametrize("hiding", [b"\x08\xff\xff\x03", b"\x82\x01\x00", b"\x12\x00"])
def test_asks_are_not_hidden_behind_what_is_none(hiding: bytes, monkeypatch: pytest.MonkeyPatch):
    """Fields that nobody knows are skipped when bytes are read; their lengths must not lead past asks."""
    monkeypatch.setattr(arrays_on_the_wire, "MOST_ASKS", 3)

    with pytest.raises(ProtocolRefused, match="not well formed") as caught:
        asks_from_bytes(hiding + b"\n\x00" * 20)
    assert caught.value.code == "MALFORMED"


@pytest.mark.parametrize("data", [b"\n", b"\n\xff", b"\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", b"\x80" * 9])
def test_lengths_that_lead_nowhere_are_refused(data: bytes):
    with pytest.raises(ProtocolRefused) as caught:
        asks_from_bytes(data)
    assert caught.value.code == "MALFORMED"


def test_asks_that_would_unpack_into_far_more_than_came_are_refused(monkeypatch: pytest.MonkeyPatch):
    """A byte an integer comes, eight lie in memory: what all arrays take together is bounded before one is unpacked."""
    monkeypatch.setattr(arrays_on_the_wire, "_LARGEST", 8 * 1_000)
    ones = np.ones(400, np.int64)
    allowed = asks_to_bytes([(ones, {"a": ones})])
    more = asks_to_bytes([(ones, {"a": ones}), (ones, {})])

    assert len(more) < 2_000
    assert len(asks_from_bytes(allowed)) == 1
    with pytest.raises(ProtocolRefused, match="larger than 8000 bytes") as caught:
        asks_from_bytes(more)
    assert caught.value.code == "MALFORMED"
