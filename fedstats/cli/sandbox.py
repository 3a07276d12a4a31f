"""fedstats sandbox: pooled data split into sites, and real agents for them on this machine."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the sandbox.")]


@app.command("create")
def create(  # noqa: PLR0913  # one parameter a flag: this is the command line
    folder: Folder,
    bfile: Annotated[Path, typer.Option(help="Prefix of the pooled PLINK 1 fileset.")],
    pheno: Annotated[Path, typer.Option(help="Pooled phenotype table.")],
    covar: Annotated[Path, typer.Option(help="Pooled covariate table.")],
    site_column: Annotated[str, typer.Option(help="Column that names each person's site.")],
    build: Annotated[str, typer.Option(help="Genome build.")] = "GRCh37",
    policy: Annotated[str, typer.Option(help="default, or validation for public data.")] = "default",
    swap: Annotated[str, typer.Option(help="Sites whose files get A1 and A2 exchanged.")] = "",
    continue_without_me: Annotated[str, typer.Option(help="Sites without which a run may go on.")] = "",
) -> None:
    """Split pooled data into one folder a site, with keys, policies and a signed roster."""
    from fedstats.cli.output import say
    from fedstats.errors import UsageError
    from fedstats.sandbox.create import create as make

    if policy not in ("default", "validation"):
        raise UsageError(f"--policy {policy!r} is not known; there are default and validation", code="BAD_POLICY")
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
    )
    for site in made.sites:
        say(f"{site.name:<12} {site.people:>9,} people   {made.sandbox.nodes[site.name]}")
    if made.left_out:
        say(f"{made.left_out:,} people have no site and are left out")
    for sentence in made.broken:
        say(f"Under the default policy a run would be refused: {sentence}.")
    say(f"Next: fedstats sandbox up {folder} --detach")


@app.command("up")
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
    processes.start(sandbox)
    for name, address in sandbox.nodes.items():
        say(f"{name:<12} ready at {address}")
    if detach:
        return
    say("Ctrl-C stops them.")
    try:
        processes.wait(sandbox)
    finally:
        processes.stop(sandbox)


@app.command("status")
def status(folder: Folder) -> None:
    """Show which agents run."""
    from fedstats.cli.output import say
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    for agent in processes.states(open_sandbox(folder)):
        process = f"process {agent.process}" if agent.process else ""
        say(f"{agent.name:<12} {agent.word:<9} {agent.address:<22} {process}".rstrip())


@app.command("down")
def down(folder: Folder) -> None:
    """Stop every agent; each finishes the block at hand."""
    from fedstats.cli.output import say
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    processes.stop(open_sandbox(folder))
    say("All agents are down.")
