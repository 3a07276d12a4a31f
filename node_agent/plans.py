"""Plans for a custodian to look at: from a file, or as they were proposed to this node."""

from collections.abc import Iterator
from pathlib import Path

from fedstats.documents import decode
from fedstats.errors import FedstatsError, UsageError
from fedstats.ledger import read_rows
from fedstats.wire.messages import Plan
from node_agent.node import Node


def proposed(node: Node) -> Iterator[tuple[str, Plan, bool]]:
    """Digest of each plan that was proposed here, the plan, and whether its run has begun; the last one first."""
    query = "SELECT digest, digest IN (SELECT plan FROM runs) FROM plans ORDER BY rowid DESC"
    for digest, begun in node.ledger.rows(query):
        plan = node.records.plan(str(digest))
        if plan is not None:
            yield str(digest), plan, bool(begun)


def plan_named(node: Node, name: str) -> Plan:
    """The plan in a file, or the one that was proposed here whose digest or run begins like this.

    Raises
    ------
    UsageError
        Code NO_PLAN: there is neither, or several begin like that.
    """
    path = Path(name)
    if path.is_file():
        try:
            return decode(Plan, path.read_bytes().strip())
        except (FedstatsError, ValueError) as error:
            raise UsageError(f"{path.name} holds no plan: {error}", code="NO_PLAN") from None
    found = [plan for digest, plan, _ in proposed(node) if digest.startswith(name) or plan.run.startswith(name)]
    if len(found) != 1:
        what = "several plans begin" if found else "there is no file, and no plan was proposed here that begins"
        raise UsageError(
            f"{what} like {name!r}", code="NO_PLAN", hint="'fedstats-node preview' without a plan lists them."
        )
    return found[0]


def digests_of(ledger: Path, run: str) -> list[str]:
    """Digests of the plans in a ledger file whose run begins like this."""
    rows = read_rows(ledger, "SELECT run, digest FROM plans")
    return [str(digest) for of, digest in rows if str(of).startswith(run)]
