"""The `fedstats` command: parse, call, print. What a command does is in `fedstats.cli.<command>` or below."""

import signal
import sys
from typing import Any, NoReturn

import typer

from fedstats.cli import demo, gwas, nodes, sandbox, simulate, tables
from fedstats.cli.failures import failed, interrupted, misused, show_bug, wants_help
from fedstats.cli.help_pages import SETTINGS, GroupedCommand
from fedstats.errors import FaultyInput, FedstatsError
from fedstats.lean_process import lean_process, leave

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
)
for _name, _command, _summary in _COMMANDS:
    app.command(_name, cls=GroupedCommand, short_help=_summary)(_command)
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
    try:
        # typer turns Ctrl-C into 130 unless the command has made an error of its own of it.
        code = app(standalone_mode=False) or 0
        return failed(interrupted()) if code == 128 + signal.SIGINT else code
    except FedstatsError as error:
        return failed(error)
    except (KeyboardInterrupt, typer.Abort):
        return failed(interrupted())
    except BrokenPipeError:
        # Whoever read our output has gone; what Python still holds of it must not fail a second time.
        sys.stdout = None  # as Python itself does where there is no output
        return FedstatsError.exit_code
    except Exception as error:  # noqa: BLE001  # the last resort: still one message and not a page
        if wants_help(error):
            return FaultyInput.exit_code
        misuse = misused(error)
        if misuse is not None:
            return failed(misuse)
        show_bug(error)
        return FedstatsError.exit_code


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    run()
