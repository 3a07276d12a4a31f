"""What the commands that ask a federation have in common: their flags, the connection, and what they print."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.cli.output import Show, events, say

FederationFile = Annotated[Path, typer.Option("--federation", help="federation.toml: panel, nodes, coordinator.")]
Out = Annotated[Path, typer.Option("--out", help="Prefix of the files to write.")]
Phenotypes = Annotated[str, typer.Option("--pheno", help="Traits, by comma.")]
OptionalPhenotypes = Annotated[str, typer.Option("--pheno", help="Only people with these traits.")]
Covariates = Annotated[str, typer.Option("--covar", help="Covariates, by comma; PC1-PC4 is a range.")]
Chromosomes = Annotated[str, typer.Option("--chr", help="Chromosomes: 1-22,X.")]
Extract = Annotated[Path | None, typer.Option("--extract", help="File of variant ids to keep.")]
Exclude = Annotated[Path | None, typer.Option("--exclude", help="File of variant ids to leave out.")]
Keep = Annotated[Path | None, typer.Option("--keep", help="File of people (FID IID) to keep.")]
Remove = Annotated[Path | None, typer.Option("--remove", help="File of people (FID IID) to leave out.")]
PeopleAs = Annotated[str, typer.Option("--people-as", help="The people of an earlier run: its OUT or run id.")]
Nodes = Annotated[str, typer.Option("--nodes", help="Nodes of the run; all by default.")]
Privacy = Annotated[str, typer.Option("--privacy", help="masked, or plain where every policy allows it.")]
PassVariants = Annotated[int, typer.Option("--pass-variants", help="Most variants in a pass.")]
Wait = Annotated[str, typer.Option("--wait", help="How long to wait for a node that is gone: 90s, 15m, 2h.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with the run whose state lies in OUT.run.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line for progress, result and error.")]

_COMMON = ("privacy", "extract", "exclude", "keep", "remove", "people_as", "nodes", "pass_variants", "wait", "resume")


@dataclass(frozen=True)
class Session:
    """A connection to a federation, and how its events are shown."""

    client: Any  # fedstats.client.Federation, imported late so that --help is quick
    show: Show
    keywords: Mapping[str, Any]


@contextmanager
def run(federation: Path, flags: Mapping[str, Any]) -> Iterator[Session]:
    """A connection for one command; `flags` are the command's parameters by name."""
    with events(as_json=flags["json"]) as show:
        from fedstats.client import connect

        common = {name: flags[name] for name in _COMMON}
        keywords = {**common, "chr": flags["chromosomes"], "out": flags["out"], "command": _typed(), "events": show}
        with connect(federation) as client:
            yield Session(client, show, keywords)


def _typed() -> str:
    return shlex.join(["fedstats", *sys.argv[1:]])


def say_associations(results: Mapping[str, Any]) -> None:
    """A line per trait, and where its files are."""
    for name, result in results.items():
        say(f"{name}: {_summary(result)}")


def _summary(result: Any) -> str:
    return f"{len(result):,} variants, {result.summary.ok_rows:,} OK, lambda GC {result.lambda_gc:.3f}"


def say_files(out: Path) -> None:
    """The files that a run wrote under a prefix."""
    written = sorted(path for path in out.parent.glob(f"{out.name}.*") if path.is_file())
    for path in written:
        say(f"  {path}")
