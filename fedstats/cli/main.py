"""The `fedstats` command: parse, call, print. What a command does is in `fedstats.cli.<command>` or below."""

import signal
import sys
from typing import Any

import typer

from fedstats.cli import demo, gwas, nodes, sandbox, simulate, tables

app = typer.Typer(
    name="fedstats",
    help="Federated genome-wide association: the pooled answer, from data that stay at home.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("simulate", help="Simulate a pooled PLINK 1 fileset with traits, covariates and known causal variants.")(
    simulate.simulate
)
app.add_typer(sandbox.app, name="sandbox", help="Split pooled data into sites and run real agents for them.")
app.command("demo", help="Three agents, masked linear and logistic GWAS, compared with the pooled analysis.")(
    demo.demo
)
app.command("nodes", help="Who is there: data sets, people, traits, policy, versions, certificates.")(nodes.nodes)
app.command("freq", help="Allele frequencies, as plink2 --freq.")(tables.freq)
app.command("hardy", help="Hardy-Weinberg tests, as plink2 --hardy.")(tables.hardy)
app.command("missing", help="Missing calls per variant, as plink2 --missing.")(tables.missing)
app.command("gwas", help="Association of every variant with one or more traits.")(gwas.gwas)


def _version(show: bool) -> None:  # noqa: FBT001  # typer calls it with the flag's value
    if show:
        from fedstats import __version__

        typer.echo(f"fedstats {__version__}")
        raise typer.Exit


@app.callback()
def options(version: bool = typer.Option(False, "--version", callback=_version, is_eager=True)) -> None:  # noqa: FBT001  # typer reads the signature
    """Federated genome-wide association: the pooled answer, from data that stay at home."""
    del version


def run() -> None:
    """Run the command; every error that we raise becomes one clear message and its exit code."""
    import click

    from fedstats.errors import FedstatsError

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        sys.exit(app(standalone_mode=False) or 0)
    except click.exceptions.Exit as done:
        sys.exit(done.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except FedstatsError as error:
        _show(error)
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.exceptions.Abort):
        print("fedstats: interrupted; nothing half-written was left.", file=sys.stderr)  # noqa: T201
        sys.exit(130)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt


def _show(error: Exception) -> None:
    from fedstats.cli.output import show_error

    show_error(error)


if __name__ == "__main__":
    run()
