"""fedstats init, card and trust: a coordinator's keys, its card, and the cards of its nodes."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.cli.output import say

INIT = "fedstats init DIR --name NAME"

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the coordinator.")]

_FEDERATION_TOML = """\
# Settings of a coordinator of fedstats. Paths are relative to this file. A '#' before a key shows its default.

[federation]
name = "my-federation"           # as in roster.toml
roster = "roster.toml"           # signed by every party; the nodes' cards (NAME.card) lie beside it
# dataset = ""                   # which data set of the nodes, where they have several in common

[variants]
panel = "panel.bim"              # what results are ordered by: a .bim file, or a table with CHROM POS ID REF ALT
build = "GRCh37"                 # as in each node.toml

[[node]]                         # where you reach the agent of a node of the roster; one such table a node
name = "FI"
address = "127.0.0.1:7401"

[coordinator]
identity = "coordinator.key"     # the TLS leaf lies beside it: coordinator.tls.key, coordinator.tls.crt
"""


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Folder of the coordinator; made where it is new.")
    ],
    name: Annotated[str, typer.Option(metavar="NAME", help="The coordinator's name in the roster.")],
) -> None:
    """Make a coordinator's keys, its card, and a federation.toml to fill in."""
    from fedstats.identity.party_keys import coordinator_keys, make_keys

    files = coordinator_keys(folder)
    make_keys(files, name)
    config = folder / "federation.toml"
    made = [*files.all, _write_card(folder)]
    if not config.exists():
        config.write_text(_FEDERATION_TOML, encoding="utf-8")
        made.append(config)
    for path in made:
        say(f"made {path}")
    say(f"Next: hand {name}.card to every node and ask for theirs, then: fedstats roster draft. Keep the .key files.")


def card(
    folder: Folder = Path(),
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Make a new TLS leaf first.")] = False,
) -> None:
    """Write the coordinator's NAME.card again; nodes trust it."""
    from fedstats.identity.card import read_card
    from fedstats.identity.party_keys import coordinator_keys, renew_leaf

    folder = folder.parent if folder.is_file() else folder
    if renew:
        renew_leaf(coordinator_keys(folder), INIT)
    path = _write_card(folder)
    say(f"wrote {path}: {_described(read_card(path))}")
    if renew:
        say("Next: hand the card to every node; an agent takes it once it is trusted and the agent is started again.")


def trust(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD", exists=True, dir_okay=False, help="NAME.card files of nodes.")
    ],
    folder: Annotated[Path, typer.Option(metavar="DIR", file_okay=False, help="Where roster.toml lies.")] = Path(),
) -> None:
    """Verify cards of nodes and keep them beside roster.toml."""
    from fedstats.identity.party_keys import keep_cards

    for kept in keep_cards(cards, folder):
        say(f"{kept.role} {kept.name}: {_described(kept)}")


def _write_card(folder: Path) -> Path:
    from fedstats.identity.card import write_card
    from fedstats.identity.party_keys import coordinator_keys, own_card

    own = own_card(coordinator_keys(folder), "coordinator", INIT)
    path = folder / f"{own.name}.card"
    write_card(own, path)
    return path


def _described(card: Any) -> str:
    return f"identity {card.identity}, certificate until {card.leaf.not_valid_after_utc:%Y-%m-%d}"
