"""What the commands that ask a federation have in common: their flags, the connection, and what they print."""

import contextlib
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.cli.output import Show, Shown, events, say
from fedstats.errors import FedstatsError, UsageError
from fedstats.lean_process import load_arrow_alone
from fedstats.results.status_words import in_words

#: Headings of the help page, in its order.
WHAT, MODEL, VARIANTS, PEOPLE, HOW = (
    "What to run",
    "Model",
    "Variants",
    "People and nodes",
    "How to run",
)


def option(flag: str, metavar: str, group: str, text: str) -> Any:  # Any: typer's own type of an option
    """An option of a help page."""
    return typer.Option(flag, metavar=metavar, rich_help_panel=group, help=text)


def switch(flag: str, group: str, text: str) -> Any:  # Any: typer's own type of an option
    """An option without a value."""
    return typer.Option(flag, rich_help_panel=group, help=text)


FederationFile = Annotated[
    Path, option("--federation", "FILE", WHAT, "federation.toml: nodes, variant panel, your keys.")
]
Phenotypes = Annotated[str, option("--pheno", "NAMES", WHAT, "Traits, separated by commas.")]
OptionalPhenotypes = Annotated[str, option("--pheno", "NAMES", PEOPLE, "Only people who have these traits.")]
Covariates = Annotated[str, option("--covar", "NAMES", WHAT, "Covariates; PC1-PC4 and PC{1:4} are ranges.")]
OptionalCovariates = Annotated[str, option("--covar", "NAMES", PEOPLE, "Only people who have these covariates.")]
Out = Annotated[Path, option("--out", "OUT", WHAT, "Prefix of the files to write.")]
Chromosomes = Annotated[str, option("--chr", "LIST", VARIANTS, "Chromosomes, as 1-22,X.")]
Extract = Annotated[Path | None, option("--extract", "FILE", VARIANTS, "Ids of variants to keep.")]
Exclude = Annotated[Path | None, option("--exclude", "FILE", VARIANTS, "Ids of variants to leave out.")]
Keep = Annotated[Path | None, option("--keep", "FILE", PEOPLE, "People (FID IID) to keep.")]
Remove = Annotated[Path | None, option("--remove", "FILE", PEOPLE, "People (FID IID) to leave out.")]
PeopleAs = Annotated[str, option("--people-as", "OUT", PEOPLE, "Only the people of the earlier run that wrote OUT.")]
Nodes = Annotated[str, option("--nodes", "NAMES", PEOPLE, "Nodes of the run; all unless said.")]
Privacy = Annotated[
    str,
    option(
        "--privacy",
        "masked|plain|paillier|dp",
        HOW,
        "plain shows you each node's sums, dp noised totals only; every policy must allow it.",
    ),
]
PaillierMasks = Annotated[
    str, option("--paillier-masks", "on|off", HOW, "off: you must not work together with the key holder.")
]
Epsilon = Annotated[float, option("--epsilon", "E", HOW, "What a run with --privacy dp may spend, at most 10.")]
Delta = Annotated[float | None, option("--delta", "D", HOW, "At which delta; 1e-6 unless said.")]
Ranges = Annotated[
    list[str] | None,
    option("--range", "NAME=LOW:HIGH", HOW, "Range of a trait or covariate under dp; once for each, PC1-PC4 for all."),
]
Project = Annotated[str, option("--project", "NAME", HOW, "Whose budgets at the nodes are charged.")]
PassVariants = Annotated[int, option("--pass-variants", "N", HOW, "Most variants in a pass.")]
Wait = Annotated[
    str, option("--wait", "TIME", HOW, "How long to wait for a node that goes away during the run: 90s, 15m, 2h.")
]
Resume = Annotated[bool, switch("--resume", HOW, "Go on with the interrupted run whose state lies in OUT.run.")]
PlanOnly = Annotated[bool, switch("--plan-only", HOW, "Propose the plan and write it to OUT; ask for no sum.")]
Json = Annotated[bool, switch("--json", HOW, "One JSON object a line for progress, results and errors.")]

_COMMON = (
    "privacy",
    "epsilon",
    "delta",
    "project",
    "extract",
    "exclude",
    "keep",
    "remove",
    "people_as",
    "nodes",
    "pass_variants",
    "wait",
    "resume",
)

