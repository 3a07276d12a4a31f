"""fedstats sandbox: pooled data split into sites, and real agents for them on this machine."""

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from fedstats.terminal.help_pages import SETTINGS, GroupedCommand

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, context_settings=SETTINGS)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the sandbox.")]


@app.command("create", cls=GroupedCommand)
def create(  # one parameter a flag: this is the command line
    folder: Folder,
    bfile: Annotated[Path, typer.Option(metavar="PREFIX", help="Prefix of the pooled PLINK 1 fileset.")],
    pheno: Annotated[Path, typer.Option(metavar="FILE", help="Pooled phenotype table.")],
    covar: Annotated[Path, typer.Option(metavar="FILE", help="Pooled covariate table.")],
    site_column: Annotated[str, typer.Option(metavar="NAME", help="Column that names each person's site.")],
    build: Annotated[str, typer.Option(metavar="NAME", help="Genome build.")] = "GRCh37",
    policy: Annotated[
        str, typer.Option(metavar="default|validation", help="validation is for public data.")
    ] = "default",
    swap: Annotated[str, typer.Option(metavar="NAMES", help="Sites whose files get A1 and A2 exchanged.")] = "",
    continue_without_me: Annotated[
        str, typer.Option(metavar="NAMES", help="Sites without which a run may go on.")
    ] = "",
    *,
    key_holder: Annotated[
        bool, typer.Option("--key-holder", help="Make a key holder, too, for --privacy paillier.")
    ] = False,
    key_bits: Annotated[
        int | None, typer.Option(metavar="N", help="Length of the key holder's modulus; 3072 unless said.")
    ] = None,
) -> None:
    """Split pooled data into one folder a site, ready to run."""
    from fedstats.cli.output import say
    from fedstats.errors import UsageError
    from fedstats.sandbox.create import create as make
    from fedstats.sandbox.key_holder import DEFAULT_BITS

    if policy not in ("default", "validation"):
        raise UsageError(f"--policy {policy!r} is not known; there are default and validation", code="BAD_POLICY")
    if key_bits is not None and not key_holder:
        raise UsageError(
            f"--key-bits {key_bits} is for a key holder, and none is made",
            code="NO_EFFECT",
            hint="Add --key-holder, or leave it out.",
        )
    bits = (DEFAULT_BITS if key_bits is None else key_bits) if key_holder else 0
    made = make(
        folder,
        bfile=bfile,
        pheno=pheno,
        covar=covar,
        site_column=site_column,
        build=build,
        policy="validation" if policy == "validation" else "default",
        swap=tuple(swap.split(",")) if swap else (),
        continue_without_me=tuple(continue_without_me.split(",")) if continue_without_me else (),
        key_bits=bits,
    )
    for site in made.sites:
        say(f"{site.name:<12} {site.people:>9,} people   {made.sandbox.nodes[site.name]}")
    if key_holder:
        say(f"{'key holder':<12} {bits:>9,} bits     {made.sandbox.key_holder}")
    if made.left_out:
        say(f"{made.left_out:,} people have no site and are left out")
    _say_floors(made.broken, policy)
    say(f"Next: fedstats sandbox up {folder} --detach")


def _say_floors(broken: tuple[str, ...], policy: str) -> None:
    """Which default floors the split would break."""
    from fedstats.cli.output import say

    if not broken:
        say("Every site reaches every floor of the default policy.")
        return
    aside = " (the validation policy sets them aside)" if policy == "validation" else "; such runs will be refused"
    say(f"Floors of the default policy that this split breaks{aside}:")
    for sentence in broken:
        say(f"  {sentence}")


@app.command("up", cls=GroupedCommand)
def up(
    folder: Folder,
    *,
    detach: Annotated[bool, typer.Option("--detach", help="Return when every agent answers ready.")] = False,
) -> None:
    """Start one agent a site, each a process of its own."""
    from fedstats.cli.output import say
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    sandbox = open_sandbox(folder)
    try:
        processes.start(sandbox)
    except BaseException:  # whatever it was, no agent stays behind
        processes.stop(sandbox)
        raise
    for name, address in sandbox.agents.items():
        say(f"{name:<12} ready at {address}")
    if detach:
        return
    say("Ctrl-C stops them.")
    try:
        with contextlib.suppress(KeyboardInterrupt):
            processes.wait(sandbox)
    finally:
        processes.stop(sandbox)
    say("All agents are down.")


@app.command("status", cls=GroupedCommand)
def status(folder: Folder) -> None:
    """Show which agents run."""
    from fedstats.cli.output import say
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    for agent in processes.states(open_sandbox(folder)):
        process = f"process {agent.process}" if agent.process else ""
        say(f"{agent.name:<12} {agent.word:<9} {agent.address:<22} {process}".rstrip())


@app.command("down", cls=GroupedCommand)
def down(folder: Folder) -> None:
    """Stop every agent; each finishes the block at hand."""
    from fedstats.cli.output import say
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    processes.stop(open_sandbox(folder))
    say("All agents are down.")
