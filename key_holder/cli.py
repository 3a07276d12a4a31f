"""Commands of a key holder's custodian: `fedstats-keyholder init | card | trust | sign | check-config | serve | ...`.

Thin: parse, call, print. Heavy imports stand in the commands that need them, so that --help is quick.
"""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.errors import FedstatsError
from fedstats.lean_process import few_arenas, load_quickly, one_thread_below
from fedstats.terminal.failures import exit_code, print_error
from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

PROGRAM = "fedstats-keyholder"

app = typer.Typer(
    name=PROGRAM,
    help="The key holder: opens sums of encrypted words, for those whom keyholder.toml names.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)

ConfigFile = Annotated[
    Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="keyholder.toml, with its settings.")
]
ConfigOption = Annotated[
    Path,
    typer.Option("--config", metavar="FILE", exists=True, dir_okay=False, help="keyholder.toml, with its settings."),
]


def run() -> None:
    """Entry point: run a command and end with its exit code; every error is one clear message."""
    # The processes that open ciphertexts share the cores.
    one_thread_below()
    few_arenas()
    load_quickly()
    sys.exit(exit_code(PROGRAM, app, _show))


def _show(error: FedstatsError) -> None:
    print_error(PROGRAM, error)


@app.command(cls=GroupedCommand)
def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", file_okay=False, help="Folder of the key holder; made where it is new.")
    ],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Name in the roster; the folder's unless said.")
    ] = "",
    bits: Annotated[int, typer.Option("--bits", metavar="N", help="Length of the modulus.")] = 3072,
) -> None:
    """Make the key holder's keys where they stay, and a keyholder.toml."""
    _need_extra()
    from key_holder.keys_folder import init as make

    for path in make(folder, name or folder.absolute().name, bits=bits):
        _say(f"made {path}")
    _say(f"Next: fill in keyholder.toml, hand out your card ({PROGRAM} card), and never give state/ to anybody.")


@app.command(cls=GroupedCommand)
def card(
    folder: Annotated[Path, typer.Argument(metavar="DIR", exists=True, help="Folder of the key holder.")] = Path(),
    *,
    renew: Annotated[bool, typer.Option("--renew", help="Make a new TLS leaf first.")] = False,
) -> None:
    """Write NAME.card, signed: hand it to coordinators and custodians."""
    _need_extra()
    from fedstats.identity.custodian import folder_of
    from fedstats.identity.party_keys import renew_leaf
    from key_holder.keys_folder import CUSTODIAN, write_own_card

    folder = folder_of(folder)
    if renew:
        renew_leaf(CUSTODIAN.key_files(folder), CUSTODIAN.init)
    own, path = write_own_card(folder)
    _say(f"wrote {path}: {_described(own)}")
    _say(f"modulus of {int(own.paillier_modulus, 16).bit_length()} bits")
    if renew:
        _say("Next: hand the card to the coordinators, and start the key holder again.")


@app.command(cls=GroupedCommand)
def trust(
    cards: Annotated[
        list[Path], typer.Argument(metavar="CARD", exists=True, dir_okay=False, help="NAME.card files of coordinators.")
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
    _say("A key holder that runs reads its cards when it is started again.")


@app.command(cls=GroupedCommand)
def sign(
    roster: Annotated[
        Path, typer.Argument(metavar="ROSTER", exists=True, dir_okay=False, help="roster.toml, signed by some or none.")
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", exists=True, help="Of the key holder; else this one, or the roster's."),
    ] = None,
) -> None:
    """Add the key holder's signature to a roster; show what is signed."""
    _need_extra()
    from fedstats.identity.drafting import described
    from key_holder.keys_folder import CUSTODIAN

    for line in described(CUSTODIAN.sign(roster, folder)):
        _say(line)
    _say("Compare the fingerprint with the other parties, by telephone, before you pass the file on.")


@app.command("check-config", cls=GroupedCommand)
def check_config(file: ConfigFile) -> None:
    """Check all that serve would check; list all faults at once."""
    _need_extra()
    from key_holder.config import read_settings
    from key_holder.holder import check_all, keys_warnings

    settings = read_settings(file)
    keys = check_all(settings)
    for warning in keys_warnings(keys, datetime.now(UTC)):
        _say(f"warning: {warning}")
    if settings.policy.allow_unmasked:
        _say("warning: [policy] allow_unmasked is set: this key holder will see totals of runs without masks")
    _say(f"{file.name} is good: key holder {settings.name} of {settings.roster.content.federation}")


@app.command(cls=GroupedCommand)
def serve(config: ConfigOption) -> None:
    """Open sums for permitted coordinators until stopped."""
    _need_extra()
    from fedstats.logs import set_up_logs
    from fedstats.scratch import keep_scratch_in
    from key_holder.config import read_settings
    from key_holder.holder import open_holder
    from key_holder.serving import serve as answer

    settings = read_settings(config)
    set_up_logs(settings.state if settings.state.is_dir() else None, settings.name, role="key_holder")
    keep_scratch_in(settings.state)
    answer(open_holder(settings))


@app.command("accept-ledger", cls=GroupedCommand)
def accept_ledger(config: ConfigOption) -> None:
    """Go on with a ledger that was put back from a backup.

    The key holder must be stopped; that it goes on is entered in the ledger.
    """
    _need_extra()
    from key_holder.config import read_settings
    from key_holder.holder import accept_own_ledger

    generation = accept_own_ledger(read_settings(config))
    _say(f"the ledger is gone on with as it is, as generation {generation}; this is entered in it")
    _say("Next: tell every custodian that passes were forgotten, then start the key holder again.")


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
    """Verify the hash chain of a ledger and what was opened, and print what it holds.

    Kinds of entries are counted unless each entry is asked for.
    """
    _need_extra()
    from fedstats.audit import Shown, show
    from fedstats.ledger import verified
    from key_holder.records import check_openings

    with verified(file) as chain:
        check_openings(file, chain)
        show(chain, Shown(run, kind, entries, json))


def _need_extra() -> None:
    from fedstats.privacy.extras import need_paillier

    need_paillier()


def _described(card: Any) -> str:  # Any: a Card, which takes long to import
    return f"identity {card.identity}, certificate until {card.leaf.not_valid_after_utc:%Y-%m-%d}"


def _say(text: str) -> None:
    typer.echo(text)
