"""What is said before any run: who this node is, what metadata planning needs, which variants it has."""

from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.planning.survey import survey
from fedstats.scratch import slices
from fedstats.wire.messages import (
    PROTOCOL,
    AvailabilityOrder,
    Catalogue,
    DatasetEntry,
    DescribeOrder,
    SurveyAnswer,
    SurveyOrder,
)
from node_agent.answers import opened
from node_agent.charging import budgets_left
from node_agent.config import DatasetSettings
from node_agent.node import Node
from node_agent.noising import noise_spent

#: Sizes are rounded down to this, so that nobody can be seen to come or go.
ROUNDING = 100
_PACKAGES = ("fedstats", "numpy", "scipy", "numba", "grpcio")


def describe(node: Node, signed: Signed) -> Signed:
    """The catalogue: data sets, policy, versions, head of the ledger."""
    order = opened(node, signed, DescribeOrder)
    if order.federation != node.roster.content.federation:
        raise ProtocolRefused(
            f"this node belongs to the federation {node.roster.content.federation!r}.", code="WRONG_FEDERATION"
        )
    catalogue = Catalogue(
        node=node.name,
        nonce=order.nonce,
        roster=node.roster_digest,
        versions=_versions(),
        protocol=PROTOCOL,
        datasets=tuple(_entry(node, one) for one in node.settings.datasets),
        policy=node.policy.described(),
        budgets=budgets_left(node) | noise_spent(node),
        certificate_expires=node.keys.leaf.certificate.not_valid_after_utc.isoformat(),
        ledger_head=node.ledger.head,
    )
    return node.signed(catalogue)


@cache
def _versions() -> dict[str, str]:
    """Read once: each takes a millisecond, and none changes while the agent runs."""
    return {name: version(name) for name in _PACKAGES}


def _entry(node: Node, one: DatasetSettings) -> DatasetEntry:
    registered = node.cohorts.dataset(one.id)
    traits, covariates = _header(one.phenotypes), _header(one.covariates)
    return DatasetEntry(
        id=one.id,
        people=registered.people // ROUNDING * ROUNDING,
        build=one.build,
        traits=tuple(name for name in traits if name in registered.columns),
        covariates=tuple(name for name in covariates if name in registered.columns),
    )


def _header(path: Path | None) -> list[str]:
    """Column names in the first line of a table that was read in full before."""
    if path is None:
        return []
    with path.open(encoding="utf-8-sig") as lines:
        line = lines.readline().rstrip("\r\n")
    return line.split("\t") if "\t" in line else line.split()


def answer_survey(node: Node, signed: Signed) -> Signed:
    """Metadata of the columns that a request may need, with the floors of this node's policy."""
    order = opened(node, signed, SurveyOrder)
    _check_roster(node, order.roster)
    settings = next((one for one in node.settings.datasets if one.id == order.dataset), None)
    loadings = settings.loadings_sha256 if settings is not None else ""
    dataset = node.cohorts.unbound(order.dataset)
    found = survey(dataset, order.questions, node.policy.floors(), loadings)
    answer = node.signed(SurveyAnswer(order.run, node.name, order.dataset, found))
    node.ledger.append("surveyed", {"run": order.run, "dataset": order.dataset})
    return answer


def availability(node: Node, signed: Signed) -> tuple[int, Iterator[bytes]]:
    """One byte a variant of the panel: absent, present, swapped, or with other alleles."""
    order = opened(node, signed, AvailabilityOrder)
    _check_roster(node, order.roster)
    found = node.cohorts.bound(order.dataset, order.panel).loaded.availability
    node.ledger.append("availability", {"run": order.run, "dataset": order.dataset, "panel": order.panel})
    return 0, (found.status[part].tobytes() for part in slices(len(found.status)))


def _check_roster(node: Node, roster: str) -> None:
    if roster != node.roster_digest:
        raise ProtocolRefused(
            "the coordinator has another roster than the one beside this node's node.toml; nothing was sent.",
            code="WRONG_ROSTER",
        )
