"""Which models of a study a node serves: its floors, applied to its own people before anything is computed."""

from collections.abc import Iterator

import numpy as np

from fedstats.arrays import Bools, Reals
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset, cohort_of
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.study import Floors, Model, Study


def serve(dataset: Dataset, study: Study, floors: Floors, allowed: Bools) -> Serve:
    """Say for every model of a study whether this node serves it, at the node.

    `floors` are of the node's own policy; `allowed`, shape (person,), are on the lists of the request.
    """
    people: dict[str, Bools] = {}
    answers: list[ModelServe] = []
    for model in study.models:
        cohort = cohort_of(dataset, model, allowed)
        people[model.id] = cohort.people
        alike = [other.id for other in study.models if (other.kind, other.accounting) == (model.kind, model.accounting)]
        twin = next(other for other in alike if np.array_equal(people[other], cohort.people))
        answers.append(ModelServe(model.id, twin, tuple(_reasons(cohort, model, floors))))
    return Serve(tuple(answers))


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
