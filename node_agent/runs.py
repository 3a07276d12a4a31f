"""A run at this node: its plan is proposed, perhaps refined, then it begins, and from there on its roster is fixed."""

from dataclasses import replace
from datetime import UTC, datetime
from functools import cache

from fedstats.errors import DisclosureRefused, ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.identity.signing import Signed, open_signed
from fedstats.planning.distance import TOO_CLOSE_TO_EARLIER
from fedstats.planning.serve import Judged, judge
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.privacy.agreement import read_run_keys
from fedstats.privacy.masking_node import check_run, open_run
from fedstats.wire.messages import PROTOCOL, Accepted, BeginOrder, LostNode, Plan, RunKeysOrder, Serving
from fedstats.wire.passes import members, run_context
from node_agent.answers import answer_once, coordinator_name, opened, stored_answer
from node_agent.charging import account_of, charge_people_list, charge_run, check_people_list
from node_agent.cohort_people import bitmap
from node_agent.locks import check_lock, check_pairs, cohorts_of, near_earlier, passes_in_the_way
from node_agent.lone_columns import check_lone_columns
from node_agent.node import Node
from node_agent.noising import begin_spending, check_budget, check_noise
from node_agent.passes import give_up
from node_agent.permitted import domain_of
from node_agent.policy import authorise
from node_agent.run_people import COUNTED
from node_agent.secret_files import run_secret
from node_agent.signed_texts import from_texts


def propose(node: Node, signed: Signed) -> Signed:
    """Say, signed, what this node serves of a plan; nothing is fixed by that."""
    plan = opened(node, signed, Plan)
    plan_digest = plan.digest
    key = f"propose|{plan_digest}"
    stored = stored_answer(node, key, signed)
    if stored is not None:
        return stored
    # Reading tables and matching a panel takes seconds: not while the ledger waits.
    check_plan(node, plan, coordinator_name(node, signed))
    check_people_list(node, plan)
    found = _with_earlier(node, plan, _judged(node, plan))
    serving = node.signed(Serving(plan.run, node.name, plan_digest, found, node.policy.continue_without_me))

    def make() -> Signed:
        check_people_list(node, plan)  # again: others may have been charged since
        charge_people_list(node, plan)
        node.records.keep_plan(plan_digest, plan)
        # Held from here on: the panel may have been put for an earlier session, which is forgotten before this run.
        for blob in (plan.panel, plan.variants, plan.request.people):
            if blob:
                node.runs.use_blob(plan.run, blob)
        node.runs.touch(plan.run, datetime.now(UTC))
        return serving

    return answer_once(node, key, signed, make)


def served(node: Node, plan: Plan) -> Serve:
    """What this node's floors say of the models of a plan."""
    return _judged(node, plan).serve


def _judged(node: Node, plan: Plan) -> Judged:
    cohorts, floors = node.cohorts, node.policy.floors()
    return judge(cohorts.of_plan(plan), plan.study, floors, cohorts.allowed(plan), cohorts.allowed(plan, COUNTED))


def _with_earlier(node: Node, plan: Plan, found: Judged) -> Serve:
    """The same, where people who are too close to some that were answered before are not served either."""
    reason = Reason(TOO_CLOSE_TO_EARLIER, node.policy.min_level)
    domains = {model.id: domain_of(model) for model in plan.study.models}
    numbers = node.cohorts.number_people(plan)

    @cache
    def near(people: int, domain: str) -> bool:
        return near_earlier(node, bitmap(numbers, found.people.sets[people]), domain)

    def looked_at(one: ModelServe) -> ModelServe:
        held = near(found.people.of_model[one.model], domains[one.model])
        return replace(one, reasons=(*one.reasons, reason)) if held else one

    return Serve(tuple(looked_at(one) for one in found.serve.models))


def check_plan(node: Node, plan: Plan, coordinator: str) -> None:
    """Refuse a plan that policy, roster or data do not allow; policy first, before any data are read."""
    if plan.protocol != PROTOCOL:
        raise ProtocolRefused(
            f"the plan speaks protocol {plan.protocol}, this node {PROTOCOL}; install the same version of fedstats.",
            code="OTHER_PROTOCOL",
        )
    if (plan.federation, plan.roster) != (node.roster.content.federation, node.roster_digest):
        raise ProtocolRefused(
            "the plan was made with another roster than the one beside this node's node.toml; nothing was sent.",
            code="WRONG_ROSTER",
        )
    if set(plan.nodes) != set(plan.study.nodes) or len(set(plan.study.nodes)) != len(plan.study.nodes):
        raise ProtocolRefused("the nodes of plan and study are not the same.", code="WRONG_ROSTER")
    check_names(plan)
    authorise(node.policy, plan, coordinator, node.budgets.runs_begun(account_of(plan), plan.run))
    if plan.privacy == "paillier":
        node.encryption.check()
    check_noise(node.policy, plan)
    check_run(node.party, run_context(plan))
    if plan.amends or plan.lost:
        _check_amendment(node, plan)
    _check_data(node, plan)
    check_budget(node, plan)


def check_names(plan: Plan) -> None:
    """Refuse names that could be taken for others: two models of one id, a run that is called as plans are."""
    ids = [model.id for model in (*plan.study.models, *plan.study.beside)]
    if len(set(ids)) != len(ids):
        raise ProtocolRefused("two models of the plan have the same id; nothing was sent.", code="MALFORMED")
    if is_hex(plan.run, 32):
        raise ProtocolRefused("the run has a name that digests of plans have; nothing was sent.", code="MALFORMED")


