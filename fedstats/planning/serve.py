"""Which models of a study a node serves: its floors, applied to its own people before anything is computed."""

from collections.abc import Iterator, Mapping

import numpy as np

from fedstats.arrays import Bools
from fedstats.cohort import Cohort, minority
from fedstats.dataset import Dataset, cohort_of, term_values, trait_values
from fedstats.planning.column_floors import sexes, too_few, too_few_of_a_sex
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.study import Floors, Model, Study


def serve(dataset: Dataset, study: Study, floors: Floors, allowed: Bools, counted: Bools | None = None) -> Serve:
    """Say for every model of a study whether this node serves it, at the node.

    `floors` are of the node's own policy; `allowed`, shape (person,), are on the lists of the request. The accounting
    model is of `counted`, the same people unless said.
    """
    cohorts = {
        model.id: cohort_of(dataset, model, counted if model.accounting and counted is not None else allowed)
        for model in (*study.models, *study.beside)
    }
    people = {name: cohort.people for name, cohort in cohorts.items()}
    return Serve(
        tuple(
            ModelServe(
                model.id,
                _twin(model, study, people),
                tuple(_reasons(dataset, cohorts[model.id], model, floors)),
                tuple(_too_close(model, study, people, floors.min_level)),
            )
            for model in study.models
        )
    )


def _twin(model: Model, study: Study, people: Mapping[str, Bools]) -> str:
    """The first model that has the same people, of those that could share a scan."""
    alike = [other.id for other in study.models if (other.kind, other.accounting) == (model.kind, model.accounting)]
    return next(other for other in alike if np.array_equal(people[other], people[model.id]))


def _too_close(model: Model, study: Study, people: Mapping[str, Bools], floor: int) -> Iterator[str]:
    """Models whose people differ from this one's by fewer than the floor, but differ."""
    if model.accounting:
        return
    for other in (*study.scanned, *study.beside):
        if 0 < int(np.count_nonzero(people[other.id] != people[model.id])) < floor:
            yield other.id


def _reasons(dataset: Dataset, cohort: Cohort, model: Model, floors: Floors) -> Iterator[Reason]:
    if cohort.size < floors.min_people:
        yield Reason("min_people", floors.min_people)
    if model.accounting:
        return
    if len(model.terms) + len(model.local_terms) + 1 > floors.parameters_per_person * cohort.size and model.traits:
        yield Reason("parameters_per_person", floors.parameters_per_person)
    yield from too_few(cohort, model, floors)
    if model.kind == "x":
        yield from too_few_of_a_sex(cohort, model, floors)
    if not floors.validation:
        yield from _made_constant(dataset, cohort, model, floors)


def _made_constant(dataset: Dataset, cohort: Cohort, model: Model, floors: Floors) -> Iterator[Reason]:
    """Columns that vary among this node's people, as it said when it was asked, but not among those of the model.

    A list of people could leave other values at one node alone, whose own sums would then be those of the column. On X
    the same goes for men and for others, unless the traits themselves were measured in one sex.
    """
    columns = [(trait.name, trait_values(dataset.columns[trait.name], trait)) for trait in model.traits]
    columns += [(term.name, term_values(dataset, term)) for term in model.terms]
    held = (*cohort.minorities.traits, *cohort.minorities.covariates)
    for (name, values), here in zip(columns, held, strict=True):
        if not here.people and minority(values[~np.isnan(values)]).people >= floors.min_level:
            yield Reason("min_level", floors.min_level, name)
    if model.kind == "x" and not all(sexes(cohort, cohort.people)):
        everybody = cohort_of(dataset, model, np.ones(dataset.people, np.bool_))
        if min(sexes(everybody, everybody.people)) >= floors.min_level:
            yield Reason("min_level", floors.min_level, "sex")
