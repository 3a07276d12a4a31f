"""Commands of the custodian: `fedstats-node init | card | trust | sign | check-config | serve | accept-ledger | audit`.

Thin: parse, call, print. Heavy imports stand in the commands that need them, so that --help is quick.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.errors import FedstatsError
from fedstats.lean_process import few_arenas, load_arrow_alone, load_logging_alone, load_quickly, one_thread_below
from fedstats.terminal.failures import exit_code, print_error
from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

app = typer.Typer(
    name="fedstats-node",
    help="The node agent: your data stay here; what leaves is what node.toml allows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)

ConfigFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="node.toml, with the node's settings.")
]
ConfigOption = Annotated[
    Path, typer.Option("--config", metavar="FILE", exists=True, dir_okay=False, help="node.toml, with its settings.")
]


def run() -> None:
    """Entry point: run a command and end with its exit code; every error is one clear message."""
    # The agent's own threads share the cores.
    one_thread_below()
    few_arenas()
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")
    load_quickly()
    sys.exit(exit_code("fedstats-node", app, _show))


def _show(error: FedstatsError) -> None:
    print_error("fedstats-node", error)


@app.command(cls=GroupedCommand)
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Folder of the node; made where it is new.")
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name in the roster; the folder's unless said.")
    ] = "",
) -> None:
    """Make the node's keys where they stay, and a node.toml."""
    from node_agent.keys_folder import init as make

    for path in make(folder, name or folder.absolute().name):
        _say(f"made {path}")
    _say("Next: fill in node.toml, hand out your card (fedstats-node card), and never give state/ to anybody.")


@app.command(cls=GroupedCommand)
def card(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, help="Folder of the node.")] = Path(),
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Make a new TLS leaf first.")] = False,
) -> None:
    """Write NAME.card, signed: hand it to the coordinators."""
    from fedstats.identity.custodian import folder_of
    from fedstats.identity.party_keys import renew_leaf
    from node_agent.keys_folder import CUSTODIAN, write_own_card

    folder = folder_of(folder)
    if renew:
        renew_leaf(CUSTODIAN.key_files(folder), CUSTODIAN.init)
    own, path = write_own_card(folder)
    _say(f"wrote {path}: {_described(own)}")
    if renew:
        _say("Next: hand the card to the coordinators, and start the agent again.")


@app.command(cls=GroupedCommand)
def trust(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD", exists=True, dir_okay=False, help="NAME.card files of peers.")
    ],
    folder: Annotated[
        Path, typer.Option("--folder", metavar="DIR", exists=True, help="Where roster.toml lies.")
    ] = Path(),
) -> None:
    """Verify cards of coordinators; keep them beside roster.toml."""
    from fedstats.identity.custodian import folder_of
    from fedstats.identity.party_keys import keep_cards

    for kept in keep_cards(cards, folder_of(folder)):
        _say(f"{kept.role} {kept.name}: {_described(kept)}")
    _say("Compare each identity with its owner, by telephone, before you sign a roster that has it.")
    _say("An agent that runs reads its cards when it is started again.")


@app.command(cls=GroupedCommand)
def sign(
    roster: Annotated[
        Path, typer.Argument(metavar="ROSTER", exists=True, dir_okay=False, help="roster.toml, signed by some or none.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option(
            "--folder", metavar="DIR", exists=True, help="Folder of the node; else this one, or the roster's."
        ),
    ] = None,
) -> None:
    """Add the node's signature to a roster; show what is signed."""
    from fedstats.identity.drafting import described
    from node_agent.keys_folder import CUSTODIAN

    for line in described(CUSTODIAN.sign(roster, folder)):
        _say(line)
    _say("Compare the fingerprint with the other parties, by telephone, before you pass the file on.")


def _described(card: Any) -> str:  # Any: a Card, which takes long to import
    return f"identity {card.identity}, certificate until {card.leaf.not_valid_after_utc:%Y-%m-%d}"


