"""A node to look at: its policy, data and memory as they are, with a ledger of its own that nobody will ever read.

For a custodian's questions, while the agent runs or not: what is tried here changes nothing and sends nothing.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from fedstats.dataset import Dataset
from fedstats.ledger import copy_in_memory
from fedstats.wire.messages import Plan
from node_agent.cohorts import Cohorts
from node_agent.config import Settings
from node_agent.node import ALL_TABLES, Node, assembled, check_all

#: What was asked and answered pass by pass: most of a ledger, and nothing that policy or a budget asks of it.
_OF_PASSES = ("entries", "answers", "passes", "pass_data", "pass_keys", "chunks", "abandoned", "certified")


class CohortsWithoutPanel(Cohorts):
    """Cohorts of plans whose panel may not be here: who is in them does not depend on it."""

    def of_plan(self, plan: Plan) -> Dataset:
        """The data set of a plan, without genotypes."""
        return self.unbound(plan.dataset)


@contextmanager
def looking(settings: Settings) -> Iterator[Node]:
    """The node of some settings, to try things on."""
    keys, registered = check_all(settings)
    ledger = copy_in_memory(settings.state / "ledger.sqlite", ALL_TABLES, without=_OF_PASSES)
    node = assembled(settings, keys, registered, ledger, os.open(os.devnull, os.O_RDONLY))
    own = node.cohorts
    without_panel = CohortsWithoutPanel(own.registered, own.blobs, own.key, own.earlier, own.members)
    try:
        yield replace(node, cohorts=without_panel)
    finally:
        node.close()
