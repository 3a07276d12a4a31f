"""fedstats nodes: who is there."""

from pathlib import Path
from typing import Annotated, Any

import typer

from fedstats.cli.runs import FederationFile, Json


def nodes(
    federation: FederationFile,
    *,
    json: Json = False,
    policy: Annotated[bool, typer.Option("--policy", help="Also show every key of each policy.")] = False,
) -> None:
    """Who is there: data sets, people, traits, policy, versions, certificates."""
    from fedstats.cli.output import events
    from fedstats.client import connect

    with events(as_json=json), connect(Path(federation)) as client:
        _show(client.nodes(), with_policy=policy, as_json=json)


def _show(found: Any, *, with_policy: bool, as_json: bool) -> None:
    raise SystemExit(repr((found, with_policy, as_json)))
