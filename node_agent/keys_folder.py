"""The folder of a node as its custodian makes it: keys that stay where they were made, a card, a node.toml."""

from pathlib import Path

from fedstats.identity.card import Card, write_card
from fedstats.identity.custodian import Custodian
from fedstats.identity.party_keys import make_keys, own_card
from node_agent.policy import ANALYSES, Policy
from node_agent.policy_table import WHY

CUSTODIAN = Custodian(role="node", config="node.toml", init="fedstats-node init")

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


def init(folder: Path, name: str) -> list[Path]:
    """Make identity and TLS leaf of a node where they stay, and a node.toml to fill in; returns what was made."""
    files = CUSTODIAN.key_files(folder)
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
    for key, why in WHY.items():
        value = getattr(default, key)
        text = str(value).lower() if isinstance(value, bool) else f'"{value}"' if isinstance(value, str) else str(value)
        text = "[]" if isinstance(value, tuple) else text
        lines.append(f"{f'# {key} = {text}':<33}# {why}")
    return "\n".join(lines)


def write_own_card(folder: Path) -> tuple[Card, Path]:
    """Write NAME.card of the node in a folder; the card and where it lies."""
    card = own_card(CUSTODIAN.key_files(folder), CUSTODIAN.role, CUSTODIAN.init)
    path = folder / f"{card.name}.card"
    write_card(card, path)
    return card, path
