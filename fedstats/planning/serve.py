"""Which models of a study a node serves: its floors, applied to its own people before anything is computed."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from fedstats.arrays import Bools, Counts, Reals
from fedstats.cohort import Cohort, Minorities, minority
from fedstats.dataset import Dataset, cohort_of, term_values, trait_values
from fedstats.planning.column_floors import sexes, too_few, too_few_of_a_sex
from fedstats.planning.people_of_models import KnownMinorities, PeopleOfModels, people_of_models
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.study import Floors, Model, Study


@dataclass(frozen=True, eq=False)
class Judged:
    """What a node says of a study, and, at the node only, who is in its models."""

    serve: Serve
    people: PeopleOfModels


def serve(dataset: Dataset, study: Study, floors: Floors, allowed: Bools, counted: Bools | None = None) -> Serve:
    """What `judge` says, without who is in the models."""
    return judge(dataset, study, floors, allowed, counted).serve


def judge(dataset: Dataset, study: Study, floors: Floors, allowed: Bools, counted: Bools | None = None) -> Judged:
    """Say for every model of a study whether this node serves it, and who is in it, at the node.

    `floors` are of the node's own policy; `allowed`, shape (person,), are on the lists of the request. The accounting
    model is of `counted`, the same people unless said.
    """
    known = KnownMinorities()
    reasons: dict[str, tuple[Reason, ...]] = {}
    who: dict[str, Bools] = {}
    # One cohort at a time: the columns of a hundred models are too many to be held together.
    for model in study.models:
        cohort = cohort_of(dataset, model, counted if model.accounting and counted is not None else allowed)
        reasons[model.id] = tuple(_reasons(dataset, cohort, model, floors, known))
        who[model.id] = cohort.people
    for model in study.beside:
        who[model.id] = cohort_of(dataset, model, allowed).people
    people = people_of_models(who)
    differences = people.differences()
    models = tuple(
        ModelServe(
            model.id,
            _twin(model, study, people),
            reasons[model.id],
            tuple(_too_close(model, study, people, differences, floors.min_level)),
        )
        for model in study.models
    )
    return Judged(Serve(models), people)


def _twin(model: Model, study: Study, people: PeopleOfModels) -> str:
    """The first model that has the same people, of those that could share a scan."""
    alike = [other.id for other in study.models if (other.kind, other.accounting) == (model.kind, model.accounting)]
    return next(other for other in alike if people.of_model[other] == people.of_model[model.id])


def _too_close(model: Model, study: Study, people: PeopleOfModels, differences: Counts, floor: int) -> Iterator[str]:
    """Models whose people differ from this one's by fewer than the floor, but differ."""
    if model.accounting:
        return
    from_here = differences[people.of_model[model.id]]
    close = set(np.flatnonzero((from_here > 0) & (from_here < floor)).tolist())
    if close:
        yield from (other.id for other in (*study.scanned, *study.beside) if people.of_model[other.id] in close)


def _reasons(
    dataset: Dataset, cohort: Cohort, model: Model, floors: Floors, known: KnownMinorities
) -> Iterator[Reason]:
    if cohort.size < floors.min_people:
        yield Reason("min_people", floors.min_people)
    if model.accounting:
        return
    if len(model.terms) + len(model.local_terms) + 1 > floors.parameters_per_person * cohort.size and model.traits:
        yield Reason("parameters_per_person", floors.parameters_per_person)
    minorities = known.of(cohort, model)
    yield from too_few(minorities, model, floors)
    if model.kind == "x":
        yield from too_few_of_a_sex(cohort, model, floors)
    if not floors.validation:
        yield from _made_constant(dataset, cohort, minorities, model, floors)


def _made_constant(
    dataset: Dataset, cohort: Cohort, minorities: Minorities, model: Model, floors: Floors
) -> Iterator[Reason]:
    """Columns that vary among this node's people, as it said when it was asked, but not among those of the model.

    A list of people could leave other values at one node alone, whose own sums would then be those of the column. On X
    the same goes for men and for others, unless the traits themselves were measured in one sex.
    """
    columns = [(trait.name, partial(trait_values, dataset.columns[trait.name], trait)) for trait in model.traits]
    columns += [(term.name, partial(term_values, dataset, term)) for term in model.terms]
    held = (*minorities.traits, *minorities.covariates)
    for (name, read), here in zip(columns, held, strict=True):
        if not here.people and minority(_known(read())).people >= floors.min_level:
            yield Reason("min_level", floors.min_level, name)
    if model.kind == "x" and not all(sexes(cohort, cohort.people)):
        everybody = cohort_of(dataset, model, np.ones(dataset.people, np.bool_))
        if min(sexes(everybody, everybody.people)) >= floors.min_level:
            yield Reason("min_level", floors.min_level, "sex")


def _known(values: Reals) -> Reals:
    return values[~np.isnan(values)]
