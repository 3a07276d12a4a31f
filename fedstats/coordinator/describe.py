"""Who is there: catalogues of all nodes, and whether they agree with this coordinator and with one another."""

import secrets
from collections.abc import Mapping, Sequence

from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.parallel import from_all
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.identity.roster import roster_digest
from fedstats.wire.messages import PROTOCOL, Catalogue, DatasetEntry, DescribeOrder

Catalogues = Mapping[str, Catalogue]
"""Catalogue by node, in the order of the roster."""


def describe(nodes: Nodes, settings: FederationSettings, names: Sequence[str]) -> dict[str, Catalogue]:
    """Catalogues of the nodes, each verified to be a fresh answer under the same roster and protocol."""
    return from_all(names, lambda node: describe_one(nodes, settings, node))


def describe_one(nodes: Nodes, settings: FederationSettings, node: str) -> Catalogue:
    """The catalogue of one node.

    Raises
    ------
    ProtocolRefused
        Code NOT_FRESH, WRONG_ROSTER or OTHER_PROTOCOL.
    """
    order = DescribeOrder(settings.name, roster_digest(settings.roster), secrets.token_hex(16))
    found = nodes.ask(node, "Describe", order, Catalogue)
    if (found.node, found.nonce) != (node, order.nonce):
        raise ProtocolRefused("the node's answer is of another ask or node", code="NOT_FRESH", node=node)
    if found.roster != order.roster:
        raise ProtocolRefused(
            "the node has another roster than this coordinator",
            code="WRONG_ROSTER",
            hint="Give the same roster.toml to everybody, and start the agents again.",
            node=node,
        )
    if found.protocol != PROTOCOL:
        raise ProtocolRefused(
            f"the node speaks protocol {found.protocol}, this coordinator {PROTOCOL}",
            code="OTHER_PROTOCOL",
            hint="Install the same version of fedstats at both.",
            node=node,
        )
    return found


def choose_dataset(catalogues: Catalogues, wanted: str, build: str) -> str:
    """The data set that a run uses at every node: the one that is wanted, or the only one that all have.

    Raises
    ------
    UsageError
        Code NO_DATASET or OTHER_BUILD, naming the nodes.
    """
    held = {node: {entry.id: entry for entry in found.datasets} for node, found in catalogues.items()}
    common = [one for one in next(iter(held.values())) if all(one in entries for entries in held.values())]
    chosen = wanted or (common[0] if len(common) == 1 else "")
    if not chosen or chosen not in common:
        raise _no_dataset(held, chosen, common)
    builds = {node: entries[chosen].build for node, entries in held.items()}
    others = [f"{node} ({found})" for node, found in builds.items() if found != build]
    if others:
        raise UsageError(
            f"the panel is on {build}, the data set {chosen!r} is on another build at {', '.join(others)}",
            code="OTHER_BUILD",
        )
    return chosen


def _no_dataset(held: Mapping[str, Mapping[str, DatasetEntry]], chosen: str, common: list[str]) -> UsageError:
    listed = "; ".join(f"{node} has {', '.join(entries) or 'none'}" for node, entries in held.items())
    if chosen:
        message = f"not every node has a data set {chosen!r}: {listed}"
    elif common:
        message = f"the nodes have several data sets in common: {', '.join(common)}"
    else:
        message = f"the nodes have no data set in common: {listed}"
    return UsageError(message, code="NO_DATASET", hint='Write dataset = "..." under [federation] in federation.toml.')


def banners(catalogues: Catalogues, privacy: str, *, masked: bool = True, key_holder: str = "") -> tuple[str, ...]:
    """What every result must say."""
    said = []
    validating = [node for node, found in catalogues.items() if found.policy.get("preset") == "validation"]
    if validating:
        said.append(f"VALIDATION: {', '.join(validating)} answered public data without floors; not for private data.")
    if privacy == "plain":
        said.append(f"PLAIN: the coordinator saw each node's sums. Reasons: {_reasons(catalogues)}")
    if privacy == "paillier" and not masked:
        said.append(
            f"PAILLIER WITHOUT MASKS: the coordinator and key holder {key_holder} together could read each node's "
            f"sums. Reasons: {_reasons(catalogues)}"
        )
    if len(catalogues) < 3:
        said.append(f"{len(catalogues)} NODES have no protection from each other.")
    return tuple(said)


def _reasons(catalogues: Catalogues) -> str:
    return "; ".join(f"{node}: {found.policy.get('reason', '')}" for node, found in catalogues.items())
