"""Keys of a party on its own disk, a coordinator's as a node's: made where they stay, shown to peers as a card."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from fedstats.errors import DataError, UsageError
from fedstats.identity.card import Card, make_card, read_card, write_card
from fedstats.identity.checks import name_faults
from fedstats.identity.keys import (
    Leaf,
    generate_identity,
    generate_leaf,
    load_identity,
    load_leaf,
    save_identity,
    save_leaf,
)


@dataclass(frozen=True)
class KeyFiles:
    """Where the keys of a party lie."""

    identity: Path
    tls_key: Path
    tls_certificate: Path

    @property
    def all(self) -> tuple[Path, ...]:
        """The three files."""
        return (self.identity, self.tls_key, self.tls_certificate)


def node_keys(state: Path) -> KeyFiles:
    """Key files of a node, in its state folder."""
    return KeyFiles(state / "identity.key", state / "tls.key", state / "tls.crt")


def coordinator_keys(folder: Path) -> KeyFiles:
    """Key files of a coordinator, beside its federation.toml."""
    return KeyFiles(folder / "coordinator.key", folder / "coordinator.tls.key", folder / "coordinator.tls.crt")


def make_keys(files: KeyFiles, name: str) -> None:
    """Draw identity and TLS leaf; the folder is made for its owner alone where it is new.

    Raises
    ------
    UsageError
        The name cannot stand in a certificate, or there are keys already; nothing is overwritten.
    """
    faults = name_faults(name, "--name")
    if faults:
        raise UsageError(faults[0], code="BAD_NAME")
    files.identity.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_identity(generate_identity(), files.identity)
    save_leaf(generate_leaf(name), files.tls_key, files.tls_certificate)


def own_card(files: KeyFiles, role: str, init: str, *, paillier_modulus: str = "") -> Card:
    """The card of the party whose keys these are; its name is the one its certificate is made out to.

    `init` is the command that makes such keys, for whoever has none; only a key holder has a modulus.
    """
    leaf = _leaf(files, init)
    return make_card(load_identity(files.identity), leaf, _name_in(leaf), role=role, paillier_modulus=paillier_modulus)


def renew_leaf(files: KeyFiles, init: str) -> None:
    """Put a new TLS leaf in the place of the old one; the identity stays, and peers need the new card."""
    name = _name_in(_leaf(files, init))
    old = files.tls_key.with_name(files.tls_key.name + ".old")
    files.tls_key.rename(old)
    save_leaf(generate_leaf(name), files.tls_key, files.tls_certificate)
    old.unlink()


def _leaf(files: KeyFiles, init: str) -> Leaf:
    missing = [path.name for path in files.all if not path.is_file()]
    if missing:
        folder = files.identity.parent.absolute().name
        raise UsageError(f"{missing[0]} is not in {folder}/", code="NO_KEYS", hint=f"'{init}' makes it.")
    return load_leaf(files.tls_key, files.tls_certificate)


def _name_in(leaf: Leaf) -> str:
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


def keep_cards(paths: Iterable[Path], folder: Path) -> list[Card]:
    """Verify cards of peers and keep them in a folder as NAME.card: all of them, or none where one is not right.

    Raises
    ------
    DataError
        A card was changed, or a card of that name with another identity is kept already.
    """
    read = [read_card(path) for path in paths]
    for card in read:
        kept = folder / f"{card.name}.card"
        if kept.is_file() and read_card(kept).identity != card.identity:
            fault = f"{card.name} is known by another identity; remove the {kept.name} kept here if that is meant"
            raise DataError(f"the card of {card.name}", [fault], code="OTHER_IDENTITY")
    for card in read:
        write_card(card, folder / f"{card.name}.card")
    return read
