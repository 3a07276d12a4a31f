"""federation.toml: what is read, and that all faults are listed at once."""

from pathlib import Path

import pytest

from fedstats.coordinator.config import FederationSettings, read_federation
from fedstats.errors import ConfigError
from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import generate_identity, generate_leaf, save_identity, save_leaf
from fedstats.identity.roster import RosterContent, RosterCoordinator, RosterNode, sign_roster, write_roster

TOML = """\
[federation]
name = "demo"
roster = "roster.toml"
[variants]
panel = "panel.bim"
build = "GRCh37"
[[node]]
name = "EE"
address = "127.0.0.1:7402"
[[node]]
name = "FI"
address = "127.0.0.1:7401"
[coordinator]
identity = "coordinator.key"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    identities = {name: generate_identity() for name in ("FI", "EE", "LV", "C")}
    nodes = tuple(RosterNode(name, identities[name].public_hex, 1) for name in ("FI", "EE", "LV"))
    content = RosterContent("demo", nodes, (RosterCoordinator("C", identities["C"].public_hex),))
    write_roster(sign_roster(content, identities.values()), tmp_path / "roster.toml")
    save_identity(identities["C"], tmp_path / "coordinator.key")
    leaf = generate_leaf("C")
    save_leaf(leaf, tmp_path / "coordinator.tls.key", tmp_path / "coordinator.tls.crt")
    write_card(make_card(identities["C"], leaf, "C", role="coordinator"), tmp_path / "C.card")
    write_card(make_card(identities["FI"], generate_leaf("FI"), "FI"), tmp_path / "FI.card")
    (tmp_path / "panel.bim").write_text("1 rs1 0 100 A G\n")
    (tmp_path / "federation.toml").write_text(TOML)
    return tmp_path


def read(folder: Path, old: str = "", new: str = "") -> FederationSettings:
    (folder / "federation.toml").write_text(TOML.replace(old, new) if old else TOML)
    return read_federation(folder / "federation.toml")


def faults(folder: Path, old: str, new: str) -> str:
    with pytest.raises(ConfigError) as caught:
        read(folder, old, new)
    return str(caught.value)


def test_nodes_stand_in_the_order_of_the_roster_with_their_cards(folder: Path) -> None:
    settings = read(folder)

    assert list(settings.addresses.items()) == [("FI", "127.0.0.1:7401"), ("EE", "127.0.0.1:7402")]
    assert settings.peers["FI"].card is not None
    assert settings.peers["EE"].card is None
    assert settings.caller.card is not None
    assert settings.panel == folder / "panel.bim"


def test_unknown_key_names_the_nearest_one(folder: Path) -> None:
    assert "unknown key 'pannel'; did you mean 'panel'?" in faults(folder, 'panel = "', 'pannel = "')


def test_all_faults_are_listed_at_once(folder: Path) -> None:
    text = TOML.replace('"demo"', '"other"').replace("127.0.0.1:7401", "nowhere").replace("panel.bim", "lost.bim")
    (folder / "federation.toml").write_text(text.replace('name = "EE"', 'name = "SE"'))

    with pytest.raises(ConfigError, match="has 4 faults") as caught:
        read_federation(folder / "federation.toml")
    assert "'nowhere' is not a host and a port" in str(caught.value)
    assert "no file 'lost.bim'" in str(caught.value)
    assert "the roster has no node 'SE'" in str(caught.value)
    assert "the roster is of 'demo'" in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[coordinator]", "[coordinater]", "did you mean 'coordinator'?"),
        ('name = "EE"', 'name = "FI"', "the node 'FI' occurs twice"),
        ('identity = "coordinator.key"', 'identity = "none.key"', "there is no file 'none.key'"),
        ('build = "GRCh37"', "build = 37", "build must be a text"),
        ("[[node]]", "[[node", "it is not TOML"),
    ],
)
def test_fault_is_named(folder: Path, old: str, new: str, said: str) -> None:
    assert said in faults(folder, old, new)


def test_identity_that_the_roster_does_not_permit_is_refused(folder: Path) -> None:
    (folder / "coordinator.key").unlink()
    save_identity(generate_identity(), folder / "coordinator.key")

    assert "does not permit this identity to ask" in faults(folder, "", "")


def test_key_that_others_can_read_is_refused(folder: Path) -> None:
    (folder / "coordinator.key").chmod(0o644)

    assert "can be read by others" in faults(folder, "", "")


def test_changed_card_is_a_fault_of_the_file(folder: Path) -> None:
    path = folder / "FI.card"
    path.write_text(path.read_text().replace('"role":"node"', '"role":"coordinator"'))

    assert "FI.card: the signature does not fit" in faults(folder, "", "")


def test_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"federation\.toml"):
        read_federation(tmp_path / "federation.toml")
