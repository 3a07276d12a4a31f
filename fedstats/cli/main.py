"""The `fedstats` command: parse, call, print. What a command does is in `fedstats.cli.<command>` or below."""

import signal
from typing import Any, NoReturn

import typer

from fedstats.cli import bench, demo, gwas, nodes, roster, sandbox, setting_up, simulate, tables
from fedstats.cli.failures import show_error
from fedstats.lean_process import lean_process, leave
from fedstats.terminal import failures
from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

app = typer.Typer(
    name="fedstats",
    help="Federated genome-wide association: the pooled answer, from data that stay at home.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings=SETTINGS,
)
_COMMANDS = (
    ("demo", demo.demo, "Three agents on simulated data, compared with the pooled analysis."),
    ("gwas", gwas.gwas, "Association of every variant with one or more traits."),
    ("freq", tables.freq, "Allele frequencies, as plink2 --freq."),
    ("hardy", tables.hardy, "Hardy-Weinberg tests, as plink2 --hardy."),
    ("missing", tables.missing, "Missing calls per variant, as plink2 --missing."),
    ("nodes", nodes.nodes, "Who is there: data, policies, budgets, certificates."),
    ("simulate", simulate.simulate, "Simulate pooled data with a known truth."),
    ("init", setting_up.init, "Make a coordinator's keys, its card, and a federation.toml."),
    ("card", setting_up.card, "Write the coordinator's card again; --renew its certificate."),
    ("trust", setting_up.trust, "Verify cards of nodes and keep them."),
)
for _name, _command, _summary in _COMMANDS:
    app.command(_name, cls=GroupedCommand, short_help=_summary)(_command)
app.add_typer(roster.app, name="roster", help="Who is in a federation: draft, sign, show and merge its roster.")
app.add_typer(bench.app, name="bench", help="Compare privacy settings: cost, accuracy, leak.")
app.add_typer(sandbox.app, name="sandbox", help="Split pooled data into sites; run real agents for them.")


def _version(show: bool) -> None:  # noqa: FBT001  # typer calls it with the flag's value
    if show:
        from fedstats import __version__

        typer.echo(f"fedstats {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: bool = typer.Option(False, "--version", help="Print the version.", callback=_version, is_eager=True),  # noqa: FBT001  # typer reads the signature
) -> None:
    """Federated genome-wide association: the pooled answer, from data that stay at home."""
    del version


def run() -> NoReturn:
    """Run the command and end with its exit code; every error is one clear message."""
    lean_process()
    signal.signal(signal.SIGTERM, _interrupt)
    leave(exit_code())


def exit_code() -> int:
    """Run the command line of this process; its exit code."""
    return failures.exit_code("fedstats", app, show_error)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    run()
