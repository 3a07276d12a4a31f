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


MODULUS = f"{2**2047 + 1:x}"


def holders_card() -> Card:
    return make_card(generate_identity(), generate_leaf("vault"), "vault", role="keyholder", paillier_modulus=MODULUS)


def test_card_of_a_key_holder_has_its_modulus_after_write_and_read(tmp_path: Path) -> None:
    card = holders_card()

    write_card(card, tmp_path / "vault.card")

    assert read_card(tmp_path / "vault.card") == card
    assert read_card(tmp_path / "vault.card").paillier_modulus == MODULUS


def test_file_of_a_nodes_card_has_no_modulus(tmp_path: Path) -> None:
    write_card(card_of(), tmp_path / "FI.card")

    assert set(json.loads((tmp_path / "FI.card").read_text())) == {
        "name",
        "role",
        "identity",
        "certificate",
        "signature",
    }


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"paillier_modulus": f"{2**2047 + 3:x}"}, "signature does not fit"),
        ({"paillier_modulus": "xyz"}, "must be a number in lower-case hexadecimal"),
        ({"role": "node"}, "only a key holder has a paillier_modulus"),
    ],
)
def test_changed_card_of_a_key_holder_is_refused(tmp_path: Path, change: dict[str, str], fault: str) -> None:
    (tmp_path / "vault.card").write_text(json.dumps(vars(holders_card()) | change))

    with pytest.raises(DataError, match=fault):
        read_card(tmp_path / "vault.card")


def test_key_holder_without_a_modulus_gets_no_card() -> None:
    with pytest.raises(DataError, match="paillier_modulus must be"):
        make_card(generate_identity(), generate_leaf("vault"), "vault", role="keyholder")