def _check_data(node: Node, plan: Plan) -> None:
    """Refuse what the data set cannot answer."""
    node.cohorts.dataset(plan.dataset)
    build = next(one.build for one in node.settings.datasets if one.id == plan.dataset)
    if build != plan.build:
        raise ProtocolRefused(f"the plan is on {plan.build}, this data set on {build}.", code="OTHER_BUILD")
    node.cohorts.check_columns(plan)
    node.cohorts.check_available(plan)
    check_lone_columns(node, plan)


def _check_amendment(node: Node, plan: Plan) -> None:
    """Refuse to go on without nodes that had not signed, for the earlier run, that one may."""
    earlier = node.records.plan_of_run(plan.amends)
    if earlier is None:
        raise ProtocolRefused(
            "the plan amends a run that did not begin here; nothing was sent.", code="WRONG_AMENDMENT"
        )
    earlier_digest, before = earlier
    lost = {one.node for one in plan.lost}
    kept = [member for member in members(before) if member.name not in lost]
    if not lost or sorted(kept, key=str) != sorted(members(plan), key=str):
        raise ProtocolRefused(
            "an amended run has the nodes of the earlier one without the lost ones; nothing was sent.",
            code="WRONG_AMENDMENT",
        )
    for one in plan.lost:
        _check_consent(one, before, earlier_digest)


def _check_consent(lost: LostNode, before: Plan, earlier_digest: str) -> None:
    if lost.node not in before.nodes:
        raise ProtocolRefused(f"{lost.node} was not in the earlier run; nothing was sent.", code="WRONG_AMENDMENT")
    try:
        body, signature = bytes.fromhex(lost.serving_body), bytes.fromhex(lost.serving_signature)
    except ValueError:
        raise ProtocolRefused("the consent of a lost node is not hexadecimal.", code="MALFORMED") from None
    identity = before.nodes[lost.node]
    serving = open_signed(Signed("Serving", identity, body, signature), "Serving", Serving, identity, node=lost.node)
    if (serving.run, serving.plan, serving.node) != (before.run, earlier_digest, lost.node):
        raise ProtocolRefused(
            f"the consent of {lost.node} is for another run; nothing was sent.", code="WRONG_AMENDMENT"
        )
    if not serving.continue_without_me:
        raise ProtocolRefused(
            f"{lost.node} had not signed continue_without_me, so its people stay in; nothing was sent.",
            code="NO_CONSENT",
        )


def begin(node: Node, signed: Signed) -> Signed:
    """Begin a proposed run: the first call gives this node's channel key, the second takes every node's."""
    if signed.kind == RunKeysOrder.__name__:
        return _take_run_keys(node, signed)
    order = opened(node, signed, BeginOrder)
    proposed = node.records.plan(order.plan)
    if proposed is not None:
        node.cohorts.number_people(proposed)

    def make() -> Signed:
        plan = _proposed(node, order)
        check_plan(node, plan, coordinator_name(node, signed))
        _check_serving(node, plan)
        check_pairs(node, plan, order.plan)
        node.cohorts.keep_people(plan, order.plan)
        for cohort, domain in cohorts_of(node, plan, order.plan):
            check_lock(node, plan, cohort, domain)
        for found in list(passes_in_the_way(node, plan, order.plan)):
            give_up(node, found, f"run {plan.run} begins on the same people with other nodes")
        charge_run(node, plan, order.plan)
        begin_spending(node, plan)
        node.records.begin_run(plan.run, order.plan)
        node.runs.begun_by(plan.run, signed.signer)
        for model in plan.study.models:
            node.records.keep_cohort(plan.run, model.id, node.cohorts.name_of(plan, order.plan, model))
        node.runs.touch(plan.run, datetime.now(UTC))
        node.peers.run_begins(plan.run)
        if plan.lost:
            node.ledger.append("amended", {"run": plan.run, "amends": plan.amends, "lost": _names(plan)})
        if not plan.masked:
            return node.signed(Accepted(plan.run, "", node.name, "begun"))
        secret, answer = open_run(node.party, run_context(plan))
        node.secrets.save(run_secret(plan.run), secret)
        return answer

    return answer_once(node, f"begin|{order.run}", signed, make)


def _names(plan: Plan) -> str:
    return ", ".join(one.node for one in plan.lost)


def _proposed(node: Node, order: BeginOrder) -> Plan:
    plan = node.records.plan(order.plan)
    if plan is None or plan.run != order.run:
        raise ProtocolRefused(
            "the run begins with a plan that was not proposed here; nothing was sent.", code="NO_PLAN"
        )
    return plan


def _check_serving(node: Node, plan: Plan) -> None:
    """Refuse to begin what this node does not serve in full: nobody withholds silently."""
    for model in served(node, plan).models:
        for reason in model.reasons:
            raise DisclosureRefused(
                f"policy rule {reason.rule}: model {model.model} is not served here, the limit is {reason.limit:g}; "
                "nothing was sent.",
                code=f"FLOOR_{reason.rule.upper()}",
                hint="Leave this node out with --nodes, or ask for other traits or covariates.",
            )


def _take_run_keys(node: Node, signed: Signed) -> Signed:
    order = opened(node, signed, RunKeysOrder)

    def make() -> Signed:
        begun = node.records.plan_of_run(order.run)
        if begun is None or not begun[1].masked:
            raise ProtocolRefused("channel keys came for a run that has none here.", code="OUT_OF_ORDER")
        keys = from_texts(order.keys, members(begun[1]))
        read_run_keys(run_context(begun[1]), keys)
        node.records.keep_run_keys(order.run, keys)
        return node.signed(Accepted(order.run, "", node.name, "keyed"))

    return answer_once(node, f"run-keys|{order.run}", signed, make)
