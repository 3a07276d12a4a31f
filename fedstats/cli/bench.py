"""fedstats bench privacy: one study under every privacy setting; what each costs, how exact it is, what it leaks."""

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fedstats.cli.output import say
from fedstats.cli.runs import HOW, WHAT, option
from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

if TYPE_CHECKING:
    from fedstats.comparison.choices import Choice

app = typer.Typer(no_args_is_help=True, context_settings=SETTINGS)

Out = Annotated[Path, option("--out", "OUT", WHAT, "Prefix of OUT.html, OUT.json and OUT.txt.")]
Settings = Annotated[
    str, option("--settings", "NAMES", WHAT, "plain, masked, paillier, dp, or beginnings of names; all unless said.")
]
Nodes = Annotated[str, option("--nodes", "NUMBERS", WHAT, "Numbers of nodes, 3 to 15.")]
People = Annotated[int, option("--people", "N", WHAT, "People of the study, at all nodes together.")]
Variants = Annotated[int, option("--variants", "N", WHAT, "Variants; dp takes at most 5000.")]
Repeats = Annotated[int, option("--repeats", "N", HOW, "Runs of each setting; figures are medians.")]
Seed = Annotated[int, option("--seed", "N", HOW, "Where the random numbers start.")]


@app.command("privacy", cls=GroupedCommand, short_help="Cost, accuracy and leak of every privacy setting.")
def privacy(
    out: Out = Path("privacy"),
    settings: Settings = "",
    nodes: Nodes = "3,8,15",
    people: People = 1_500,
    variants: Variants = 4_000,
    repeats: Repeats = 1,
    seed: Seed = 1,
) -> None:
    """Run one simulated study under every setting with real agents, attack what is seen, and write a page.

    At the size that stands here a node's plain upload gives its people away. Noise leaves power to larger studies of
    fewer variants: try --people 20000 --variants 500 --settings masked,dp.
    """
    from fedstats.comparison.outcomes import text_table, write_json, write_text
    from fedstats.comparison.page import page
    from fedstats.comparison.run import Order, compare

    folder = Path(tempfile.mkdtemp(prefix="fedstats-privacy-"))
    try:
        order = Order(folder, _choices(settings), _numbers(nodes), people, variants, repeats, seed)
        found = compare(order, say)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = text_table(found.outcomes)
    say(f"\n{table}\n")
    paths = [Path(f"{out}.{ending}") for ending in ("txt", "json", "html")]
    write_text(paths[0], table)
    write_json(found, paths[1])
    write_text(paths[2], page(found))
    for path in paths:
        say(f"  {path}")


def _choices(names: str) -> "tuple[Choice, ...]":
    from fedstats.comparison.choices import CHOICES, chosen
    from fedstats.errors import UsageError

    found = chosen([name.strip() for name in names.split(",") if name.strip()])
    if not found:
        known = ", ".join(choice.name for choice in CHOICES)
        raise UsageError(f"--settings {names!r}: no setting begins so; there are {known}", code="UNKNOWN_SETTING")
    return found


def _numbers(typed: str) -> tuple[int, ...]:
    from fedstats.errors import UsageError

    try:
        numbers = tuple(sorted({int(number) for number in typed.split(",")}))
    except ValueError:
        numbers = ()
    if not numbers or numbers[0] < 3 or numbers[-1] > 15:
        raise UsageError(f"--nodes {typed!r} is not a list of numbers from 3 to 15, such as 3,8,15", code="BAD_NODES")
    return numbers
