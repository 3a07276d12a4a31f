"""The folder of a sandbox: where its federation file, its coordinator's keys and its nodes lie."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import UsageError
from fedstats.identity.card import Card, read_card
from fedstats.identity.keys import Leaf, load_leaf

FEDERATION_FILE = "federation.toml"
IDENTITY_FILE = "coordinator.key"
LEAF_KEY_FILE = "coordinator.tls.key"
LEAF_FILE = "coordinator.tls.crt"
COORDINATOR = "coordinator"
KEY_HOLDER = "keyholder"


@dataclass(frozen=True)
class CoordinatorLeaf:
    """The TLS leaf with which the sandbox asks its agents whether they are ready."""

    leaf: Leaf


@dataclass(frozen=True)
class Sandbox:
    """A sandbox on disk.

    Attributes
    ----------
    folder
        Where everything lies.
    nodes
        Address of each node by name, in the order of the federation file.
    key_holder
        Address of the key holder, "" where there is none.
    """

    folder: Path
    nodes: Mapping[str, str]
    key_holder: str = ""

    @property
    def agents(self) -> dict[str, str]:
        """Address of everybody who answers, by name: the nodes, and the key holder after them."""
        holder = {KEY_HOLDER: self.key_holder} if self.key_holder else {}
        return {**self.nodes, **holder}

    @property
    def federation_file(self) -> Path:
        """What `--federation` takes."""
        return self.folder / FEDERATION_FILE

    @property
    def coordinator(self) -> CoordinatorLeaf:
        """The coordinator's TLS leaf."""
        return CoordinatorLeaf(load_leaf(self.folder / LEAF_KEY_FILE, self.folder / LEAF_FILE))

    def node_folder(self, name: str) -> Path:
        """Folder of one node, or of the key holder: its data, keys, policy and state."""
        return self.folder / name

    def card(self, name: str) -> Card:
        """Card of one node, or of the key holder."""
        return read_card(self.folder / f"{name}.card")


def open_sandbox(folder: Path) -> Sandbox:
    """The sandbox in a folder.

    Raises
    ------
    UsageError
        There is none; the message says how to make one.
    """
    path = folder / FEDERATION_FILE
    if not path.is_file():
        raise UsageError(
            f"{folder} holds no sandbox",
            code="NO_SANDBOX",
            hint=f"Make one: fedstats sandbox create {folder} --bfile PREFIX --pheno FILE --covar FILE "
            "--site-column NAME",
        )
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    nodes = {node["name"]: node["address"] for node in table["node"]}
    return Sandbox(folder, nodes, table.get("key_holder", {}).get("address", ""))
