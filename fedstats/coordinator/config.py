"""federation.toml: where a coordinator finds its nodes, keys and panel; all faults of the file are listed at once.

    [federation]
    name = "demo"                     # as in roster.toml
    roster = "roster.toml"            # signed by every party; cards of the nodes (NAME.card) lie beside it
    dataset = "demo"                  # optional: which data set of the nodes, where they have several in common
    [variants]
    panel = "panel.bim"               # a .bim file, or a table with CHROM POS ID REF ALT
    build = "GRCh37"
    [[node]]
    name = "FI"
    address = "127.0.0.1:7401"
    [key_holder]                      # optional, for --privacy paillier; its card lies beside the roster, too
    address = "127.0.0.1:7411"
    [coordinator]
    identity = "coordinator.key"      # the TLS leaf lies beside it: coordinator.tls.key, coordinator.tls.crt
    tls_key = "coordinator.tls.key"   # optional
    tls_certificate = "coordinator.tls.crt"

Relative paths are relative to the file that names them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedstats.config_reading import Reading, load_toml
from fedstats.errors import ConfigError, FaultyInput, UsageError
from fedstats.identity.card import Card, read_card
from fedstats.identity.checks import key_faults, name_faults, repeated
from fedstats.identity.keys import Identity, Leaf, load_identity, load_leaf
from fedstats.identity.roster import Roster, read_roster
from fedstats.transport.pinning import Caller, Peer

_TABLES = ("federation", "variants", "node", "coordinator", "key_holder")
_NEEDED = ("federation", "variants", "node", "coordinator")
_FEDERATION = ("name", "roster", "dataset")
_VARIANTS = ("panel", "build")
_NODE = ("name", "address")
_KEY_HOLDER = ("address",)
_COORDINATOR = ("identity", "tls_key", "tls_certificate")


@dataclass(frozen=True)
class FederationSettings:
    """All that federation.toml and the files beside it say; paths are absolute.

    Attributes
    ----------
    dataset
        The data set to use, "" where the nodes' catalogues decide.
    addresses
        Address of each node by name, in the order of the roster.
    folder
        Where federation.toml lies; what a coordinator must not forget between runs is kept there.
    key_holder
        How the key holder is dialled; None where federation.toml names no address of it.
    """

    name: str
    roster: Roster
    dataset: str
    panel: Path
    build: str
    addresses: Mapping[str, str]
    identity: Identity = field(repr=False)
    leaf: Leaf = field(repr=False)
    card: Card | None
    cards: Mapping[str, Card]
    folder: Path
    key_holder: Peer | None = None

    @property
    def caller(self) -> Caller:
        """The coordinator as it shows itself."""
        return Caller(self.leaf, self.card)

    @property
    def peers(self) -> dict[str, Peer]:
        """The nodes as they are dialled."""
        return {
            name: Peer(name, address, self.cards.get(name), self.roster.node(name).identity)
            for name, address in self.addresses.items()
        }


def read_federation(path: Path) -> FederationSettings:
    """Settings of a coordinator from its federation.toml, with roster, keys and cards.

    Raises
    ------
    ConfigError
        Every fault of the file and of the files that it names.
    """
    table = load_toml(path)
    reading = Reading(path.absolute().parent)
    reading.faults += key_faults(table, _TABLES, _NEEDED, path.name)
    federation = _table(reading, table, "federation", _FEDERATION, ("name", "roster"))
    variants = _table(reading, table, "variants", _VARIANTS, _VARIANTS)
    coordinator = _table(reading, table, "coordinator", _COORDINATOR, ("identity",))
    roster_path = reading.file(federation, "roster", "[federation]")
    roster = _roster(reading, roster_path, reading.text(federation, "name", "[federation]"))
    panel, build = reading.file(variants, "panel", "[variants]"), reading.text(variants, "build", "[variants]")
    addresses = _addresses(reading, table.get("node", []), roster)
    identity, leaf = _keys(reading, coordinator)
    cards, own = _cards(reading, roster_path, roster, identity)
    if reading.faults or roster is None or panel is None or identity is None or leaf is None:
        raise ConfigError(path.name, reading.faults, code="BAD_CONFIG")
    dataset = reading.text(federation, "dataset", "[federation]")
    holder = _key_holder(reading, table, roster, cards)
    if reading.faults:
        raise ConfigError(path.name, reading.faults, code="BAD_CONFIG")
    name, data = federation["name"], (dataset, panel, build)
    return FederationSettings(name, roster, *data, addresses, identity, leaf, own, cards, reading.folder, holder)


def _key_holder(reading: Reading, table: Mapping[str, Any], roster: Roster, cards: dict[str, Card]) -> Peer | None:
    """How the key holder is dialled, None without [key_holder]; its card leaves those of the nodes."""
    name = roster.content.key_holder_name
    card = cards.pop(name, None)
    if "key_holder" not in table:
        return None
    found = _table(reading, table, "key_holder", _KEY_HOLDER, _KEY_HOLDER)
    address = reading.text(found, "address", "[key_holder]")
    if not name:
        reading.faults.append("[key_holder]: the roster names no key holder")
    if address and not _is_address(address):
        reading.faults.append(f"[key_holder]: address: {address!r} is not a host and a port, as in 127.0.0.1:7411")
    return Peer(name, address, card, roster.content.key_holder, role="keyholder")


def _table(
    reading: Reading, parent: Mapping[str, Any], name: str, known: tuple[str, ...], needed: tuple[str, ...]
) -> dict[str, Any]:
    """The table [name] with its keys checked."""
    found = parent.get(name, {})
    if not isinstance(found, dict):
        reading.faults.append(f"{name} must be written as a table [{name}]")
        return {}
    if name in parent:
        reading.faults += key_faults(found, known, needed, f"[{name}]")
    return found


def _roster(reading: Reading, path: Path | None, name: str) -> Roster | None:
    if path is None:
        return None
    try:
        roster = read_roster(path)
    except ConfigError as error:
        reading.faults += [f"{error.subject}: {fault}" for fault in error.faults]
        return None
    if name and name != roster.content.federation:
        reading.faults.append(f"[federation]: name is {name!r}, and the roster is of {roster.content.federation!r}")
    return roster


def _addresses(reading: Reading, tables: object, roster: Roster | None) -> dict[str, str]:
    """Address by node, in the order of the roster; nodes without an address are left out of every run."""
    if not isinstance(tables, list) or not all(isinstance(one, dict) for one in tables):
        reading.faults.append("nodes must be written as tables [[node]]")
        return {}
    found: dict[str, str] = {}
    for number, one in enumerate(tables, 1):
        where = f"node {number}"
        reading.faults += key_faults(one, _NODE, _NODE, where)
        name, address = reading.text(one, "name", where), reading.text(one, "address", where)
        reading.faults += name_faults(name, where) if name else []
        if address and not _is_address(address):
            reading.faults.append(f"{where}: address: {address!r} is not a host and a port, as in 127.0.0.1:7401")
        found[name] = address
    names = [one.get("name") for one in tables]
    reading.faults += [f"the node {name!r} occurs twice" for name in repeated(str(name) for name in names if name)]
    known = [node.name for node in roster.content.nodes] if roster is not None else list(found)
    strangers = [name for name in found if name and name not in known]
    reading.faults += [f"the roster has no node {name!r}; its nodes are {', '.join(known)}" for name in strangers]
    return {name: found[name] for name in known if name in found}


def _is_address(text: str) -> bool:
    host, _, port = text.rpartition(":")
    return bool(host) and port.isdecimal() and 0 < int(port) < 65536


def _keys(reading: Reading, table: Mapping[str, Any]) -> tuple[Identity | None, Leaf | None]:
    """The coordinator's identity, and its leaf from the files beside it unless others are named."""
    path = reading.file(table, "identity", "[coordinator]")
    if path is None:
        return None, None
    beside = {key: f"{path.stem}.{ending}" for key, ending in (("tls_key", "tls.key"), ("tls_certificate", "tls.crt"))}
    named = {key: table.get(key, str(path.parent / name)) for key, name in beside.items()}
    key, certificate = (reading.file(named, which, "[coordinator]") for which in ("tls_key", "tls_certificate"))
    try:
        identity = load_identity(path)
        leaf = load_leaf(key, certificate) if key is not None and certificate is not None else None
    except UsageError as error:
        reading.faults.append(f"[coordinator]: {error.message}")
        return None, None
    return identity, leaf


def _cards(
    reading: Reading, roster_path: Path | None, roster: Roster | None, identity: Identity | None
) -> tuple[dict[str, Card], Card | None]:
    """Cards beside the roster by node, and the coordinator's own; a card that is not there is missed when dialling."""
    if roster_path is None or roster is None or identity is None:
        return {}, None
    mine = next((one.name for one in roster.content.coordinators if one.identity == identity.public_hex), None)
    if mine is None:
        reading.faults.append("[coordinator]: the roster does not permit this identity to ask")
        return {}, None
    found: dict[str, Card] = {}
    names = [*(node.name for node in roster.content.nodes), mine, roster.content.key_holder_name]
    for name in filter(None, names):
        path = roster_path.parent / f"{name}.card"
        try:
            if path.is_file():
                found[name] = read_card(path)
        except FaultyInput as error:
            reading.faults += [f"{path.name}: {fault}" for fault in error.faults]
    return found, found.pop(mine, None)
