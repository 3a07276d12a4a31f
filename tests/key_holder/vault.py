"""A key holder on disk for tests, with a tiny key, a coordinator, and nodes that are nothing but names."""

from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path

import numpy as np

from fedstats.identity.card import Card, make_card, write_card
from fedstats.identity.keys import Identity, Leaf, generate_identity, generate_leaf, load_identity
from fedstats.identity.roster import (
    Roster,
    RosterContent,
    RosterCoordinator,
    RosterNode,
    roster_digest,
    sign_roster,
    write_roster,
)
from fedstats.privacy.paillier import encrypt_block, multiply
from fedstats.privacy.paillier_tasks import encryption
from fedstats.privacy.paillier_workers import InProcess
from fedstats.privacy.primitives.paillier import PublicKey
from fedstats.wire.key_holder_messages import DecryptOrder, layout_of
from fedstats.wire.messages import pass_id
from key_holder.keys_folder import init, write_own_card

#: Quick, and no secret: only a sandbox roster allows it.
BITS = 512
NODES = ("EE", "FI", "SE", "NO")
RUN = "ab" * 16
#: Two blocks alike and one of another shape: counts of 12 bits, sums of 64.
BLOCKS = [np.array([12] * 9 + [64] * 5, np.uint8)] * 2 + [np.array([64, 12, 30], np.uint8)]

POLICY = 'coordinators = ["desk"]\n'


@dataclass(frozen=True)
class Vault:
    """A key holder's folder, and those who may ask it."""

    folder: Path
    coordinator: Identity
    leaf: Leaf
    other: Identity
    other_leaf: Leaf
    roster: Roster
    card: Card

    @property
    def config(self) -> Path:
        return self.folder / "keyholder.toml"

    @property
    def ledger(self) -> Path:
        return self.folder / "state" / "ledger.sqlite"

    @property
    def public(self) -> PublicKey:
        return PublicKey(int(self.card.paillier_modulus, 16))


def make_vault(folder: Path, *, policy: str = POLICY, listen: str = "127.0.0.1:0") -> Vault:
    """Keys, roster, cards and keyholder.toml; the roster has two coordinators, desk and other."""
    init(folder, "VAULT", bits=BITS, smallest_bits=BITS)
    card, _ = write_own_card(folder)
    desk, leaf = generate_identity(), generate_leaf("desk")
    other, other_leaf = generate_identity(), generate_leaf("other")
    write_card(make_card(desk, leaf, "desk", role="coordinator"), folder / "desk.card")
    write_card(make_card(other, other_leaf, "other", role="coordinator"), folder / "other.card")
    nodes = {name: generate_identity() for name in NODES}
    content = RosterContent(
        "test",
        tuple(RosterNode(name, identity.public_hex, 100) for name, identity in nodes.items()),
        (RosterCoordinator("desk", desk.public_hex), RosterCoordinator("other", other.public_hex)),
        key_holder=card.identity,
        sandbox=True,
        key_holder_name="VAULT",
        paillier_modulus=card.paillier_modulus,
    )
    own = load_identity(folder / "state" / "identity.key")
    roster = sign_roster(content, [*nodes.values(), desk, other, own])
    write_roster(roster, folder / "roster.toml")
    text = (
        f'[keyholder]\nname = "VAULT"\nlisten = "{listen}"\nstate = "state"\nroster = "roster.toml"\nprocesses = 1\n\n'
        f"[policy]\n{policy}"
    )
    (folder / "keyholder.toml").write_text(text)
    return Vault(folder, desk, leaf, other, other_leaf, roster, card)


def words_of_nodes(seed: int = 0, nodes: int = len(NODES)) -> np.ndarray:
    """Words of every node, shape (node, word): any 64 bits, of which a lane keeps the lowest."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 2**64, (nodes, sum(map(len, BLOCKS))), np.uint64, endpoint=False)


def product_of(public: PublicKey, words: np.ndarray) -> bytes:
    """What a coordinator sends: block by block the product of every node's ciphertexts."""
    encrypt = _encryption(public)
    ends = np.cumsum([len(block) for block in BLOCKS])
    uploads = [
        b"".join(
            encrypt_block(public, encrypt, row[end - len(block) : end], block)
            for block, end in zip(BLOCKS, ends, strict=True)
        )
        for row in words
    ]
    return multiply(public, uploads)


@cache
def _encryption(public: PublicKey) -> InProcess:
    return InProcess(encryption(public))


def sums(words: np.ndarray) -> np.ndarray:
    """Sums of all nodes modulo two to the width of each word, in Python's own integers."""
    widths = np.concatenate(BLOCKS)
    return np.array(
        [sum(map(int, column)) % 2 ** int(width) for column, width in zip(words.T, widths, strict=True)], np.uint64
    )


def order_for(vault: Vault, product: bytes, *, call: int = 0, **changes: object) -> DecryptOrder:
    """A good order for a product, but for the changes."""
    order = DecryptOrder(
        run=RUN,
        pass_id=pass_id(RUN, "whole", call, 0),
        plan="cd" * 32,
        roster=roster_digest(vault.roster),
        nodes=NODES,
        masked=True,
        layout=layout_of(BLOCKS),
        words=sum(map(len, BLOCKS)),
        length=len(product),
        sha256=sha256(product).hexdigest(),
        attempt=0,
    )
    return replace(order, **changes)
