"""Commands of the custodian: `fedstats-node init | card | trust | check-config | serve | accept-ledger | audit`.

Thin: parse, call, print. Heavy imports stand in the commands that need them, so that --help is quick.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from fedstats.errors import FedstatsError

app = typer.Typer(
    name="fedstats-node",
    help="The node agent: your data stay here; what leaves is what node.toml allows.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
_out, _err = Console(soft_wrap=True), Console(stderr=True, soft_wrap=True)

Folder = Annotated[Path, typer.Argument(help="Folder of the node; made where it is new.")]
NodeFolder = Annotated[Path, typer.Argument(help="Folder of the node, with state/ in it.")]
ConfigFile = Annotated[Path, typer.Argument(help="node.toml")]
ConfigOption = Annotated[Path, typer.Option("--config", help="node.toml")]
NameOption = Annotated[str, typer.Option("--name", help="The node's name in the roster; else the folder's name.")]


def run() -> None:
    """Entry point: run a command and end with its exit code."""
    one_thread_below()
    try:
        app(standalone_mode=False)
    except FedstatsError as error:
        _err.print(f"[red]error[/red] {escape(str(error))}")
        sys.exit(error.exit_code)
    except typer.Abort:
        sys.exit(130)
    except Exception as error:
        # Click's own usage errors print themselves and carry an exit code.
        show = getattr(error, "show", None)
        if show is None:
            raise
        show()
        sys.exit(2)


def one_thread_below() -> None:
    """Pin libraries to one thread each, before they are loaded: the agent's own threads share the cores."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ.setdefault("NUMBA_NUM_THREADS", "1")


@app.command()
def init(folder: Folder, name: NameOption = "") -> None:
    """Make the node's keys where they stay, and a node.toml to fill in."""
    from node_agent.keys_folder import init as make

    for path in make(folder, name or folder.absolute().name):
        _out.print(f"made {escape(str(path))}")
    _out.print("Next: fill in node.toml, hand out your card (fedstats-node card), and never copy state/ anywhere.")


@app.command()
def card(
    folder: NodeFolder = Path(),
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Make a new TLS leaf first.")] = False,
) -> None:
    """Write NAME.card: name, identity and certificate, signed; hand it to your peers."""
    from fedstats.identity.card import write_card
    from node_agent.keys_folder import own_card, renew_leaf

    if renew:
        renew_leaf(folder / "state")
    own = own_card(folder / "state")
    path = folder / f"{own.name}.card"
    write_card(own, path)
    _out.print(f"wrote {escape(str(path))}: identity {own.identity[:16]}..., certificate until {_until(own.leaf)}")


def _until(leaf: object) -> str:
    return f"{getattr(leaf, 'not_valid_after_utc', None):%Y-%m-%d}"


@app.command()
def trust(
    cards: Annotated[list[Path], typer.Argument(help="NAME.card files of peers.")],
    folder: Annotated[Path, typer.Option("--folder", help="Where roster.toml lies.")] = Path(),
) -> None:
    """Verify cards of peers and keep them beside roster.toml."""
    from node_agent.keys_folder import trust as keep

    for kept in keep(cards, folder):
        _out.print(f"{kept.role} {kept.name}: identity {kept.identity}, certificate until {_until(kept.leaf)}")
    _out.print("Compare each identity with its owner, by telephone, before you sign a roster that has it.")


@app.command("check-config")
def check_config(file: ConfigFile) -> None:
    """Check everything that serve would check, and list all faults at once."""
    from node_agent.config import read_settings
    from node_agent.node import certificate_warnings, check_all

    settings = read_settings(file)
    keys, registered = check_all(settings)
    for name, dataset in registered.items():
        _out.print(f"data set {name}: {dataset.people} people, {dataset.variants} variants")
        for warning in dataset.warnings:
            _out.print(f"  warning: {escape(warning)}")
    for warning in certificate_warnings(keys, datetime.now(UTC)):
        _out.print(f"warning: {escape(warning)}")
    if not settings.policy.analyses:
        _out.print("warning: [policy] analyses allows nothing, so every plan will be refused")
    _out.print(f"{escape(file.name)} is good: node {settings.name} of {settings.roster.content.federation}")


@app.command()
def serve(config: ConfigOption) -> None:
    """Answer permitted coordinators until stopped."""
    from node_agent.config import read_settings
    from node_agent.logs import set_up_logs
    from node_agent.node import open_node
    from node_agent.serving import serve as answer

    settings = read_settings(config)
    set_up_logs(settings.state if settings.state.is_dir() else None, settings.name)
    node = open_node(settings)
    answer(node)


@app.command("accept-ledger")
def accept_ledger(
    node: Annotated[str, typer.Argument(help="The peer whose state was put back from a backup.")],
    config: ConfigOption = Path("node.toml"),
) -> None:
    """Take a peer's ledger as it is now, though it is older than this node remembers; the agent must be stopped."""
    from node_agent.config import read_settings
    from node_agent.node import accept_peer_ledger

    accept_peer_ledger(read_settings(config), node)
    _out.print(f"the ledger of {escape(node)} is taken as it will be shown next; this is entered in the ledger")


@app.command()
def audit(file: Annotated[Path, typer.Argument(help="ledger.sqlite")]) -> None:
    """Verify the hash chain of a ledger, and print what it holds."""
    from collections import Counter

    from node_agent.ledger import GENESIS, verify

    entries = verify(file)
    kinds = Counter(entry.kind for entry in entries)
    table = Table("entry", "number", "first", "last", box=None)
    for kind, number in sorted(kinds.items()):
        times = [entry.at[:19] for entry in entries if entry.kind == kind]
        table.add_row(kind, str(number), times[0], times[-1])
    _out.print(table)
    head = entries[-1].hash if entries else GENESIS
    _out.print(f"the chain of {len(entries)} entries is whole; head {head}")
