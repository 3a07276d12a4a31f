import numpy as np
import pytest

import fedstats.analyses  # noqa: F401  # fills the table of steps
from fedstats.analysis import NOISED as NOISED_ANALYSES
from fedstats.analysis import STEPS_OF
from fedstats.step import STEPS, Step
from tests.laws import laws
from tests.laws.examples import example, with_site_effects
from tests.laws.laws import Example

NAMES = sorted(STEPS)
SEEDS = (1, 2)


@pytest.fixture(params=[(name, seed) for name in NAMES for seed in SEEDS], ids=lambda p: f"{p[0]}-{p[1]}")
def found(request: pytest.FixtureRequest) -> Example:
    name, seed = request.param
    return example(name, np.random.default_rng(seed))


@pytest.mark.parametrize("parts", [2, 5])
def test_parts_of_the_people_add_up_to_all(found: Example, parts: int) -> None:
    laws.additive_over_people(found, np.random.default_rng(parts), parts)


def test_nobody_adds_nothing(found: Example) -> None:
    laws.nobody_adds_nothing(found)


def test_order_of_people_does_not_matter(found: Example) -> None:
    laws.independent_of_order(found, np.random.default_rng(7))


def test_step_is_pure(found: Example) -> None:
    laws.pure(found)


def test_totals_are_within_their_bounds(found: Example) -> None:
    laws.within_bounds(found)


def test_words_are_those_of_the_layout(found: Example) -> None:
    laws.laid_out_as_declared(found)


def test_parameters_survive_the_wire(found: Example) -> None:
    laws.parameters_survive_the_wire(found)


NOISED = [name for name in NAMES if any(field.person for field in STEPS[name].release.schema().values())]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", NOISED)
def test_no_person_changes_a_noised_sum_by_more_than_declared(name: str, seed: int) -> None:
    found = example(name, np.random.default_rng(seed))

    laws.bounded_by_person(found)
    laws.exactly_additive(found, np.random.default_rng(seed))


def test_every_step_of_a_noised_analysis_declares_what_a_person_changes() -> None:
    asked = tuple(prefix for name in NOISED_ANALYSES for prefix in STEPS_OF[name])

    assert [name for name in NAMES if name.startswith(asked)] == NOISED
    assert all(field.person > 0 for name in NOISED for field in STEPS[name].release.schema().values())


@pytest.mark.parametrize("name", [name for name in NAMES if name.startswith(("columns/cross", "linear_gwas/"))])
def test_laws_of_one_node_hold_with_site_effects(name: str) -> None:
    found = with_site_effects(example(name, np.random.default_rng(3)))

    laws.within_bounds(found)
    laws.laid_out_as_declared(found)
    laws.nobody_adds_nothing(found)
    laws.pure(found)
    laws.independent_of_order(found, np.random.default_rng(4))


# --- the laws can fail ------------------------------------------------------------------------------------------------


def broken(function: object) -> Example:
    """The moments example with another function in place of the step's own."""
    found = example("columns/moments@1", np.random.default_rng(1))
    step = found.step
    other = Step(step.name, function, step.parameters, step.release, step.admissible, step.genotypes)  # type: ignore[arg-type]  # broken on purpose
    return Example(other, found.model, found.cohort, found.parameters)


def moments(cohort: object, parameters: object) -> object:
    return STEPS["columns/moments@1"].function(cohort, parameters)


def with_people(value: object) -> object:
    """A step whose count of people is another function of the cohort."""

    def function(cohort: object, parameters: object) -> object:
        release = moments(cohort, parameters)
        return type(release)(**{**vars(release), "people": np.array([value(cohort)], np.int64)})  # type: ignore[operator]  # a function

    return function


def test_law_of_addition_finds_a_mean_in_place_of_a_sum() -> None:
    broken_step = broken(with_people(lambda cohort: min(cohort.size, 100)))

    with pytest.raises(AssertionError, match="people"):
        laws.additive_over_people(broken_step, np.random.default_rng(1), 3)


def test_law_of_nobody_finds_a_constant() -> None:
    with pytest.raises(AssertionError, match="people"):
        laws.nobody_adds_nothing(broken(with_people(lambda cohort: 1)))


def test_law_of_order_finds_a_step_that_looks_at_the_first_person() -> None:
    broken_step = broken(with_people(lambda cohort: int(1000 * abs(cohort.covariates[cohort.people][0, 0]))))

    with pytest.raises(AssertionError, match="people"):
        laws.independent_of_order(broken_step, np.random.default_rng(1))


def test_law_of_purity_finds_a_counter() -> None:
    calls = iter(range(100))

    with pytest.raises(AssertionError):
        laws.pure(broken(with_people(lambda cohort: next(calls))))


def test_law_of_purity_finds_a_step_that_changes_its_data() -> None:
    def spoil(cohort: object) -> int:
        cohort.covariates[0, 0] += 1  # type: ignore[attr-defined]  # a cohort
        return 1

    with pytest.raises(AssertionError):
        laws.pure(broken(with_people(spoil)))


def test_law_of_bounds_finds_a_value_beyond_its_bound() -> None:
    from fedstats.errors import RangeOverflow

    with pytest.raises(RangeOverflow, match="people"):
        laws.within_bounds(broken(with_people(lambda cohort: 2**40)))


def test_law_of_one_person_finds_a_value_beyond_what_is_declared() -> None:
    found = example("noised_gwas/newton@1", np.random.default_rng(1))

    def function(cohort: object, parameters: object) -> object:
        release = found.step.function(cohort, parameters)
        return type(release)(score=2 * release.score, information=release.information)

    step = found.step
    other = Step(step.name, function, step.parameters, step.release, step.admissible, step.genotypes)
    with pytest.raises(AssertionError, match="score"):
        laws.bounded_by_person(Example(other, found.model, found.cohort, found.parameters))
