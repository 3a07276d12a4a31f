"""Which models of a study a node serves: its floors, applied to its own people before anything is computed."""

from collections.abc import Iterator, Mapping

import numpy as np

from fedstats.arrays import Bools, Reals
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset, cohort_of
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
                tuple(_reasons(cohorts[model.id], model, floors)),
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


def _reasons(cohort: Cohort, model: Model, floors: Floors) -> Iterator[Reason]:
    if cohort.size < floors.min_people:
        yield Reason("min_people", floors.min_people)
    if model.accounting:
        return
    if len(model.terms) + len(model.local_terms) + 1 > floors.parameters_per_person * cohort.size and model.traits:
        yield Reason("parameters_per_person", floors.parameters_per_person)
    for index, trait in enumerate(model.traits):
        if trait.kind == "binary" and _smaller_arm(cohort, cohort.traits[:, index]) < floors.min_arm:
            yield Reason("min_arm", floors.min_arm, trait.name)
    for index, term in enumerate(model.terms):
        if term.indicator and 0 < _smaller_arm(cohort, cohort.covariates[:, index]) < floors.min_level:
            yield Reason("min_level", floors.min_level, term.name)


def _smaller_arm(cohort: Cohort, values: Reals) -> int:
    """The fewer of ones and zeros among the people who are in."""
    ones = int(values[cohort.people].sum())
    return min(ones, cohort.size - ones)
