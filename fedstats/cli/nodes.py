"""fedstats nodes: who is there."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.cli.failures import error_data, show_error
from fedstats.cli.output import print_json, speak
from fedstats.cli.runs import FederationFile
from fedstats.errors import FedstatsError

Json = Annotated[bool, typer.Option("--json", help="One JSON object a node and line.")]
WithPolicy = Annotated[bool, typer.Option("--policy", help="Every key of each policy.")]

#: Keys of a policy that matter to whoever asks; `--policy` shows all.
_KEYS = ("preset", "analyses", "privacy", "min_people", "min_arm", "min_mac", "allow_drop", "allow_site_effects")
#: Codes of nodes that are away, in the few words that the table has room for; the message below it says more.
_WHY_AWAY = {
    "UNAVAILABLE": "nobody answers",
    "UNRESOLVED": "name does not resolve",
    "NOT_TLS": "no TLS there",
    "CLOSED": "connection closed",
    "DEADLINE": "no answer in time",
    "FOREIGN_CERTIFICATE": "other certificate",
}
#: A certificate that ends sooner than this is marked.
_SOON = timedelta(days=30)
#: Where nobody looks at a terminal, lines are not broken.
_WIDTH_OF_FILES = 200


def nodes(federation: FederationFile, *, policy: WithPolicy = False, json: Json = False) -> None:
    """Who is there: data sets, people, traits, policy, budgets left, versions, certificates."""
    speak(as_json=json)
    from fedstats.client import connect

    with connect(Path(federation)) as client:
        name, found = client.name, client.nodes()
    if json:
        for report in found:
            print_json("node", _as_data(report))
    else:
        _show(name, found, with_policy=policy)
    errors = [report.error for report in found if report.error is not None]
    if errors:
        for error in () if json else errors:
            show_error(error)
        raise typer.Exit(max(error.exit_code for error in errors))


def _as_data(report: Any) -> dict[str, Any]:
    """A node as one JSON object."""
    data = {"node": report.name, "address": report.address, "state": _state(report)}
    if report.error is not None:
        return {**data, **error_data(report.error), "node": report.name}
    catalogue = report.catalogue
    return {
        **data,
        "seconds": round(report.seconds, 4),
        "datasets": [vars(one) for one in catalogue.datasets],
        "policy": catalogue.policy,
        "budgets": catalogue.budgets,
        "versions": catalogue.versions,
        "protocol": catalogue.protocol,
        "certificate_expires": catalogue.certificate_expires,
        "ledger_head": catalogue.ledger_head,
    }


def _state(report: Any) -> str:
    """One word: ready, away, or refuses."""
    if report.error is None:
        return "ready"
    return "away" if report.error.exit_code == 4 else "refuses"


def _show(federation: str, found: Sequence[Any], *, with_policy: bool) -> None:
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else _WIDTH_OF_FILES)
    ready = {report.name: report.catalogue for report in found if report.catalogue is not None}
    console.print(f"Federation {federation}: {len(found)} nodes, {len(ready)} ready\n", highlight=False)
    console.print(_table("node address state people version queries-left certificate-until", map(_row, found)))
    if not ready:
        return
    columns = _columns(ready)
    console.print(_table("data-set build what names nodes", columns))
    console.print(_table("project data-set budget spent nodes", _budgets(ready)))
    console.print(_table("policy value nodes", _policies(ready, with_policy=with_policy)))


def _table(columns: str, rows: Iterable[Sequence[str]]) -> Any:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table(box=SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for column in columns.split():
        right = column in ("people", "queries-left")
        table.add_column(column.replace("-", " "), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _row(report: Any) -> tuple[str, ...]:
    state = _state(report)
    if report.catalogue is None:
        return (report.name, report.address, f"[red]{state}[/red]: {_why(report.error)}", "", "", "", "")
    catalogue = report.catalogue
    return (
        report.name,
        report.address,
        f"[green]{state}[/green] {report.seconds * 1000:,.0f} ms",
        ", ".join(f"{one.people:,}+" for one in catalogue.datasets),
        catalogue.versions.get("fedstats", ""),
        _queries_left(catalogue),
        _until(catalogue.certificate_expires),
    )


def _why(error: FedstatsError) -> str:
    """Why a node has no catalogue to show, in two or three words."""
    return _WHY_AWAY.get(error.code, error.code.replace("_", " ").lower())


def _queries_left(catalogue: Any) -> str:
    """What is left of the runs of the federation's own project, which is named first."""
    queries = [value for key, value in catalogue.budgets.items() if key.endswith("|queries")]
    return queries[0].split(" left")[0] if queries else ""


def _budgets(ready: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """What each project has spent; nodes that agree stand together."""
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for node, catalogue in ready.items():
        for key, value in catalogue.budgets.items():
            *account, what = key.split("|")
            project, dataset = account if len(account) == 2 else ("", "")
            found.setdefault((project, dataset, what, value), []).append(node)
    return [(*row, _named(those, ready)) for row, those in sorted(found.items())]


def _until(text: str) -> str:
    """A date, marked where the certificate ends soon."""
    ends = datetime.fromisoformat(text)
    day = f"{ends:%Y-%m-%d}"
    return f"[yellow]{day} soon[/yellow]" if ends - datetime.now(UTC) < _SOON else day


def _columns(ready: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Data sets with their traits and covariates; columns that the same nodes have stand together."""
    held: dict[tuple[str, str, str, str], list[str]] = {}
    for node, catalogue in ready.items():
        for one in catalogue.datasets:
            for what, names in (("traits", one.traits), ("covariates", one.covariates)):
                for name in names:
                    held.setdefault((one.id, one.build, what, name), []).append(node)
    together: dict[tuple[str, str, str, str], list[str]] = {}
    for (dataset, build, what, name), nodes_of_it in held.items():
        together.setdefault((dataset, build, what, _named(nodes_of_it, ready)), []).append(name)
    return [
        (dataset, build, what, ", ".join(names), where) for (dataset, build, what, where), names in together.items()
    ]


def _policies(ready: Mapping[str, Any], *, with_policy: bool) -> list[tuple[str, ...]]:
    """Keys of the policies; nodes that agree stand together."""
    keys = list(next(iter(ready.values())).policy) if with_policy else list(_KEYS)
    rows: list[tuple[str, ...]] = []
    for key in keys:
        values: dict[str, list[str]] = {}
        for node, catalogue in ready.items():
            values.setdefault(catalogue.policy.get(key, ""), []).append(node)
        if set(values) == {""}:
            continue
        rows += [(key, value or "-", _named(those, ready)) for value, those in values.items()]
    return rows


def _named(some: Sequence[str], ready: Mapping[str, Any]) -> str:
    return "all" if len(some) == len(ready) else ", ".join(some)
