"""The key holder of a sandbox: keys, policy and a card, in a folder beside those of the sites."""

from dataclasses import dataclass
from pathlib import Path

from fedstats.errors import UsageError
from fedstats.identity.card import make_card, write_card
from fedstats.identity.keys import Identity, generate_identity, generate_leaf, save_identity, save_leaf
from fedstats.identity.roster_faults import SMALLEST_SANDBOX_MODULUS_BITS
from fedstats.privacy.extras import need_paillier
from fedstats.sandbox.folder import COORDINATOR, KEY_HOLDER

DEFAULT_BITS = 3072

_KEYHOLDER_TOML = """\
[keyholder]
name = "{name}"
listen = "127.0.0.1:{port}"
state = "state"
roster = "roster.toml"

[policy]
coordinators = ["{coordinator}"]
allow_unmasked = true
reason = "a sandbox on one machine"
"""

#: What nodes allow besides where there is a key holder.
NODE_POLICY = "allow_unmasked_paillier = true\n"


@dataclass(frozen=True)
class MadeKeyHolder:
    """What the roster says of a key holder."""

    folder: Path
    identity: Identity
    modulus: str


def make_key_holder(folder: Path, port: int, bits: int) -> MadeKeyHolder:
    """Make a key holder's folder below that of a sandbox, and its card in the sandbox's.

    Raises
    ------
    UsageError
        MISSING_EXTRA, or a key length that no sandbox may have.
    """
    need_paillier()
    from fedstats.privacy.paillier_keys import save_key  # needs the extra
    from fedstats.privacy.primitives.paillier import generate

    if bits < SMALLEST_SANDBOX_MODULUS_BITS or bits % 2:
        raise UsageError(
            f"--key-bits {bits}: a modulus has an even number of bits, at least {SMALLEST_SANDBOX_MODULUS_BITS} in a "
            "sandbox",
            code="BITS",
        )
    own = folder / KEY_HOLDER
    if own.exists():
        raise UsageError(f"a site is called {KEY_HOLDER!r}, as the key holder of a sandbox is", code="NAME_TAKEN")
    state = own / "state"
    state.mkdir(mode=0o700, parents=True)
    identity, leaf, key = generate_identity(), generate_leaf(KEY_HOLDER), generate(bits, smallest=bits)
    save_identity(identity, state / "identity.key")
    save_leaf(leaf, state / "tls.key", state / "tls.crt")
    save_key(key, state / "paillier.key")
    card = make_card(identity, leaf, KEY_HOLDER, role="keyholder", paillier_modulus=key.public.text)
    write_card(card, folder / f"{KEY_HOLDER}.card")
    text = _KEYHOLDER_TOML.format(name=KEY_HOLDER, port=port, coordinator=COORDINATOR)
    (own / "keyholder.toml").write_text(text, encoding="utf-8")
    return MadeKeyHolder(own, identity, key.public.text)
