"""What models of the same people share, against what each of them says by itself."""

from itertools import product

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fedstats.dataset import cohort_of
from fedstats.planning.people_of_models import KnownMinorities, people_of_models
from fedstats.study import Model, Term, Trait
from tests.planning.people import dataset

_PEOPLE = 9
_COLUMN = st.lists(st.sampled_from([None, 0.0, 1.0, 2.5]), min_size=_PEOPLE, max_size=_PEOPLE)


@given(st.lists(arrays(np.bool_, _PEOPLE), min_size=1, max_size=6))
def test_differences_are_those_of_the_models_themselves(sets: list[np.ndarray]) -> None:
    people = people_of_models({f"m{number}": one for number, one in enumerate(sets)})

    found = people.differences()

    assert len(people.sets) == len({one.tobytes() for one in sets})
    for (one, a), (other, b) in product(enumerate(sets), repeat=2):
        at = people.of_model[f"m{one}"], people.of_model[f"m{other}"]
        assert found[at] == np.count_nonzero(a != b)
        assert np.array_equal(people.sets[at[0]], a)


@given(y=_COLUMN, z=_COLUMN, d=_COLUMN, allowed=arrays(np.bool_, _PEOPLE))
def test_known_minorities_are_those_of_each_cohort(y: list, z: list, d: list, allowed: np.ndarray) -> None:
    data = dataset({"y": y, "z": z, "d": d})
    known = KnownMinorities()
    term, local = Term("d", "d"), Term("d=1", "d")
    models = [
        Model("a", "autosome", (Trait("y", "quantitative"),), (term,)),
        Model("b", "autosome", (Trait("z", "quantitative"),), (term,)),
        Model("c", "autosome", (Trait("y", "quantitative"), Trait("z", "quantitative")), (term,)),
        Model("d", "autosome", (Trait("y", "quantitative"),), (), site_effects=True, local_terms=(local,)),
        Model("e", "autosome", (Trait("y", "binary", "12"),), (term,)),
    ]

    for model in models:
        cohort = cohort_of(data, model, allowed)
        assert known.of(cohort, model) == cohort.minorities
