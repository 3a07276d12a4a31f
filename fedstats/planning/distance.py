"""Models whose people are too close to one another: they are given common people, before anything is computed.

Two sums over people who differ by one person show that person by subtraction. Where two models of a request differ at
some node by somebody, but by fewer than that node's floor, both take the people whom they have in common. Nodes say
only which models are too close, never by how many people or by whom.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from fedstats.planning.faults import listing
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.rows import Note
from fedstats.study import Model, Study, Trait

#: Rules by which a model is not served: its people are too close to another model's, or to people answered before.
TOO_CLOSE, TOO_CLOSE_TO_EARLIER = "too_close", "too_close_to_earlier"

Serves = Mapping[str, Serve]
"""What each node serves of one study."""


@dataclass(frozen=True)
class Apart:
    """Studies whose models keep their distance as far as common people can do that, and what was done."""

    studies: tuple[Study, ...]
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class _Pair:
    """Two models that a node finds too close."""

    model: Model
    other: Model
    node: str


def with_beside(studies: Sequence[Study]) -> tuple[Study, ...]:
    """The studies of one request, each with the models of the others beside it."""
    return tuple(
        replace(
            study,
            beside=tuple(
                replace(model, id=f"{other.analysis}:{model.id}")
                for other in studies
                if other is not study
                for model in other.scanned
            ),
        )
        for study in studies
    )


def keep_apart(studies: Sequence[Study], serves: Sequence[Serves]) -> Apart:
    """Give common people to models that some node finds too close; the same studies where that changes nothing.

    `serves` are the answers to each study, in the same order.
    """
    pairs = [pair for study, answers in zip(studies, serves, strict=True) for pair in _pairs(study, answers)]
    groups = _groups(studies, pairs)
    sexes = {name for pair in pairs if _differ_by_sex(pair) for name in groups[pair.model.traits[0].name]}
    changed = with_beside(
        [replace(study, models=tuple(_sharing(m, groups, sexes) for m in study.models)) for study in studies]
    )
    if changed == tuple(studies):
        return Apart(changed)
    return Apart(changed, tuple(_notes(pairs, groups)))


def refuse_close(study: Study, serves: Serves) -> dict[str, Serve]:
    """The answers, where models that no common people can keep apart are not served: men, where women are few."""
    models = _by_id(study)

    def judged(found: ModelServe) -> ModelServe:
        own = models[found.model].kind
        held = [other for other in found.too_close if own != "autosome" or models[other].kind == own]
        reason = Reason(TOO_CLOSE, study.floors.min_level)
        return replace(found, reasons=(*found.reasons, reason)) if held else found

    return {node: Serve(tuple(judged(found) for found in answer.models)) for node, answer in serves.items()}


def _by_id(study: Study) -> dict[str, Model]:
    return {model.id: model for model in (*study.models, *study.beside)}


def _pairs(study: Study, serves: Serves) -> Iterator[_Pair]:
    models = _by_id(study)
    for node, answer in serves.items():
        for found in answer.models:
            for other in found.too_close:
                yield _Pair(models[found.model], models[other], node)


def _people_traits(model: Model) -> tuple[Trait, ...]:
    """The traits that decide who is in a model."""
    return (*model.traits, *model.common)


def _groups(studies: Sequence[Study], pairs: Sequence[_Pair]) -> dict[str, dict[str, Trait]]:
    """By the name of each trait, all traits that share their people with it, itself included."""
    groups: dict[str, dict[str, Trait]] = {}

    def join(traits: Sequence[Trait]) -> None:
        together = {trait.name: trait for one in traits for trait in groups.get(one.name, {one.name: one}).values()}
        groups.update(dict.fromkeys(together, together))

    for study in studies:
        for model in study.scanned:
            join(_people_traits(model))
    for pair in pairs:
        join((*_people_traits(pair.model), *_people_traits(pair.other)))
    return groups


def _differ_by_sex(pair: _Pair) -> bool:
    """Whether the same traits are asked for, so that only people of unknown sex can make the difference."""
    names = [{trait.name for trait in _people_traits(model)} for model in (pair.model, pair.other)]
    kinds = {pair.model.kind, pair.other.kind}
    return bool(pair.model.traits) and names[0] == names[1] and len(kinds) == 2 and "y" not in kinds


def _sharing(model: Model, groups: Mapping[str, Mapping[str, Trait]], sexes: set[str]) -> Model:
    """The model on people who have all traits of its group."""
    if model.accounting or not model.traits:
        return model
    own = {trait.name for trait in model.traits}
    group = groups[model.traits[0].name]
    common = tuple(sorted((trait for name, trait in group.items() if name not in own), key=lambda trait: trait.name))
    return replace(model, common=common, sex_known=model.sex_known or not own.isdisjoint(sexes))


def _notes(pairs: Sequence[_Pair], groups: Mapping[str, Mapping[str, Trait]]) -> Iterator[Note]:
    told: dict[tuple[str, ...], dict[str, None]] = {}
    for pair in pairs:
        if pair.model.traits:
            names = () if _differ_by_sex(pair) else tuple(sorted(groups[pair.model.traits[0].name]))
            told.setdefault(names, {})[pair.node] = None
    for names, nodes in told.items():
        where = listing(list(nodes))
        if names:
            message = (
                f"{listing(names)}: at {where} the people of these traits differ by so few that subtraction would show "
                "them, so each is analysed on the people who have all of them"
            )
        else:
            message = (
                f"at {where} so few people are of unknown sex that leaving them out on chromosome X alone would show "
                "them, so they are left out everywhere"
            )
        yield Note("COMMON_PEOPLE", message, warning=True)
