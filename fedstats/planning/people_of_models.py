"""The people of the models of a request, each set of people once: most models have the same, or one of a few."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedstats.arrays import Bools, Counts, Reals
from fedstats.cohort import Cohort, Minorities, Minority, minority
from fedstats.study import Model, Term, Trait


@dataclass(frozen=True, eq=False)
class PeopleOfModels:
    """Sets of people, shape (person,) each, and which of them belongs to each model, by its id."""

    sets: Sequence[Bools]
    of_model: Mapping[str, int]

    def differences(self) -> Counts:
        """How many people are in one set, but not in the other, shape (set, set)."""
        number = len(self.sets)
        found = np.zeros((number, number), np.int64)
        for one in range(number):
            for other in range(one):
                found[one, other] = found[other, one] = np.count_nonzero(self.sets[one] != self.sets[other])
        return found


def people_of_models(people: Mapping[str, Bools]) -> PeopleOfModels:
    """Find equal sets among the people of models, who are given by the models' ids."""
    numbers: dict[bytes, int] = {}
    sets: list[Bools] = []
    of_model: dict[str, int] = {}
    for name, one in people.items():
        of_model[name] = numbers.setdefault(np.packbits(one).tobytes(), len(sets))
        if of_model[name] == len(sets):
            sets.append(one)
    return PeopleOfModels(sets, of_model)


@dataclass(eq=False)
class KnownMinorities:
    """Minorities of the columns of many models: a column is counted once for the same people."""

    _known: dict[tuple[bytes, Trait | Term], Minority] = field(default_factory=dict)

    def of(self, cohort: Cohort, model: Model) -> Minorities:
        """What `cohort.minorities` says; of no accounting model, whose columns hold other values."""
        people = np.packbits(cohort.people).tobytes()

        def among(columns: Sequence[Trait | Term], values: Reals) -> tuple[Minority, ...]:
            return tuple(self._of_column((people, column), cohort, values[:, at]) for at, column in enumerate(columns))

        local = cohort.site[:, 1:]
        return Minorities(
            among(model.traits, cohort.traits), among(model.terms, cohort.covariates), among(model.local_terms, local)
        )

    def _of_column(self, key: tuple[bytes, Trait | Term], cohort: Cohort, values: Reals) -> Minority:
        if key not in self._known:
            self._known[key] = minority(values[cohort.people])
        return self._known[key]
