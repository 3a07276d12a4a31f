"""What a study would send from this node, for its custodian: every number, the rule that lets it out, what it costs.

Everything follows from what binds later: the fields from the schemas of the steps, the steps from the analysis, rules
and budgets from the code that refuses. So an analysis that is new is shown like any other.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from fedstats.additive import Field, Limits
from fedstats.analysis import may_ask
from fedstats.arrays import Indices
from fedstats.errors import FedstatsError, ProtocolRefused
from fedstats.identity.roster import threshold
from fedstats.planning.panel import KIND_OF_CHROMOSOME
from fedstats.planning.survey import Reason
from fedstats.privacy.masking_node import check_run
from fedstats.step import STEPS, Step
from fedstats.study import KINDS, Floors, Model
from fedstats.wire.blobs import panel_from_bytes, variants_from_bytes
from fedstats.wire.messages import Plan
from fedstats.wire.passes import run_context
from node_agent.budget_records import Account
from node_agent.budgets import COLUMNS, NUMBERS, check_numbers, columns_of
from node_agent.charging import account_of, budgets_left, charge_run, spending_on_numbers
from node_agent.datasets.matching import Availability
from node_agent.locks import check_lock, check_pairs
from node_agent.lone_columns import check_lone_columns
from node_agent.node import Node
from node_agent.permitted import domain_of
from node_agent.policy import authorise
from node_agent.rehearsal import Rehearsed, rehearse
from node_agent.runs import check_names, served

#: What a number is along that a block of variants has once.
ONCE_A_BLOCK = "once a block"


@dataclass(frozen=True)
class FieldShown:
    """One array of a release: how many numbers, along what, and the most that their total can be.

    What is of a block of variants, and not of each of them, is along ONCE_A_BLOCK.
    """

    field: str
    what: str
    along: str
    numbers: int
    most: float


@dataclass(frozen=True)
class StepShown:
    """One local step on one model.

    Attributes
    ----------
    times
        How often it was asked in the rehearsal, -1 where there was none, 0 where it was not asked but may be.
    each
        "variant" where `numbers` are of each variant, "run" where they are of the whole cohort.
    numbers
        Of one release; those that a block has once are not among numbers of a variant.
    rule
        What lets it out.
    """

    step: str
    model: str
    times: int
    each: str
    numbers: int
    fields: tuple[FieldShown, ...]
    rule: str


@dataclass(frozen=True)
class Refusal:
    """What this node would answer instead."""

    code: str
    message: str


@dataclass(frozen=True)
class Preview:
    """What a custodian should know of a plan before it runs.

    Attributes
    ----------
    summary
        Who asks what of whom, by heading.
    protection
        What is done to the numbers before they leave.
    steps
        Steps that the study asks, or may ask.
    charges
        New columns, and numbers of each variant, by model; a model whose columns were all asked before is not named.
    budgets
        What each budget of the project would be afterwards, earlier runs included.
    """

    summary: dict[str, str]
    protection: str
    steps: tuple[StepShown, ...]
    charges: dict[str, int]
    budgets: dict[str, str]
    refusals: tuple[Refusal, ...]
    notes: tuple[str, ...]


def preview(node: Node, plan: Plan) -> Preview:
    """Look at a plan as this node would judge it now; `node` is one to try things on (`looking`)."""
    plan_digest = plan.digest
    rehearsal, notes = _rehearsed(node, plan)
    asked = None if rehearsal is None else rehearsal.asked
    refusals, charges = list(_against_policy(node, plan)), dict[str, int]()
    if rehearsal is not None:
        refusals += _against_data(node, plan, plan_digest)
        charges, spent = _charges(node, plan, plan_digest, rehearsal)
        refusals += spent
        notes += _free_again(node, plan)
    return Preview(
        summary=_summary(plan, plan_digest),
        protection=protection(plan),
        steps=tuple(_steps(plan, asked)),
        charges=charges,
        budgets=budgets_left(node),
        refusals=tuple(dict.fromkeys(refusals)),
        notes=tuple(notes),
    )


def _summary(plan: Plan, plan_digest: str) -> dict[str, str]:
    study = plan.study
    return {
        "plan": plan_digest,
        "run": plan.run,
        "project": plan.project,
        "data set": plan.dataset,
        "analysis": study.analysis,
        "traits": ", ".join(dict.fromkeys(trait.name for model in study.scanned for trait in model.traits)) or "none",
        "covariates": ", ".join(dict.fromkeys(term.name for model in study.scanned for term in model.terms)) or "none",
        "nodes": ", ".join(study.nodes),
    }


def protection(plan: Plan) -> str:
    """What the privacy setting of a plan does to every number before it leaves."""
    nodes = len(plan.study.nodes)
    together = (
        f"only the sum over all {nodes} nodes can be read, by the coordinator, once {threshold(nodes)} of them agree "
        "that it is complete"
    )
    if plan.privacy == "plain":
        return "plain: nothing. The coordinator reads this node's own numbers."
    if plan.privacy == "paillier" and not plan.masked:
        return (
            "paillier without masks: encrypted; the coordinator reads the sum, and together with the key holder it "
            "could read this node's own numbers."
        )
    if plan.privacy == "paillier":
        return f"paillier: masked, then encrypted; {together}."
    if plan.privacy == "dp":
        setting = plan.request.setting
        return f"dp: noised (epsilon {setting.epsilon:g}, delta {setting.delta:g}), then masked; {together}."
    return f"masked: leaves as random words; {together}."


# --- steps ------------------------------------------------------------------------------------------------------------


def _steps(plan: Plan, rehearsed: Rehearsed | None) -> Iterator[StepShown]:
    """Steps that belong to the plan: those that are asked first, in the order in which they are asked."""
    possible = {
        (step.name, model.id): (step, model)
        for model in plan.study.models
        for step in STEPS.values()
        if may_ask(plan.study.analysis, step.name)
        and step.asked(plan.study)
        and step.name.startswith("people/") == model.accounting
    }
    times = {} if rehearsed is None else rehearsed.times
    for name in (*times, *(name for name in possible if name not in times)):
        step, model = possible[name]
        sizes = model.sizes if rehearsed is None else rehearsed.sizes.get(name, model.sizes)
        asked = -1 if rehearsed is None else times.get(name, 0)
        yield _step(step, model, dict(sizes), asked, plan.study.floors)


def _step(step: Step[Any, Any], model: Model, sizes: dict[str, int], times: int, floors: Floors) -> StepShown:
    each = "variant" if step.genotypes else "run"
    shown = tuple(_field(name, declared, sizes, each) for name, declared in step.release.schema().items())
    numbers = sum(one.numbers for one in shown if one.along != ONCE_A_BLOCK)
    return StepShown(step.name, model.id, times, each, numbers, shown, rule_of(step, model, floors))


def _field(name: str, declared: Field, sizes: dict[str, int], each: str) -> FieldShown:
    along = [dim for dim in declared.dims if dim not in ("one", "variant")]
    numbers = 1
    for dim in along:
        numbers *= sizes.get(dim, sizes["trait"] if dim.endswith("trait") else 1)
    what = "counts" if declared.representation == "count" else "sums"
    once = each == "variant" and "variant" not in declared.dims
    return FieldShown(name, what, ONCE_A_BLOCK if once else " x ".join(along) or "-", numbers, declared.bound(Limits()))


def rule_of(step: Step[Any, Any], model: Model, floors: Floors) -> str:
    """The floors that stand between a step and the network, in the order in which they are checked."""
    given = {entry.name for entry in fields(step.parameters)}
    rules = []
    if "minor_count" in given:
        rules.append(f"variants with min_mac {floors.min_mac}, carriers at {floors.min_carrier_nodes} nodes")
    if "missing_nodes" in given:
        rules.append(f"people left out: min_missing {floors.min_missing} at {floors.min_missing_nodes} nodes")
    rules.append(f"min_people {floors.min_people}")
    if not model.accounting and any(trait.kind == "binary" for trait in model.traits):
        rules.append(f"min_arm {floors.min_arm}")
    if not model.accounting and any(term.indicator for term in model.terms):
        rules.append(f"min_level {floors.min_level}")
    return "; ".join([*rules, f"min_nodes {floors.min_nodes}"])


# --- rehearsal --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Rehearsal:
    """What a study asked for on this node alone, and the variants that it would ask about.

    Attributes
    ----------
    rows
        Rows of the genotype file by kind of variant.
    """

    asked: Rehearsed
    rows: Mapping[str, Indices]


def _rehearsed(node: Node, plan: Plan) -> tuple[_Rehearsal | None, list[str]]:
    """The study on this node alone, with what to know of that; None where the data do not have its columns."""
    registered, said = node.cohorts.dataset(plan.dataset), "Times are those of a rehearsal on a few variants here."
    try:
        panel = panel_from_bytes(node.blobs.mapped(plan.panel, "the variant panel"))
        variants = variants_from_bytes(node.blobs.read(plan.variants, "the list of variants"), len(panel))
        said = f"{len(variants):,} variants. {said}"
    except ProtocolRefused:
        panel = registered.fileset.variants
        variants = np.arange(len(panel))
        said = f"The plan's list of variants is not here, so it is not known how many there are. {said}"
    try:
        node.cohorts.check_columns(plan)
        allowed = node.cohorts.allowed(plan)
    except FedstatsError as error:
        return None, [f"There is no rehearsal, so steps are those that the study may ask: {error.message}"]
    kinds = KIND_OF_CHROMOSOME[panel.chromosome]
    loaded = registered.bind(panel)
    found = rehearse(loaded.dataset, plan.study, variants, kinds, allowed)
    rows = _rows(loaded.availability, variants, kinds)
    return _Rehearsal(found, rows), [said, *([f"The rehearsal ended early: {found.ended}"] if found.ended else [])]


def _rows(availability: Availability, variants: Indices, kinds: npt.NDArray[np.uint8]) -> dict[str, Indices]:
    """Rows of the genotype file that hold variants of a run, by their kind."""
    here = variants[availability.present_at(variants)]
    return {kind: availability.rows[here[kinds[here] == code]].astype(np.int64) for code, kind in enumerate(KINDS)}


# --- refusals and charges ---------------------------------------------------------------------------------------------


def _against_policy(node: Node, plan: Plan) -> Iterator[Refusal]:
    """What policy, roster and columns have against a plan; each check is made whatever the others say."""
    coordinator, account = next(iter(node.policy.coordinators), ""), account_of(plan)
    begun = node.budgets.runs_begun(account, plan.run)
    yield from _refusal(lambda: check_names(plan))
    yield from _refusal(lambda: authorise(node.policy, plan, coordinator, begun))
    yield from _refusal(lambda: check_run(node.party, run_context(plan)))
    yield from _refusal(lambda: node.cohorts.check_columns(plan))
    yield from _refusal(lambda: node.cohorts.allowed(plan))
    yield from _refusal(lambda: check_lone_columns(node, plan))


def _against_data(node: Node, plan: Plan, plan_digest: str) -> Iterator[Refusal]:
    """What floors and locks have against the people of a plan."""
    for found in served(node, plan).models:
        yield from (_not_served(found.model, reason) for reason in found.reasons)
    yield from _refusal(lambda: check_pairs(node, plan, plan_digest))
    for model in plan.study.models:
        cohort = node.cohorts.name_of(plan, plan_digest, model)
        node.cohorts.members.keep(cohort, node.cohorts.bits(plan, plan_digest, model))
        yield from _refusal(partial(check_lock, node, plan, cohort, domain_of(model)))


def _refusal(check: Callable[[], object], when: str = "") -> Iterator[Refusal]:
    try:
        check()
    except FedstatsError as error:
        yield Refusal(error.code, f"{when}{error.message}")


def _not_served(model: str, reason: Reason) -> Refusal:
    subject = f" ({reason.subject})" if reason.subject else ""
    code = f"FLOOR_{reason.rule.upper()}"
    return Refusal(
        code, f"policy rule {reason.rule}: model {model}{subject} is not served, the limit is {reason.limit:g}"
    )


def _charges(node: Node, plan: Plan, plan_digest: str, rehearsal: _Rehearsal) -> tuple[dict[str, int], list[Refusal]]:
    """Columns and numbers that the plan would add, by model; they are charged here, on memory that is thrown away."""
    columns, refusals = _charged_columns(node, plan, plan_digest)
    numbers, more = _charged_numbers(node, plan, plan_digest, rehearsal)
    charges = {} if refusals else {what: number for what, number in (columns | numbers).items() if number}
    return charges, [*refusals, *more]


def _charged_columns(node: Node, plan: Plan, plan_digest: str) -> tuple[dict[str, int], list[Refusal]]:
    """New columns of each model; none where the run would not begin for them."""
    account: Account = account_of(plan)
    try:
        new = {}
        for model in plan.study.scanned:
            cohort = node.cohorts.name_of(plan, plan_digest, model)
            before = node.budgets.columns(account, model.kind).get(cohort, frozenset())
            new[f"{COLUMNS} of {model.id}"] = len(columns_of(model) - before)
        with node.ledger.transaction():
            charge_run(node, plan, plan_digest)
    except FedstatsError as error:
        return {}, [Refusal(error.code, error.message)]
    return new, []


def _charged_numbers(
    node: Node, plan: Plan, plan_digest: str, rehearsal: _Rehearsal
) -> tuple[dict[str, int], list[Refusal]]:
    """Numbers of each variant that each model takes, and the models that take more than what is left for them."""
    if node.policy.validation:
        return {}, []
    account, limit, charged = account_of(plan), node.policy.numbers_per_person, dict[str, int]()
    refusals: list[Refusal] = []
    for model in plan.study.scanned:
        steps = [one for one in _steps(plan, rehearsal.asked) if one.model == model.id and one.each == "variant"]
        number, rows = sum(one.numbers * one.times for one in steps), rehearsal.rows[model.kind]
        if not number or not len(rows):
            continue
        cohort = node.cohorts.name_of(plan, plan_digest, model)
        spending = spending_on_numbers(node, plan, cohort, rows, number)
        refusals += _refusal(partial(check_numbers, spending, limit, plan.project, f"model {model.id}"), "on the way: ")
        charged[f"{NUMBERS} of {model.id}"] = number
        with node.ledger.transaction():
            node.budgets.charge_numbers(account, cohort, rows, number)
            node.budgets.tell(account, NUMBERS, max(one.share(limit) for one in spending))
    return charged, refusals


def _free_again(node: Node, plan: Plan) -> list[str]:
    """What to know of numbers where earlier runs took some: a rehearsal cannot tell which sums would be the same."""
    if node.budgets.sums_paid(account_of(plan)):
        return ["Numbers are counted as if none of these sums had been given before; any that was is free."]
    return []
