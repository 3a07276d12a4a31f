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


QUANTITATIVE = replace(BINARY, traits=(Trait("q1", "quantitative"),))


@pytest.mark.parametrize("cases", [1, 19, 81, 99])
def test_a_trait_of_two_values_has_arms_whatever_a_plan_calls_it(cases: int):
    with pytest.raises(DisclosureRefused, match="min_arm: cases or controls of 'q1'"):
        review(RELEASE, cohort_of(100, cases, 40), QUANTITATIVE, FLOORS)


def test_a_quantitative_trait_may_have_one_value_here_and_few_people_of_each_of_many():
    cohort = cohort_of(100, 40, 40)

    review(RELEASE, replace(cohort, traits=np.zeros((100, 1))), QUANTITATIVE, FLOORS)
    review(RELEASE, replace(cohort, traits=np.arange(100.0)[:, None]), QUANTITATIVE, FLOORS)


def test_a_trait_that_nearly_everybody_has_the_same_value_of_tells_of_few():
    counts = np.where(np.arange(100) < 9, np.arange(100.0) + 1, 0.0)[:, None]

    with pytest.raises(DisclosureRefused, match="min_level: people of a level or value of 'q1'"):
        review(RELEASE, replace(cohort_of(100, 40, 40), traits=counts), QUANTITATIVE, FLOORS)


def test_a_level_is_one_whatever_a_plan_calls_it():
    number = replace(BINARY, terms=(BINARY.terms[0], replace(BINARY.terms[1], indicator=False)))

    with pytest.raises(DisclosureRefused, match="min_level"):
        review(RELEASE, cohort_of(100, 40, 1), number, FLOORS)


def test_a_column_with_effects_of_the_site_is_no_list_of_people_either():
    site = np.column_stack([np.ones(100), np.arange(100) < 3])
    model = replace(BINARY, site_effects=True, local_terms=(Term("batch", "batch"),))

    with pytest.raises(DisclosureRefused, match="min_level: people of a level or value of 'batch'"):
        review(RELEASE, replace(cohort_of(100, 40, 40), site=site), model, FLOORS)


@dataclass(frozen=True)
class BySex(Additive):
    called: Annotated[Counts, Count("variant")]
    male_called: Annotated[Counts, Count("variant")]


@pytest.mark.parametrize("men", [1, 9, 91, 99])
def test_counts_by_sex_need_enough_of_either_sex(men: int):
    release, model = BySex(np.array([1]), np.array([1])), Model("x0", "x")
    cohort = replace(cohort_of(100, 40, 40), male=np.arange(100) < men)

    with pytest.raises(DisclosureRefused, match="min_level: people of a level or value of 'sex'"):
        review(release, bare(cohort), model, FLOORS)


@pytest.mark.parametrize("men", [0, 10, 90, 100])
def test_counts_by_sex_may_leave_one_sex_out(men: int):
    cohort = replace(cohort_of(100, 40, 40), male=np.arange(100) < men)

    review(BySex(np.array([1]), np.array([1])), bare(cohort), Model("x0", "x"), FLOORS)


def bare(cohort: Cohort) -> Cohort:
    """The cohort of a model without columns."""
    nothing = np.zeros((len(cohort.people), 0))
    return replace(cohort, covariates=nothing, traits=nothing)


def test_few_men_among_the_cases_are_too_few_on_x():
    cohort = replace(cohort_of(100, 40, 40), male=np.arange(100) >= 35)  # five of the cases

    with pytest.raises(DisclosureRefused, match="'sex'"):
        review(BySex(np.array([1]), np.array([1])), cohort, replace(BINARY, kind="x"), FLOORS)


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