#: What follows OUT in the files of every run, beside its tables.
_OTHER_FILES = (".report.html", ".variants.tsv.gz", ".run.json", ".log")


@dataclass(frozen=True)
class Session:
    """A connection to a federation, and how its events are shown.

    `paths` gathers the tables that were written; `flags` are the command's parameters by name.
    """

    client: Any  # fedstats.client.FederationClient, imported late so that --help is quick
    keywords: Mapping[str, Any]
    paths: list[str] = field(default_factory=list)
    flags: Mapping[str, Any] = field(default_factory=dict)

    def also(self, names: Sequence[str]) -> dict[str, Any]:
        """Flags of the command by name, to be given on as they are."""
        return {name: self.flags[name] for name in names}


@contextmanager
def run(federation: Path, flags: Mapping[str, Any]) -> Iterator[Session]:
    """A connection for one command; `flags` are the command's parameters by name."""
    with _logged(flags["out"]), events(as_json=flags["json"]) as show:
        load_arrow_alone()
        from fedstats.client import connect
        from fedstats.frontend.job import ranges_of

        paths: list[str] = []
        common = {name: flags[name] for name in _COMMON}
        keywords = {
            **common,
            "paillier_masks": on_or_off("--paillier-masks", flags["paillier_masks"]),
            "ranges": ranges_of(flags["ranges"] or ()),
            "chr": flags["chromosomes"],
            "out": flags["out"],
            "command": _typed(),
            "events": _noting(paths, show),
        }
        with connect(federation) as client:
            yield Session(client, keywords, paths, flags)


def on_or_off(flag: str, value: str) -> bool:
    """The value of a flag that is on or off."""
    if value not in ("on", "off"):
        raise UsageError(f"{flag} is {value!r}; it can be one of on, off", code="BAD_REQUEST")
    return value == "on"


@contextmanager
def _logged(out: Path) -> Iterator[None]:
    """OUT.log also where a run ends before it has begun: a node does not answer, or refuses."""
    started = time.time()
    try:
        yield
    except FedstatsError as error:
        if error.exit_code != UsageError.exit_code and not _is_newer(out.with_name(f"{out.name}.log"), started):
            _write_log(out, error)
        raise


def _is_newer(path: Path, moment: float) -> bool:
    return path.exists() and path.stat().st_mtime >= moment


def _write_log(out: Path, error: FedstatsError) -> None:
    from fedstats import __version__
    from fedstats.results.log import RunLog

    with contextlib.suppress(FedstatsError):  # a full disk must not hide why the run ended
        RunLog(out, version=__version__, command=_typed()).close(error)


def _noting(paths: list[str], show: Show) -> Show:
    def note(event: Shown) -> None:
        if event.event == "result":
            paths.extend(event.data["path"])
        show(event)

    return note


def _typed() -> str:
    return shlex.join(["fedstats", *sys.argv[1:]])


def say_associations(results: Mapping[str, Any]) -> None:
    """A line per trait: how many variants, what became of them, and the strongest signal."""
    width = max(len(name) for name in results)
    for name, result in results.items():
        say(f"{name:<{width}}  {_summary(result)}")


def say_tables(results: Mapping[str, Any]) -> None:
    """A line per table: how many variants, and what became of them."""
    width = max((len(name) for name in results), default=0)
    for name, result in results.items():
        say(f"{name:<{width}}  {_variants(result, result.status_counts)}")


def _variants(rows: Sized, status_counts: Mapping[str, int]) -> str:
    return f"{len(rows):,} variants ({in_words(status_counts)})"


def _summary(result: Any) -> str:
    summary = result.summary
    said = _variants(result, summary.status_counts)
    if not summary.top:
        return said
    best = summary.top[0]
    return (
        f"{said}; lambda GC {result.lambda_gc:.3f}; "
        f"best {best.label} at {best.chromosome}:{best.position:,}, P = {best.p_text}"
    )


def say_files(session: Session, out: Path) -> None:
    """The files that a run wrote."""
    others = [path for ending in _OTHER_FILES if (path := out.with_name(out.name + ending)).is_file()]
    for written in (*session.paths, *map(str, others)):
        say(f"  {written}")
