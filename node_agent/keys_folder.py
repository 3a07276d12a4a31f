"""What a custodian makes and hands out: keys that stay where they were made, a card, a signature of the roster."""

import tomllib
from pathlib import Path

from fedstats.errors import ConfigError, UsageError
from fedstats.identity.card import Card, write_card
from fedstats.identity.drafting import sign_in_place
from fedstats.identity.keys import load_identity
from fedstats.identity.party_keys import KeyFiles, make_keys, node_keys, own_card
from fedstats.identity.roster import Roster
from node_agent.policy import ANALYSES, Policy

#: The command that makes a node's keys.
INIT = "fedstats-node init"

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
    files = key_files(folder)
    make_keys(files, name)
    made = list(files.all)
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


def node_folder(place: Path) -> Path:
    """The folder of a node, of which a file may have been named, as in `site/node.toml`."""
    return place.parent if place.is_file() else place


def key_files(folder: Path) -> KeyFiles:
    """Where the keys of the node in a folder lie: in the state folder that its node.toml names, else in state/.

    Raises
    ------
    ConfigError
        node.toml is not TOML; other faults of it do not matter here.
    """
    config = folder / "node.toml"
    state = "state"
    if config.is_file():
        try:
            node = tomllib.loads(config.read_text(encoding="utf-8")).get("node")
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ConfigError(config.name, [f"it is not TOML: {error}"], code="BAD_CONFIG") from None
        named = node.get("state") if isinstance(node, dict) else None
        state = named if isinstance(named, str) and named.strip() else state
    return node_keys(folder / state)


def write_own_card(folder: Path) -> tuple[Card, Path]:
    """Write NAME.card of the node in a folder; the card and where it lies."""
    card = own_card(key_files(folder), "node", INIT)
    path = folder / f"{card.name}.card"
    write_card(card, path)
    return card, path


def sign(roster: Path, folder: Path | None) -> Roster:
    """Add the node's signature to a roster file, and return what is signed.

    Parameters
    ----------
    roster
        The file, which is written in its place.
    folder
        Of the node; where none is named, the current one, or else the roster's, whichever has keys.
    """
    places = [node_folder(folder)] if folder is not None else [Path(), roster.parent]
    found = next((place for place in places if key_files(place).identity.is_file()), None)
    if found is None:
        looked = " nor in ".join(f"{key_files(place).identity.parent}/" for place in dict.fromkeys(places))
        raise UsageError(
            f"there is no identity.key in {looked}", code="NO_KEYS", hint="Name the node's folder: --folder DIR."
        )
    return sign_in_place(roster, load_identity(key_files(found).identity), roster.parent, found)
