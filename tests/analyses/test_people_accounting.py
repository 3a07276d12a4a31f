from collections.abc import Sequence

import numpy as np
import pytest

from fedstats.analyses.people_accounting import PeopleCounts, count_people
from fedstats.dataset import Dataset
from fedstats.errors import UsageError
from fedstats.local import LocalSite, LocalSums
from fedstats.study import Model, Term, Trait
from tests.frontend.hapmap3 import needs_data, part, pooled
from tests.planning.people import dataset

BINARY = Trait("y", "binary", "12", "-9")


def counted(nodes: Sequence[Dataset], model: Model, allowed: Sequence[bool] | None = None) -> PeopleCounts:
    sites = [LocalSite(d, np.ones(d.people, np.bool_) if allowed is None else np.array(allowed)) for d in nodes]
    return count_people(LocalSums(sites), model)


def accounting(*traits: Trait, terms: tuple[Term, ...] = ()) -> Model:
    return Model("people", "autosome", traits, terms, accounting=True)


def test_every_person_is_counted_once_with_the_reason_for_leaving_out() -> None:
    columns = {"y": [1, 2, -9, None, 0, 2], "age": [50, None, 40, None, 60, 70]}

    counts = counted([dataset(columns)] * 3, accounting(BINARY, terms=(Term("age", "age"),)))

    assert (counts.everyone.tolist(), counts.incomplete.tolist()) == ([18], [6])
    classes = [counts.missing, counts.minus_nine, counts.zero, counts.one, counts.two, counts.other]
    assert [values.tolist() for values in classes] == [[3], [3], [3], [3], [6], [0]]
    # Known are 1, 2 and 2 at each node; the second of them has no age.
    assert (counts.known.tolist(), counts.covariate_missing.tolist(), counts.complete.tolist()) == ([9], [3], [6])


def test_people_who_are_not_allowed_are_counted_nowhere() -> None:
    counts = counted([dataset({"y": [1, 2, 1, None]})], accounting(BINARY), [True, True, False, False])

    assert (counts.everyone.tolist(), counts.known.tolist(), counts.missing.tolist()) == ([2], [2], [0])


def test_nobody_at_any_node_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="nobody at any node is among the people of this run") as caught:
        counted([dataset({"y": [1, 2]})] * 2, accounting(), [False, False])

    assert caught.value.code == "NO_PEOPLE"


def test_one_value_among_the_people_of_the_run_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="one value only among the people of this run") as caught:
        counted([dataset({"y": [1, 2, 1]})], accounting(BINARY), [True, False, True])

    assert (caught.value.code, caught.value.exit_code) == ("TRAIT_CONSTANT", 2)


def test_values_that_contradict_the_coding_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match=r"found to be binary \(01\), but has other values") as caught:
        counted([dataset({"y": [0, 1, 2]})], accounting(Trait("y", "binary", "01")))

    assert caught.value.code == "CODING_CHANGED"


@needs_data
def test_hapmap3_has_the_people_that_its_readme_says() -> None:
    whole, _ = pooled()
    halves = [part(whole, np.arange(0, 957, 2)), part(whole, np.arange(1, 957, 2))]

    counts = counted(halves, accounting(Trait("bt1", "binary", "01"), Trait("bt2", "binary", "01")))

    # data README: bt1 433 cases / 506 controls / 18 NA; bt2 29 cases / 928.
    assert counts.one.tolist() == [433, 29]
    assert counts.zero.tolist() == [506, 928]
    assert counts.missing.tolist() == [18, 0]
