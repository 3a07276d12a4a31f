"""fedstats roster: who is in a federation, drafted from cards, signed by every party."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedstats.cli.output import say
from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

if TYPE_CHECKING:
    from fedstats.identity.card import Card

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=SETTINGS)

RosterFile = Annotated[
    Path, typer.Argument(metavar="ROSTER", exists=True, dir_okay=False, help="roster.toml, signed by all or some.")
]
NewFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The file to write.")]


@app.command("draft", cls=GroupedCommand)
def draft(
    cards: Annotated[
        list[Path],
        typer.Argument(
            metavar="CARD", exists=True, dir_okay=False, help="Cards of all nodes, coordinators, and the key holder."
        ),
    ],
    federation: Annotated[str, typer.Option(metavar="NAME", help="Name of the federation.")],
    out: NewFile,
    min_people: Annotated[
        str, typer.Option(metavar="NODE=N,...", help="Fewest people a node says it answers for; 100 unless said.")
    ] = "",
) -> None:
    """Make a roster from cards; nobody has signed it yet."""
    from fedstats.identity.drafting import described, draft_roster
    from fedstats.identity.party_keys import keep_cards
    from fedstats.identity.roster import write_roster

    _check_new(out)
    roster = draft_roster(federation, _read(cards), _numbers(min_people))
    keep_cards(cards, out.parent)
    write_roster(roster, out)
    _say(described(roster))
    if len(roster.content.nodes) == 2:
        say("Two nodes have no protection from each other: each policy must allow it, and every result will say so.")
    say(f"wrote {out}. Next: sign it (fedstats roster sign), and send it from node to node (fedstats-node sign).")


@app.command("sign", cls=GroupedCommand)
def sign(
    roster: RosterFile,
    key: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Else coordinator.key beside the roster."),
    ] = None,
) -> None:
    """Add the coordinator's signature to a roster."""
    from fedstats.errors import UsageError
    from fedstats.identity.drafting import described, sign_in_place
    from fedstats.identity.keys import load_identity

    path = key or roster.parent / "coordinator.key"
    if not path.is_file():
        raise UsageError(
            f"there is no {path}", code="NO_KEYS", hint="Name your key: --key FILE. 'fedstats init' makes one."
        )
    _say(described(sign_in_place(roster, load_identity(path), roster.parent, path.parent)))


@app.command("show", cls=GroupedCommand)
def show(roster: RosterFile) -> None:
    """Show who is in a roster, and who has signed it."""
    from fedstats.identity.drafting import described
    from fedstats.identity.roster import read_draft_roster

    _say(described(read_draft_roster(roster)))


@app.command("merge", cls=GroupedCommand)
def merge(
    rosters: Annotated[
        list[Path], typer.Argument(metavar="ROSTER", exists=True, dir_okay=False, help="Copies of one roster.")
    ],
    out: NewFile,
) -> None:
    """Join the signatures of copies that were signed apart."""
    from fedstats.identity.drafting import described, merge_rosters
    from fedstats.identity.roster import write_roster

    merged = merge_rosters(rosters)
    if out.absolute() not in [path.absolute() for path in rosters]:
        _check_new(out)
    write_roster(merged, out)
    _say(described(merged))


def _say(lines: list[str]) -> None:
    for line in lines:
        say(line)


def _check_new(path: Path) -> None:
    from fedstats.errors import UsageError

    if not path.absolute().parent.is_dir():
        raise UsageError(f"--out {path}: there is no folder {path.parent}", code="NO_FOLDER")
    if path.exists():
        raise UsageError(
            f"--out {path} exists already", code="FILE_EXISTS", hint="A roster is not overwritten; name another file."
        )


def _read(paths: list[Path]) -> "list[Card]":
    from fedstats.identity.card import read_card

    return [read_card(path) for path in paths]


def _numbers(text: str) -> dict[str, int]:
    """Numbers by name, from NODE=N,NODE=N."""
    from fedstats.errors import UsageError

    found = {}
    for part in text.split(",") if text else []:
        name, _, number = part.partition("=")
        if not name or not number.isdecimal():
            raise UsageError(f"--min-people {text!r} is not as in FI=200,EE=150", code="BAD_MIN_PEOPLE")
        found[name] = int(number)
    return found
