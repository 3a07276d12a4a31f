"""What a custodian makes and hands out: keys that stay where they were made, a card, and the peers' cards."""

from pathlib import Path

from cryptography import x509

from fedstats.errors import UsageError
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
from node_agent.policy import ANALYSES, Policy

_NODE_TOML = """\
# Settings of a fedstats node agent. Check them with: fedstats-node check-config node.toml
# Paths are relative to this file. A '#' before a key shows its default.

[node]
name = "{name}"
listen = "127.0.0.1:7401"        # the address that coordinators dial
state = "state"                  # keys, ledger, secrets, spool: on a local disk, never a network share
roster = "roster.toml"           # signed by every party; coordinators' cards (NAME.card) lie beside it
# threads = 0                    # threads that compute; 0 = all cores

[[dataset]]
id = "demo"
genotypes = "genotypes.bed"      # .bim and .fam beside it
build = "GRCh37"
phenotypes = "phenotypes.tsv"
covariates = "covariates.tsv"
# loadings_sha256 = ""           # of the loadings that the PC columns were projected with
# public = false

[policy]                         # what is not allowed here is refused
# analyses = []                  # of {analyses}
# privacy = ["masked"]           # "plain" needs a reason
{defaults}
"""

_WHY = {
    "min_people": "people of a model, at this node",
    "min_arm": "cases, and controls, at this node",
    "min_level": "people of a level of a category, at this node",
    "min_nodes": "nodes of a run",
    "min_mac": "minor alleles of a variant, over all nodes",
    "min_missing": "missing calls for '--missing drop', over all nodes",
    "parameters_per_person": "design columns per person",
    "max_queries": "runs that may ever begin; 0 = no limit",
    "allow_drop": "needs a reason, as every allow_",
    "allow_two_nodes": "two nodes have no protection from each other",
    "allow_site_effects": "site effects, eliminated here",
    "continue_without_me": "whether a run may go on if this node is lost; the difference shows its sums",
    "approval": "plans that this policy allows are accepted",
    "coordinators": "names in the roster; none named = all of them",
    "reason": "why plain or an allow_ is set; printed in results",
}


def init(folder: Path, name: str) -> list[Path]:
    """Make identity and TLS leaf of a node where they stay, and a node.toml to fill in; returns what was made."""
    faults = name_faults(name, "--name")
    if faults:
        raise UsageError(faults[0], code="BAD_NAME")
    state = folder / "state"
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    save_identity(generate_identity(), state / "identity.key")
    save_leaf(generate_leaf(name), state / "tls.key", state / "tls.crt")
    made = [state / "identity.key", state / "tls.key", state / "tls.crt"]
    config = folder / "node.toml"
    if not config.exists():
        config.write_text(_NODE_TOML.format(name=name, analyses=", ".join(ANALYSES), defaults=_defaults()))
        made.append(config)
    return made


def _defaults() -> str:
    default = Policy()
    lines = []
    for key, why in _WHY.items():
        value = getattr(default, key)
        text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
        text = "[]" if isinstance(value, tuple) else text
        lines.append(f"{f'# {key} = {text}':<33}# {why}")
    return "\n".join(lines)


def own_card(state: Path) -> Card:
    """The card of the node whose keys lie in a state folder; its name is the one its certificate is made out to."""
    try:
        identity, leaf = load_identity(state / "identity.key"), load_leaf(state / "tls.key", state / "tls.crt")
    except FileNotFoundError as error:
        missing = Path(str(error.filename)).name
        raise UsageError(f"{missing} is not in {state.name}/; 'fedstats-node init' makes it.", code="NO_KEYS") from None
    return make_card(identity, leaf, _name_in(leaf))


def renew_leaf(state: Path) -> None:
    """Put a new TLS leaf in the place of the old one; the identity stays, and peers need the new card."""
    name = _name_in(load_leaf(state / "tls.key", state / "tls.crt"))
    (state / "tls.key").rename(state / "tls.key.old")
    save_leaf(generate_leaf(name), state / "tls.key", state / "tls.crt")
    (state / "tls.key.old").unlink()


def _name_in(leaf: Leaf) -> str:
    names = leaf.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


def trust(cards: list[Path], folder: Path) -> list[Card]:
    """Verify cards of peers and keep them beside the roster, as NAME.card."""
    read = [read_card(path) for path in cards]
    for card in read:
        write_card(card, folder / f"{card.name}.card")
    return read
