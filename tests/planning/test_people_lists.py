import pytest

from fedstats.dataset import People
from fedstats.errors import ProtocolRefused
from fedstats.planning.people_lists import people_bytes, people_digest, read_people

LISTS = People(frozenset({("F1", "P1"), ("", "P2")}), frozenset({("F3", "P3")}))


def test_lists_survive_their_bytes() -> None:
    assert read_people(people_bytes(LISTS)) == LISTS


def test_no_lists_are_no_bytes_and_no_digest() -> None:
    assert (people_bytes(People()), people_digest(People())) == (b"", "")


def test_an_empty_keep_list_is_not_no_list() -> None:
    assert read_people(people_bytes(People(frozenset()))).keep == frozenset()


@pytest.mark.parametrize(
    "body", [b"{}", b"[1]", b"\xff", b'{"keep":null,"remove":[["a"]]}', people_bytes(LISTS) + b" "]
)
def test_other_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(ProtocolRefused, match="lists of people"):
        read_people(body)
