"""The lock on people: the same people are answered with one roster, whatever is asked (decision D4).

Two sums over rosters that differ by one node would open that node. A run may go on without a lost node only where
that node had signed so beforehand.
"""

from collections.abc import Iterator

from fedstats.documents import digest
from fedstats.errors import ProtocolRefused
from fedstats.privacy.messages import Member, RunContext
from fedstats.privacy.pass_state import PassState
from fedstats.wire.messages import Plan
from fedstats.wire.passes import members
from node_agent.node import Node
from node_agent.permitted import domain_of
from node_agent.records import Lock, PassRecord

_UNOPENED = (PassState.KEYED, PassState.READY, PassState.UPLOADED)


def run_roster(plan: Plan) -> str:
    """Digest of the nodes of a run, whatever their order."""
    in_order: tuple[Member, ...] = tuple(sorted(members(plan), key=lambda member: member.name))
    return digest(RunContext("", "", in_order))


def cohorts_of(node: Node, plan: Plan, plan_digest: str) -> Iterator[tuple[str, str]]:
    """Keyed digest and domain of every cohort of a plan."""
    for model in plan.study.models:
        yield node.cohorts.name_of(plan, plan_digest, model), domain_of(model)


def check_lock(node: Node, plan: Plan, cohort: str, domain: str) -> None:
    """Refuse people who were answered with another run roster."""
    if node.policy.validation:
        return
    held = node.records.lock(cohort, domain)
    if held is None or held.roster == run_roster(plan) or held.roster in _amended(node, plan):
        return
    raise ProtocolRefused(
        "the same people were answered before in a run with other nodes; the difference of both would show a node's "
        "own sums. Nothing was sent.",
        code="OTHER_ROSTER",
    )


def take_lock(node: Node, plan: Plan, cohort: str, domain: str) -> None:
    """Answer these people with this run's roster only, from here on."""
    if node.policy.validation:
        return
    check_lock(node, plan, cohort, domain)
    lock = Lock(run_roster(plan), plan.run)
    if node.records.lock(cohort, domain) != lock:
        node.records.take_lock(cohort, domain, lock)
        node.ledger.append("locked", {"cohort": cohort, "domain": domain, "roster": lock.roster, "run": plan.run})


def _amended(node: Node, plan: Plan) -> set[str]:
    """Rosters of the runs that a plan amends, one after the other; each amendment was checked when it was proposed."""
    found: set[str] = set()
    while plan.amends:
        earlier = node.records.plan_of_run(plan.amends)
        if earlier is None:
            break
        plan = earlier[1]
        found.add(run_roster(plan))
    return found


def passes_in_the_way(node: Node, plan: Plan, plan_digest: str) -> Iterator[PassRecord]:
    """Unopened passes of other runs over the same people with another roster: they must never be opened."""
    if node.policy.validation:
        return
    for cohort, domain in cohorts_of(node, plan, plan_digest):
        for found in node.records.passes_of_cohort(cohort, domain):
            other = node.records.plan_of_run(found.order.run)
            elsewhere = other is not None and run_roster(other[1]) != run_roster(plan)
            if elsewhere and not found.closed and found.state in _UNOPENED:
                yield found
