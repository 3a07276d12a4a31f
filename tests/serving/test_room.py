"""Room for uploads is given to the last byte, to nobody beyond it, and given back however an upload ends."""

import pytest

from fedstats.errors import Failed, NodeUnreachable
from fedstats.serving.room import Room


def test_uploads_that_fit_together_are_let_in():
    room = Room(10)

    let_in = []

    with room.hold(4), room.hold(6), room.hold(0):
        let_in.append("side by side")
    with room.hold(10):
        let_in.append("one after them")

    assert let_in == ["side by side", "one after them"]


def test_one_byte_more_than_there_is_room_for_is_turned_away_to_come_again():
    room = Room(10)

    with room.hold(4):
        with pytest.raises(NodeUnreachable, match="no room") as caught, room.hold(7):
            pass
        with room.hold(6):
            pass

    assert caught.value.code == "BUSY"


def test_room_is_given_back_also_where_an_upload_fails():
    room = Room(10)
    with pytest.raises(Failed), room.hold(10):
        raise Failed("the disk is full", code="DISK_FULL")

    with room.hold(10):
        pass
