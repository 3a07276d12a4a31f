"""The folder of a key holder as its custodian makes it: keys that stay where they were made, a card, settings."""

from pathlib import Path

from fedstats.errors import UsageError
from fedstats.identity.card import Card, write_card
from fedstats.identity.custodian import Custodian
from fedstats.identity.party_keys import make_keys, own_card
from fedstats.privacy.paillier_keys import load_key, save_key
from fedstats.privacy.primitives.paillier import DEFAULT_BITS, SMALLEST_BITS, generate

CUSTODIAN = Custodian(role="keyholder", config="keyholder.toml", init="fedstats-keyholder init")

_KEYHOLDER_TOML = """\
# Settings of a fedstats key holder. Check them with: fedstats-keyholder check-config keyholder.toml
# Paths are relative to this file. A '#' before a key shows its default.

[keyholder]
name = "{name}"
listen = "127.0.0.1:7402"        # the address that coordinators dial
state = "state"                  # keys, ledger, products: on a local disk, never a network share
roster = "roster.toml"           # signed by every party; coordinators' cards (NAME.card) lie beside it
# processes = 0                  # processes that open ciphertexts; 0 = one a core

[policy]                         # what is not allowed here is refused
coordinators = []                # names in the roster that may ask; nobody unless named
# min_nodes = 3                  # nodes in a product; never fewer than 3
# max_bytes = 268435456          # of the product of one pass
# allow_unmasked = false         # open words without masks ('--paillier-masks off'); needs a reason
# reason = ""                    # why allow_unmasked is set
"""


def init(folder: Path, name: str, *, bits: int = DEFAULT_BITS, smallest_bits: int = SMALLEST_BITS) -> list[Path]:
    """Make identity, TLS leaf and Paillier key of a key holder where they stay, and a keyholder.toml to fill in.

    Parameters
    ----------
    folder, name
        Its folder, and its name in the roster.
    bits
        Length of the modulus, even.
    smallest_bits
        Only tests and sandboxes say this: shorter keys are quick, and hide nothing.

    Returns
    -------
    list[Path]
        What was made.
    """
    if bits < smallest_bits or bits % 2:
        raise UsageError(f"--bits {bits}: a modulus has an even number of bits, at least {smallest_bits}", code="BITS")
    files, own = CUSTODIAN.key_files(folder), paillier_key(folder)
    if own.exists():
        raise UsageError(f"{own.name} exists already; keys are never overwritten.", code="KEY_EXISTS")
    make_keys(files, name)
    save_key(generate(bits, smallest=smallest_bits), own)
    made = [*files.all, own]
    config = folder / CUSTODIAN.config
    if not config.exists():
        config.write_text(_KEYHOLDER_TOML.format(name=name))
        made.append(config)
    return made


def paillier_key(folder: Path) -> Path:
    """Where the Paillier key of the key holder in a folder lies."""
    return CUSTODIAN.state(folder) / "paillier.key"


def write_own_card(folder: Path) -> tuple[Card, Path]:
    """Write NAME.card of the key holder in a folder; the card and where it lies."""
    own = paillier_key(folder)
    if not own.is_file():
        raise UsageError(
            f"{own.name} is not in {own.parent.absolute().name}/", code="NO_KEYS", hint=f"'{CUSTODIAN.init}' makes it."
        )
    modulus = load_key(own).public.text
    card = own_card(CUSTODIAN.key_files(folder), CUSTODIAN.role, CUSTODIAN.init, paillier_modulus=modulus)
    path = folder / f"{card.name}.card"
    write_card(card, path)
    return card, path
