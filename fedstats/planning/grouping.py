"""After nodes have said what they serve: which models remain, and which traits share one scan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from fedstats.errors import DisclosureRefused
from fedstats.planning.distance import TOO_CLOSE, TOO_CLOSE_TO_EARLIER
from fedstats.planning.faults import listing
from fedstats.planning.survey import Reason, Serve
from fedstats.rows import Note
from fedstats.study import Model, Study, VariantKind

_RULES = {
    "min_people": "needs at least {limit:g} people at a node",
    "min_arm": "needs at least {limit:g} cases and {limit:g} controls at a node",
    "min_level": "needs at least {limit:g} people in each level or with each but the usual value at a node",
    "parameters_per_person": "allows at most {limit:g} parameters a person",
    TOO_CLOSE: "wants people who differ from those of another kind of variants by nobody, or by at least {limit:g}",
    TOO_CLOSE_TO_EARLIER: "wants people who differ from those of earlier runs by nobody, or by at least {limit:g}",
}

_HINT = (
    "Nothing was sent. Widen the trait or the lists of people, whose FID and IID must be those of the nodes, "
    "or leave the node out with --nodes."
)
_CLOSE_HINT = (
    "Nothing was sent. Take the people of the earlier run (--people-as OUT), ask for its traits and these in one run, "
    "or --keep people who differ from those by more."
)


@dataclass(frozen=True)
class Grouping:
    """A study as nodes serve it, the kinds of variants that nobody computes, and notes."""

    study: Study
    dropped: tuple[VariantKind, ...] = ()
    notes: tuple[Note, ...] = ()


def group(study: Study, serves: Mapping[str, Serve]) -> Grouping:
    """Join models whose people are the same at every node; leave out kinds that some node does not serve.

    Raises
    ------
    DisclosureRefused
        A node does not serve the autosomes, or nothing is left; the node, the rule and its limit are named.
    """
    refused = {model.id: found for model in study.models if (found := _reasons(model, serves))}
    _required(study, refused)
    dropped = tuple(dict.fromkeys(model.kind for model in study.models if model.id in refused))
    models = [model for model in study.models if model.kind not in dropped]
    notes = tuple(_dropped_note(model, refused[model.id]) for model in study.models if model.id in refused)
    return Grouping(replace(study, models=_joined(models, serves)), dropped, notes)


def _reasons(model: Model, serves: Mapping[str, Serve]) -> dict[str, Sequence[Reason]]:
    found: dict[str, Sequence[Reason]] = {}
    for node, serve in serves.items():
        reasons = next(each.reasons for each in serve.models if each.model == model.id)
        if reasons:
            found[node] = reasons
    return found


def _required(study: Study, refused: Mapping[str, Mapping[str, Sequence[Reason]]]) -> None:
    """Refuse where a whole run fails: not for want of men on Y, but for want of people."""
    scanned = [model for model in study.models if not model.accounting]
    needed = [model for model in study.models if model.kind == "autosome" or len(refused) >= len(scanned)]
    # The model that counts people has the traits of the others, and is refused for the same people.
    by_traits: dict[str, list[Mapping[str, Sequence[Reason]]]] = {}
    for model in needed:
        if model.id in refused:
            by_traits.setdefault(_traits(model), []).append(refused[model.id])
    if not by_traits:
        return
    reasons = [reason for model in needed for found in refused.get(model.id, {}).values() for reason in found]
    close = all(reason.rule == TOO_CLOSE_TO_EARLIER for reason in reasons)
    raise DisclosureRefused(
        "; ".join(_sentence(traits, found) for traits, found in by_traits.items()),
        code="TOO_CLOSE" if close else "NOT_SERVED",
        hint=_CLOSE_HINT if close else _HINT,
    )


def _traits(model: Model) -> str:
    return ", ".join(trait.name for trait in model.traits) or "the analysis"


def _sentence(traits: str, refusals: Sequence[Mapping[str, Sequence[Reason]]]) -> str:
    """Each rule once, with the nodes that have it."""
    rules: dict[str, dict[str, None]] = {}
    for node, reasons in (item for refused in refusals for item in refused.items()):
        for reason in reasons:
            subject = f" ({reason.subject})" if reason.subject else ""
            rules.setdefault(f"{_RULES[reason.rule].format(limit=reason.limit)}{subject}", {})[node] = None
    said = "; ".join(f"the policy of {listing(list(nodes))} {rule}" for rule, nodes in rules.items())
    return f"{traits}: {said}"


def _dropped_note(model: Model, reasons: Mapping[str, Sequence[Reason]]) -> Note:
    message = f"variants of kind {model.kind} are left out: {_sentence(_traits(model), [reasons])}"
    return Note("KIND_NOT_SERVED", message, warning=True)


def _joined(models: Sequence[Model], serves: Mapping[str, Serve]) -> tuple[Model, ...]:
    """Models of one kind with the same people at every node become one, which has all their traits."""
    twins = {node: {each.model: each.same_people for each in serve.models} for node, serve in serves.items()}
    groups: dict[tuple[object, ...], list[Model]] = {}
    for model in models:
        key = (model.kind, model.accounting, *(twins[node][model.id] for node in serves))
        groups.setdefault(key, []).append(model)
    return tuple(_one_model(same) for same in groups.values())


def _one_model(same: Sequence[Model]) -> Model:
    """Models with the same people as one."""
    traits = tuple(trait for model in same for trait in model.traits)
    own = {trait.name for trait in traits}
    common = {trait.name: trait for model in same for trait in model.common if trait.name not in own}
    return replace(same[0], traits=traits, common=tuple(common.values()))