def _say(text: str) -> None:
    typer.echo(text)


@app.command("check-config", cls=GroupedCommand)
def check_config(file: ConfigFile) -> None:
    """Check all that serve would check; list all faults at once."""
    from node_agent.config import read_settings
    from node_agent.never_served import never_served
    from node_agent.node import check_all, keys_warnings

    settings = read_settings(file)
    keys, registered = check_all(settings)
    for name, dataset in registered.items():
        _say(f"data set {name}: {dataset.people} people, {dataset.variants} variants")
        for warning in dataset.warnings:
            _say(f"  warning: {warning}")
    for warning in keys_warnings(keys, datetime.now(UTC)):
        _say(f"warning: {warning}")
    for warning in never_served(settings, registered):
        _say(f"warning: {warning}")
    _say(f"{file.name} is good: node {settings.name} of {settings.roster.content.federation}")


@app.command(cls=GroupedCommand)
def preview(
    plans: Annotated[
        list[str] | None,
        typer.Argument(metavar="PLAN", help="File of a plan, or the beginning of a plan's or run's id as listed."),
    ] = None,
    *,
    config: ConfigOption = Path("node.toml"),
    json: Annotated[bool, typer.Option("--json", help="One JSON object a plan and line.")] = False,
) -> None:
    """Show every number that a study would send.

    Without PLAN, list the plans that were proposed to this node.
    """
    from node_agent.config import read_settings
    from node_agent.looking import looking
    from node_agent.plans import plan_named
    from node_agent.preview import preview as look
    from node_agent.preview_text import as_json, list_plans, show

    with looking(read_settings(config)) as node:
        if not plans:
            list_plans(node)
        for name in plans or ():
            found = look(node, plan_named(node, name))
            if json:
                sys.stdout.write(f"{as_json(found)}\n")
            else:
                show(found, terminal=sys.stdout.isatty())


@app.command(cls=GroupedCommand)
def serve(config: ConfigOption) -> None:
    """Answer permitted coordinators until stopped."""
    load_logging_alone()
    load_arrow_alone()
    from fedstats.logs import set_up_logs
    from fedstats.scratch import keep_scratch_in
    from node_agent.config import read_settings
    from node_agent.node import open_node
    from node_agent.serving import serve as answer

    settings = read_settings(config)
    set_up_logs(settings.state if settings.state.is_dir() else None, settings.name)
    keep_scratch_in(settings.state)
    node = open_node(settings)
    answer(node)


@app.command("accept-ledger", cls=GroupedCommand)
def accept_ledger(
    node: Annotated[str, typer.Argument(metavar="NODE", help="The peer whose state was put back from a backup.")],
    config: ConfigOption = Path("node.toml"),
) -> None:
    """Take a peer's ledger as it is after a backup was put back.

    The agent must be stopped; that the ledger was taken is entered in this node's own.
    """
    from node_agent.config import read_settings
    from node_agent.node import accept_peer_ledger

    accept_peer_ledger(read_settings(config), node)
    _say(f"the ledger of {node} is taken as it will be shown next; this is entered in the ledger")


@app.command(cls=GroupedCommand)
def audit(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="ledger.sqlite, in the state folder.")
    ],
    *,
    entries: Annotated[bool, typer.Option("--entries", help="Print each entry.")] = False,
    run: Annotated[str, typer.Option("--run", metavar="RUN", help="Only of the run that begins like this.")] = "",
    kind: Annotated[str, typer.Option("--kind", metavar="KIND", help="Only of one kind, as they are counted.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Each entry as one JSON object a line.")] = False,
) -> None:
    """Verify the hash chain of a ledger, and print what it holds.

    Kinds of entries are counted unless each entry is asked for.
    """
    from fedstats.audit import Shown, show
    from fedstats.ledger import verified
    from node_agent.plans import digests_of

    with verified(file) as chain:
        show(chain, Shown(run, kind, entries, json), digests_of(file, run) if run else ())
