"""The lock on people: the same people are answered with one roster, whatever is asked (decision D4).

Two sums over rosters that differ by one node would open that node. A run may go on without a lost node only where
that node had signed so beforehand. Two sums over people who differ by one person would show that person: people who
differ from others that were answered by somebody, but by fewer than `min_level`, are too close, with whatever roster.
"""

from collections.abc import Iterator
from functools import lru_cache
from itertools import combinations

from fedstats.documents import digest
from fedstats.errors import DisclosureRefused, ProtocolRefused
from fedstats.privacy.messages import Member, RunContext
from fedstats.privacy.pass_state import PassState
from fedstats.wire.messages import Plan
from fedstats.wire.passes import members
from node_agent.cohort_people import Bits, difference, people_in
from node_agent.node import Node
from node_agent.permitted import domain_of
from node_agent.records import Lock, PassRecord

_UNOPENED = (PassState.KEYED, PassState.READY, PassState.UPLOADED, PassState.COMMITTED)


def run_roster(plan: Plan) -> str:
    """Digest of the nodes of a run, whatever their order."""
    return _roster_of(members(plan))


@lru_cache(maxsize=32)
def _roster_of(nodes: tuple[Member, ...]) -> str:
    in_order = tuple(sorted(nodes, key=lambda member: member.name))
    return digest(RunContext("", "", in_order))


def cohorts_of(node: Node, plan: Plan, plan_digest: str) -> Iterator[tuple[str, str]]:
    """Keyed digest and domain of every cohort of a plan."""
    for model in plan.study.models:
        yield node.cohorts.name_of(plan, plan_digest, model), domain_of(model)


def check_lock(node: Node, plan: Plan, cohort: str, domain: str) -> None:
    """Refuse people who were answered with another run roster, or who are too close to people who were answered."""
    if node.policy.validation:
        return
    held = node.records.lock(cohort, domain)
    if held is None:
        _check_distance(node, cohort, domain)
    elif held.roster != run_roster(plan) and held.roster not in _amended(node, plan):
        raise ProtocolRefused(
            "the same people were answered before in a run with other nodes; the difference of both would show a "
            "node's own sums. Nothing was sent.",
            code="OTHER_ROSTER",
        )


def _check_distance(node: Node, cohort: str, domain: str) -> None:
    """Refuse people who were never answered, and are too close to some who were, or with whom no run began."""
    bits = node.cohorts.members.of(cohort)
    if bits is None:
        raise other_people()
    if near_earlier(node, bits, domain):
        raise too_close(node, "people who were answered before")


def near_earlier(node: Node, bits: Bits, domain: str) -> bool:
    """Whether people differ from some who were answered by somebody, but by fewer than the floor."""
    if node.policy.validation:
        return False
    people, floor = people_in(bits), node.policy.min_level
    near = node.cohorts.members.answered(domain, people - floor + 1, people + floor - 1)
    return any(0 < difference(bits, other) < floor for other in near)


def check_pairs(node: Node, plan: Plan, plan_digest: str) -> None:
    """Refuse a plan with two models whose people are too close."""
    if node.policy.validation:
        return
    cohorts = {node.cohorts.name_of(plan, plan_digest, model): model for model in plan.study.scanned}
    bits = [node.cohorts.bits(plan, plan_digest, model) for model in cohorts.values()]
    for one, other in combinations(bits, 2):
        if 0 < difference(one, other) < node.policy.min_level:
            raise too_close(node, "those of another model of the same plan")


def other_people() -> ProtocolRefused:
    """The refusal of people whom nobody compared with those who were answered."""
    return ProtocolRefused(
        "the people of a model are not those with whom its run began; nothing was sent.",
        code="OTHER_PEOPLE",
        hint="The data of the node changed, or its people were never compared with others. Begin a new run.",
    )


def too_close(node: Node, others: str) -> DisclosureRefused:
    """The refusal, which says the limit, and neither who they are nor how many."""
    floor = node.policy.min_level
    return DisclosureRefused(
        f"policy rule min_level: the people of a model are too close to {others}: they differ, but by fewer than "
        f"{floor}, so that subtraction would show them. Nothing was sent.",
        code="TOO_CLOSE",
        hint="Take the people of the earlier run with --people-as, or people who differ by more.",
    )


def let_out(node: Node, plan: Plan, cohort: str, domain: str) -> None:
    """Words about these people may leave from here on: whoever is too close to them is refused, whatever comes of it.

    Others can open the pass without this node's shares; that people differ by one from these shows here only. The
    roster is not bound before this node gives shares: see `take_lock`.
    """
    if node.policy.validation:
        return
    check_lock(node, plan, cohort, domain)
    node.cohorts.members.let_out(cohort, domain)


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
        for found in node.records.live_passes_of_cohort(cohort, domain):
            other = node.records.plan_of_run(found.order.run) if found.state in _UNOPENED else None
            if other is not None and run_roster(other[1]) != run_roster(plan):
                yield found
