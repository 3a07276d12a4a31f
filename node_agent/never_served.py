"""Why a node that is set up without a fault would refuse every study all the same: warnings for its custodian."""

from collections.abc import Iterator, Mapping

from node_agent.config import Settings
from node_agent.datasets.load import RegisteredDataset


def never_served(settings: Settings, registered: Mapping[str, RegisteredDataset]) -> list[str]:
    """What, in policy, roster and data, stands in the way of every study, in words."""
    found = [*_of_policy(settings)]
    for name, dataset in registered.items():
        found += (f"data set {name}: {reason}" for reason in _of_data(settings, dataset))
    return found


def _of_policy(settings: Settings) -> Iterator[str]:
    policy, nodes = settings.policy, len(settings.roster.content.nodes)
    if not policy.analyses:
        yield "[policy] analyses allows nothing, so every plan will be refused"
    if not policy.privacy:
        yield "[policy] privacy allows nothing, so every plan will be refused"
    if nodes < policy.min_nodes:
        yield f"the roster has {nodes} nodes, [policy] min_nodes is {policy.min_nodes}, so every plan will be refused"


def _of_data(settings: Settings, dataset: RegisteredDataset) -> Iterator[str]:
    policy = settings.policy
    if dataset.people < policy.min_people:
        yield f"{dataset.people} people are fewer than min_people, {policy.min_people}, so nothing of it will be served"
    traits = dataset.columns.keys() - {"sex"}
    if policy.analyses and not traits and all(name.startswith("gwas/") for name in policy.analyses):
        yield "no table has a column for a trait, and [policy] analyses allows nothing that does without"
