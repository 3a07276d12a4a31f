"""Charging budgets: when a run begins, and when a pass is opened; refused before anything is computed or spent."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from fedstats.arrays import Indices
from fedstats.documents import digest
from fedstats.identity.signing import framed
from fedstats.study import Model
from fedstats.wire.messages import PassOrder, Plan
from node_agent.budget_records import Account, union
from node_agent.budgets import (
    COLUMNS,
    NUMBERS,
    Spending,
    check_columns,
    check_numbers,
    columns_of,
    company,
    numbers_of,
)
from node_agent.cohort_people import Bits, overlap, people_in
from node_agent.node import Node
from node_agent.pass_orders import ReadAsks
from node_agent.policy import refused

#: Shares of budgets are told in steps of this, rounded up: a finer one would tell how many people a cohort has.
STEP_OF_SHARES = 0.25


def account_of(plan: Plan) -> Account:
    """What a plan is charged to."""
    return Account(plan.project, plan.dataset)


def check_people_list(node: Node, plan: Plan) -> None:
    """Refuse one list of people more than a project may name: each answer may say whether somebody listed is here."""
    limit, named = node.policy.max_people_lists, node.budgets.people_lists(account_of(plan))
    if limit and plan.request.people and plan.request.people not in named and len(named) >= limit:
        raise refused(
            "max_people_lists", f"project {plan.project!r} has named {limit} lists of people, which is the limit"
        )


def charge_people_list(node: Node, plan: Plan) -> None:
    """Count the list of people of a plan; within the transaction of the answer to it."""
    if plan.request.people:
        node.budgets.name_people_list(account_of(plan), plan.request.people)


def charge_run(node: Node, plan: Plan, plan_digest: str) -> None:
    """Charge the columns of every model of a plan; within the transaction in which the run begins."""
    account = account_of(plan)
    node.budgets.begin_run(account, plan.run)
    if node.policy.validation:
        return
    spent: dict[str, int] = {}
    for model in plan.study.scanned:
        cohort = node.cohorts.name_of(plan, plan_digest, model)
        before = node.budgets.columns(account, model.kind)
        columns = columns_of(model)
        spending = spending_on_columns(node, cohort, columns, before)
        limit = node.policy.parameters_per_person
        check_columns(spending, limit, plan.project, model)
        new = columns - before.get(cohort, frozenset())
        spent[model.id] = len(new)
        node.budgets.charge_columns(account, model.kind, cohort, new, plan.run)
        node.budgets.tell(account, COLUMNS, spending.share(limit))
    if any(spent.values()):
        node.ledger.append(
            "charged",
            {"run": plan.run, "project": plan.project, "dataset": plan.dataset, "columns": sum(spent.values())},
        )


def spending_on_columns(
    node: Node, cohort: str, columns: frozenset[str], before: dict[str, frozenset[str]]
) -> Spending:
    """What a model with these columns would make of the budget of its people, given columns by cohort so far."""
    bits = _bits(node, cohort)
    near = _sharing(node, bits, (other for other in before if other != cohort))
    own = len(columns | before.get(cohort, frozenset()))
    shared = own + sum(len(before[other]) for other in near)
    return Spending(own, shared, people_in(bits), people_in(union([bits, *near.values()])))


def charge_pass(node: Node, plan: Plan, order: PassOrder, read: ReadAsks, cohort: str) -> None:
    """Charge the numbers that a pass gives of each of its variants; within the transaction in which it is opened."""
    asked = _name_of_sum(cohort, plan, order, read.model)
    account, number = account_of(plan), _numbers_of(read)
    if node.policy.validation or not number or node.budgets.is_paid(account, asked):
        return
    rows = _file_rows(node, plan, read)
    spending = spending_on_numbers(node, plan, cohort, rows, number)
    limit = node.policy.numbers_per_person
    check_numbers(spending, limit, plan.project, order.step)
    node.budgets.charge_numbers(account, cohort, rows, number)
    node.budgets.pay(account, asked)
    node.budgets.tell(account, NUMBERS, max(one.share(limit) for one in spending))


def others_in_the_sum(node: Node, plan: Plan) -> int:
    """People of other nodes who are certain to be in every sum of a plan; nobody where sums are not masked."""
    if not plan.masked:
        return 0
    promised = [node.roster.node(name).min_people for name in plan.study.nodes if name != node.name]
    return company(promised, len(plan.study.nodes))


def spending_on_numbers(node: Node, plan: Plan, cohort: str, rows: Indices, number: int) -> list[Spending]:
    """What so many numbers more would make of the budget of some people: of the variants of which most was given."""
    bits, account, others = _bits(node, cohort), account_of(plan), others_in_the_sum(node, plan)
    near = _sharing(node, bits, (one for one in node.budgets.cohorts_with_numbers(account) if one != cohort))
    own = node.budgets.numbers(account, [cohort], rows) + number
    shared = own + node.budgets.numbers(account, near, rows)
    people, reach = people_in(bits) + others, people_in(union([bits, *near.values()])) + others
    most = {int(own.argmax()), int(shared.argmax())}
    return [Spending(int(own[at]), int(shared[at]), people, reach) for at in sorted(most)]


def _bits(node: Node, cohort: str) -> Bits:
    found = node.cohorts.members.of(cohort)
    return np.zeros(0, np.uint8) if found is None else found


def _sharing(node: Node, bits: Bits, others: Iterable[str]) -> dict[str, Bits]:
    """Other cohorts that share people with these."""
    found = {other: _bits(node, other) for other in others}
    return {other: held for other, held in found.items() if overlap(bits, held)}


def _numbers_of(read: ReadAsks) -> int:
    return max(numbers_of(read.step, read.model, parameters) for parameters in read.parameters)


def _name_of_sum(cohort: str, plan: Plan, order: PassOrder, model: Model) -> str:
    """What makes a sum the same equations again: people, columns in order, variants, step, and all that it was given.

    The asks number the variants of a panel, so the panel says which they are.
    """
    fields = (cohort, digest(replace(model, id="")), plan.dataset, plan.panel, order.step, order.asks)
    return hashlib.sha256(framed(*(field.encode() for field in fields))).hexdigest()


def _file_rows(node: Node, plan: Plan, read: ReadAsks) -> Indices:
    """Rows of the genotype file, so that another panel does not make other variants of them."""
    asked = np.concatenate([variants for variants in read.variants if variants is not None])
    of_panel = node.cohorts.bound(plan.dataset, plan.panel).loaded.availability.rows
    return np.asarray(of_panel[asked], np.int64)


def budgets_left(node: Node) -> dict[str, str]:
    """Budgets by project and data set, in words for the catalogue."""
    limit = node.policy.max_queries
    own = [Account(node.roster.content.federation, one.id) for one in node.settings.datasets]
    left = {}
    for account in dict.fromkeys([*own, *node.budgets.accounts()]):
        begun, where = node.budgets.runs_begun(account), f"{account.project}|{account.dataset}"
        left[f"{where}|queries"] = f"{max(0, limit - begun)} left of {limit}" if limit else "no limit"
        if not node.policy.validation:
            shares = node.budgets.shares(account)
            left |= {f"{where}|{what}": _in_words(shares.get(what, 0.0)) for what in (COLUMNS, NUMBERS)}
    return left


def _in_words(share: float) -> str:
    """How much is left, at least, in steps that tell nothing of numbers of people."""
    if not share:
        return "nothing spent"
    quarters = min(4, int(np.ceil(share / STEP_OF_SHARES)))
    return f"up to {quarters}/4 spent"
