"""Floors on the people who tell the columns of a model apart, judged by the data, whatever a plan says of a column.

A column that few people have another value in than all others is as good as a list of those people: what is summed
over it is theirs. A plan could call a trait of one case quantitative, or an indicator a number.
"""

from collections.abc import Iterator

import numpy as np

from fedstats.arrays import Bools
from fedstats.cohort import Cohort, Minorities
from fedstats.planning.survey import Reason
from fedstats.study import Floors, Model


def too_few(found: Minorities, model: Model, floors: Floors) -> Iterator[Reason]:
    """Columns that fewer people than the floor tell apart, but some; cases or controls must be enough at every node.

    A column that has one value here tells nothing of anybody here.
    """
    for trait, minority in zip(model.traits, found.traits, strict=True):
        binary = trait.kind == "binary"
        some = binary or minority.people > 0
        if some and (binary or minority.values == 2) and minority.people < floors.min_arm:
            yield Reason("min_arm", floors.min_arm, trait.name)
        elif some and minority.people < floors.min_level:
            yield Reason("min_level", floors.min_level, trait.name)
    columns = (*zip(model.terms, found.covariates, strict=True), *zip(model.local_terms, found.local, strict=True))
    for term, minority in columns:
        if 0 < minority.people < floors.min_level:
            yield Reason("min_level", floors.min_level, term.name)


def too_few_of_a_sex(cohort: Cohort, model: Model, floors: Floors) -> Iterator[Reason]:
    """Where men are counted apart: few men or few women, but some, among all people or in an arm of a trait."""
    arms = [cohort.traits[:, at] == 1 for at, trait in enumerate(model.traits) if trait.kind == "binary"]
    for people in (cohort.people, *arms, *(~arm for arm in arms)):
        if any(0 < count < floors.min_level for count in sexes(cohort, people)):
            yield Reason("min_level", floors.min_level, "sex")
            return


def sexes(cohort: Cohort, people: Bools) -> tuple[int, int]:
    """Men, and all others, among some of the people who are in."""
    within = cohort.people & people
    men = int(np.count_nonzero(within & cohort.male))
    return men, int(within.sum()) - men
