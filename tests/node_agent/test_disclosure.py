"""The last review before protection: floors of people, arms, levels and columns, on the cohort at hand."""

from dataclasses import dataclass, replace
from typing import Annotated

import numpy as np
import pytest

from fedstats.additive import Additive, Count, Sum
from fedstats.arrays import Counts, Indices, Reals
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused
from fedstats.step import Along, Nothing
from fedstats.study import Floors, Model, Term, Trait
from node_agent.disclosure import Ask, review

FLOORS = Floors()
BINARY = Model(
    "a0",
    "autosome",
    (Trait("b1", "binary", "01"),),
    (Term("age", "age"), Term("smoke=yes", "smoke", "yes", indicator=True)),
)


@dataclass(frozen=True)
class People(Additive):
    people: Annotated[Counts, Count("one")]


@dataclass(frozen=True)
class Rows(Additive):
    values: Annotated[Counts, Count("person")]


def cohort_of(people: int, cases: int, smokers: int, others: int = 0) -> Cohort:
    """People who are in come first; `others` are in the file only, and would be cases and smokers."""
    n = people + others
    rank = np.arange(n)
    covariates = np.column_stack([np.linspace(-1, 1, n), (rank < smokers).astype(float)])
    traits = (rank < cases).astype(float)[:, None]
    everyone = Cohort(np.ones(n, np.bool_), covariates, traits, np.zeros((n, 0)), np.zeros(n, np.bool_))
    return everyone.restrict(rank < people)


@dataclass(frozen=True)
class GenotypesByTrait(Additive):
    counts: Annotated[Counts, Count("variant", "trait")]


@dataclass(frozen=True)
class Scores(Additive):
    score: Annotated[Reals, Sum("variant", bound=lambda limits: 1.0 * limits.people)]


@dataclass(frozen=True)
class Admitted:
    minor_count: Annotated[Indices, Along("variant")]
    carrier_nodes: Annotated[Indices, Along("variant")]


RELEASE = People(np.array([1]))


def test_a_cohort_at_every_floor_passes():
    review(RELEASE, cohort_of(100, 20, 10), BINARY, FLOORS)


@pytest.mark.parametrize(
    ("cohort", "rule", "limit"),
    [
        (cohort_of(99, 40, 40, others=50), "min_people", 100),
        (cohort_of(100, 19, 40), "min_arm", 20),
        (cohort_of(100, 81, 40), "min_arm", 20),
        (cohort_of(100, 40, 9), "min_level", 10),
        (cohort_of(100, 40, 91), "min_level", 10),
    ],
)
def test_below_a_floor_is_refused_with_rule_and_limit(cohort: Cohort, rule: str, limit: int):
    with pytest.raises(DisclosureRefused, match=rf"rule {rule}: .*fewer than {limit}; nothing was sent") as caught:
        review(RELEASE, cohort, BINARY, FLOORS)

    assert caught.value.exit_code == 3


def test_a_level_that_nobody_here_has_tells_nothing():
    review(RELEASE, cohort_of(100, 40, 0), BINARY, FLOORS)


def test_a_quantitative_trait_has_no_arms():
    review(RELEASE, cohort_of(100, 1, 40), replace(BINARY, traits=(Trait("q1", "quantitative"),)), FLOORS)


def test_too_many_columns_for_the_people_are_refused():
    terms = tuple(Term(f"PC{number}", f"PC{number}") for number in range(5))

    with pytest.raises(DisclosureRefused, match="parameters_per_person"):
        review(RELEASE, cohort_of(100, 40, 40), replace(BINARY, terms=terms), FLOORS)


def test_counting_who_lacks_what_needs_people_only():
    accounting = replace(BINARY, id="people", accounting=True)

    review(RELEASE, cohort_of(100, 1, 1), accounting, FLOORS)
    with pytest.raises(DisclosureRefused, match="min_people"):
        review(RELEASE, cohort_of(99, 1, 1), accounting, FLOORS)


def test_a_row_for_each_person_is_never_released():
    with pytest.raises(DisclosureRefused, match="dimension of people"):
        review(Rows(np.ones(100, np.int64)), cohort_of(100, 40, 40), BINARY, FLOORS)


SCORES, BY_TRAIT = Scores(np.zeros(2)), GenotypesByTrait(np.zeros((2, 1), np.int64))


def admitted(minor: int = 20, nodes: int = 2) -> Admitted:
    return Admitted(np.array([100, minor]), np.array([3, nodes]))


@pytest.mark.parametrize("release", [SCORES, BY_TRAIT])
@pytest.mark.parametrize(
    ("parameters", "rule"),
    [
        (admitted(minor=19), "min_mac"),
        (admitted(nodes=1), "min_carrier_nodes"),
        (Nothing(), "min_mac"),  # a step that forgets to ask for counts
    ],
)
def test_what_tells_more_than_genotype_counts_needs_carriers(release: Additive, parameters: object, rule: str):
    with pytest.raises(DisclosureRefused, match=f"policy rule {rule}: .* nothing was sent"):
        review(release, cohort_of(100, 40, 40), BINARY, FLOORS, Ask(3, parameters))


def test_enough_carriers_at_enough_nodes_pass():
    review(SCORES, cohort_of(100, 40, 40), BINARY, FLOORS, Ask(3, admitted()))


def test_genotype_counts_need_no_carriers_for_they_say_who_carries():
    counts = People(np.array([1]))

    review(counts, cohort_of(100, 40, 40), BINARY, FLOORS, Ask(3, Nothing()))


def test_noised_sums_need_no_exact_count():
    review(SCORES, cohort_of(100, 40, 40), BINARY, FLOORS, Ask(3, Nothing(), noised=True))


def test_a_sum_over_too_few_nodes_is_refused():
    with pytest.raises(DisclosureRefused, match="policy rule min_nodes"):
        review(RELEASE, cohort_of(100, 40, 40), BINARY, FLOORS, Ask(2, Nothing()))
