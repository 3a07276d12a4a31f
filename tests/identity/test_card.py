"""A card is read whole and true, or not at all."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from fedstats.errors import DataError, NodeUnreachable
from fedstats.identity.card import Card, check_leaf_dates, make_card, read_card, write_card
from fedstats.identity.keys import generate_identity, generate_leaf

NOW = datetime(2030, 6, 1, tzinfo=UTC)


def card_of(name: str = "FI") -> Card:
    return make_card(generate_identity(), generate_leaf(name, now=NOW, valid_days=30), name)


def test_card_is_the_same_after_write_and_read(tmp_path: Path) -> None:
    card = card_of()

    write_card(card, tmp_path / "FI.card")

    assert read_card(tmp_path / "FI.card") == card
    assert [path.name for path in tmp_path.iterdir()] == ["FI.card"]


def test_every_fault_of_a_card_is_listed(tmp_path: Path) -> None:
    table = vars(card_of()) | {"name": "S E", "role": "boss", "identity": "00"}
    (tmp_path / "x.card").write_text(json.dumps(table))

    with pytest.raises(DataError) as caught:
        read_card(tmp_path / "x.card")

    listed = "\n".join(caught.value.faults)
    for fault in ("'S E'", "'boss'", "64 lower-case", "made out to", "signature does not fit"):
        assert fault in listed


def test_unknown_key_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "x.card").write_text(json.dumps(vars(card_of()) | {"rolle": "node"}))

    with pytest.raises(DataError, match="'rolle'; did you mean 'role'"):
        read_card(tmp_path / "x.card")


def test_card_with_another_partys_certificate_is_refused(tmp_path: Path) -> None:
    table = vars(card_of()) | {"certificate": card_of().certificate}
    (tmp_path / "x.card").write_text(json.dumps(table))

    with pytest.raises(DataError, match="signature does not fit"):
        read_card(tmp_path / "x.card")


@pytest.mark.parametrize("content", ["", "[]", "{", "\xff"])
def test_file_that_is_no_card_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.card").write_text(content, encoding="latin-1")

    with pytest.raises(DataError, match="no card"):
        read_card(tmp_path / "x.card")


def test_card_cannot_be_made_for_another_name_than_the_leafs() -> None:
    with pytest.raises(DataError, match="made out to"):
        make_card(generate_identity(), generate_leaf("EE"), "FI")


def test_leaf_within_its_dates_passes() -> None:
    check_leaf_dates(card_of(), NOW)


def test_expired_leaf_says_since_when_and_whose() -> None:
    with pytest.raises(NodeUnreachable, match="node FI's certificate is expired since 2030-07-01 00:00 UTC"):
        check_leaf_dates(card_of(), NOW + timedelta(days=31))
    with pytest.raises(NodeUnreachable, match="your own certificate is expired"):
        check_leaf_dates(card_of(), NOW + timedelta(days=31), own=True)


def test_leaf_of_the_future_blames_the_clocks() -> None:
    with pytest.raises(NodeUnreachable, match="not valid before 2030-05-31 23:50 UTC") as caught:
        check_leaf_dates(card_of(), NOW - timedelta(days=1))

    assert caught.value.code == "CERTIFICATE_NOT_YET_VALID"


def test_card_without_a_certificate_or_with_senseless_values_is_refused(tmp_path: Path) -> None:
    table = vars(card_of()) | {"certificate": "none", "signature": 3}
    (tmp_path / "x.card").write_text(json.dumps(table))

    with pytest.raises(DataError) as caught:
        read_card(tmp_path / "x.card")

    assert [fault.split(";")[0] for fault in caught.value.faults] == [
        "the certificate is not a TLS leaf in PEM form with a subject alternative name",
        "the signature does not fit",
    ]
