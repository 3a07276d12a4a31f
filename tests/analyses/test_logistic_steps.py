"""What nodes compute for a logistic GWAS, against dense arrays, and what they refuse to compute."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from fedstats.analyses import logistic_steps as steps
from fedstats.errors import DisclosureRefused, Refused
from fedstats.kernels.newton import border, unpack
from fedstats.study import Floors
from tests.laws import examples_logistic as examples
from tests.naive import logistic as naive

FLOORS = Floors()


@pytest.fixture
def cohort():
    return examples.cohort(np.random.default_rng(1))


@pytest.fixture
def ask():
    return examples.round_ask(np.random.default_rng(2))


def dense(cohort):
    """Design, outcome of the second trait, and dosages of the people who are in."""
    rows = cohort.people
    design = np.column_stack([np.ones(rows.sum()), (cohort.covariates[rows] - 5.0) * 0.5])
    return design, cohort.traits[rows, 1], cohort.block().dosages()[:, rows]


def test_null_sums_are_those_of_dense_arrays(cohort):
    design, outcome, _ = dense(cohort)

    found = steps.null_sums(cohort, examples.null_ask())

    expected = naive.sums(design, outcome, examples.NULL)
    # Columns are rounded to 34 bits: 120 people and 3e-11 each.
    np.testing.assert_allclose(found.score, expected.score, atol=1e-8)
    np.testing.assert_allclose(unpack(found.information, 3), expected.information, atol=1e-8)


def test_round_zero_is_that_of_dense_arrays_with_calls_imputed(cohort):
    design, outcome, dosages = dense(cohort)
    at = examples.round_zero_ask()

    found = steps.round_zero(cohort, at)

    for j, dosage in enumerate(dosages):
        g = np.where(dosage < 0, at.dosage[j] / at.called[j], dosage)
        expected = naive.sums(np.column_stack([design, g]), outcome, np.append(examples.NULL, 0.0))
        np.testing.assert_allclose(found.real("genotype_score")[j], expected.score[-1], atol=1e-8)
        np.testing.assert_allclose(found.real("cross_information")[j], expected.information[-1, :-1], atol=1e-8)
        np.testing.assert_allclose(found.real("genotype_information")[j], expected.information[-1, -1], atol=1e-8)
        np.testing.assert_allclose(found.real("genotype_covariate")[j], g @ design[:, 1:], atol=1e-7)
        called_cases = dosage[(dosage >= 0) & (outcome == 1)]
        assert (found.case_called[j], found.case_dosage[j]) == (len(called_cases), called_cases.sum())


def test_round_zero_by_sex_is_the_same_with_male_cases_apart(cohort):
    at, male = examples.round_zero_ask(), cohort.male[cohort.people]
    _, outcome, dosages = dense(cohort)

    found, plain = steps.round_zero_by_sex(cohort, at), steps.round_zero(cohort, at)

    for name in steps.RoundZero.schema():
        np.testing.assert_array_equal(getattr(found, name), getattr(plain, name), err_msg=name)
    for j, dosage in enumerate(dosages):
        of_males = dosage[(dosage >= 0) & (outcome == 1) & male]
        assert (found.male_case_called[j], found.male_case_dosage[j]) == (len(of_males), of_males.sum())


def test_a_full_round_is_that_of_dense_arrays_imputed_or_dropped(cohort, ask):
    design, outcome, dosages = dense(cohort)

    found = steps.newton_round(cohort, ask)

    information = border(unpack(found.information, 3), found.cross_information, found.genotype_information)
    for j, dosage in enumerate(dosages):
        kept = (dosage >= 0) | (ask.dropped[j] == 0)
        g = np.where(dosage < 0, ask.dosage[j] / ask.called[j], dosage)
        beta = np.append(ask.effects[j], ask.genotype_effects[j])
        expected = naive.sums(np.column_stack([design, g])[kept], outcome[kept], beta)
        np.testing.assert_allclose(found.score[j], expected.score[:-1], atol=1e-8)
        np.testing.assert_allclose(found.genotype_score[j], expected.score[-1], atol=1e-8)
        np.testing.assert_allclose(information[j], expected.information, atol=1e-8)


def test_an_approach_has_the_sums_of_a_full_round_but_for_the_covariates_information(cohort, ask):
    found, full = steps.approach(cohort, ask), steps.newton_round(cohort, ask)

    for name in ("score", "genotype_score", "cross_information", "genotype_information"):
        np.testing.assert_array_equal(getattr(found, name), getattr(full, name), err_msg=name)


def test_the_log_likelihood_comes_with_the_same_sums(cohort, ask):
    design, outcome, dosages = dense(cohort)

    found, plain = steps.newton_round_with_likelihood(cohort, ask), steps.newton_round(cohort, ask)

    np.testing.assert_array_equal(found.information, plain.information)
    for j, dosage in enumerate(dosages):
        kept = (dosage >= 0) | (ask.dropped[j] == 0)
        g = np.where(dosage < 0, ask.dosage[j] / ask.called[j], dosage)
        beta = np.append(ask.effects[j], ask.genotype_effects[j])
        expected = naive.sums(np.column_stack([design, g])[kept], outcome[kept], beta).log_likelihood
        np.testing.assert_allclose(found.log_likelihood[j], expected, rtol=1e-9)


def test_round_zero_does_not_depend_on_how_people_are_spread(cohort):
    at, half = examples.round_zero_ask(), np.arange(len(cohort.people)) % 2 == 0

    together = steps.round_zero(cohort, at)
    apart = steps.round_zero(cohort.restrict(half), at) + steps.round_zero(cohort.restrict(~half), at)

    # Sums of called genotypes are the same integers; what is imputed is rounded once a node.
    np.testing.assert_allclose(apart.genotype_score, together.genotype_score, atol=2)
    np.testing.assert_allclose(apart.cross_information, together.cross_information, atol=2)


def test_admissible_parameters_pass(ask):
    steps.admit_round(ask, FLOORS)


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"null": np.array([-12.1, 0, 0])}, id="null intercept"),
        pytest.param({"null": np.array([0, 4.0, 3.1])}, id="null effects"),
        pytest.param({"genotype_effects": np.full(examples.VARIANTS, -15.1)}, id="genotype effect"),
        pytest.param({"round": 26}, id="rounds without end"),
        pytest.param({"round": 0}, id="round before the first"),
    ],
)
def test_coefficients_that_isolate_people_are_refused(ask, changed):
    with pytest.raises(Refused, match="nothing was computed") as refusal:
        steps.admit_round(replace(ask, **changed), FLOORS)

    assert refusal.value.code == "ISOLATING_BETA"


def test_covariate_effects_far_from_the_null_are_refused(ask):
    effects = np.tile(examples.NULL, (examples.VARIANTS, 1))
    effects[4, 1:] += np.array([0.71, 0.71])

    with pytest.raises(Refused, match="within 1 standard deviations"):
        steps.admit_round(replace(ask, effects=effects), FLOORS)


def test_an_intercept_may_move_only_as_far_as_the_genotype_takes_it(ask):
    effects = np.tile(examples.NULL, (examples.VARIANTS, 1))
    effects[:, 0] -= 9.0

    steps.admit_round(replace(ask, effects=effects, genotype_effects=np.full(examples.VARIANTS, 3.6)), FLOORS)
    with pytest.raises(Refused, match="single out people"):
        steps.admit_round(replace(ask, effects=effects, genotype_effects=np.full(examples.VARIANTS, 3.4)), FLOORS)


def test_coefficients_of_zero_are_admitted_for_plinks_start(ask):
    rare = np.array([-9.0, 1.5, 0.0])
    zero, nothing = np.zeros((examples.VARIANTS, 3)), np.zeros(examples.VARIANTS)

    steps.admit_round(replace(ask, null=rare, effects=zero, genotype_effects=nothing), FLOORS)


def test_an_intercept_between_zero_and_the_null_is_admitted(ask):
    rare = np.array([-9.0, 0.3, 0.0])
    effects = np.tile(rare, (examples.VARIANTS, 1))
    effects[:, 0] = -4.0

    steps.admit_round(replace(ask, null=rare, effects=effects), FLOORS)


def test_null_coefficients_are_checked_in_every_step(ask):
    extreme = np.array([0.0, 9.0, 0.0])

    for step, at in (
        (steps.null_sums, examples.null_ask()),
        (steps.round_zero, examples.round_zero_ask()),
        (steps.approach, ask),
        (steps.newton_round, ask),
    ):
        with pytest.raises(Refused, match="null effects of the covariates"):
            step.admissible(replace(at, null=extreme), FLOORS)


def test_rare_variants_are_refused(ask):
    rare = np.full(examples.VARIANTS, 19)

    for step, at in (
        (steps.round_zero, examples.round_zero_ask()),
        (steps.approach, ask),
        (steps.newton_round, ask),
    ):
        with pytest.raises(DisclosureRefused, match="fewer than 20 minor alleles"):
            step.admissible(replace(at, minor_count=rare), FLOORS)


def test_leaving_out_too_few_people_is_refused(ask):
    few = np.full(examples.VARIANTS, 9)

    with pytest.raises(DisclosureRefused, match="fewer than 10 missing calls"):
        steps.admit_round(replace(ask, missing=few), FLOORS)


def test_leaving_out_nobody_or_imputing_few_is_admitted(ask):
    nobody, imputed = np.zeros(examples.VARIANTS, np.int64), np.zeros(examples.VARIANTS, np.int64)

    steps.admit_round(replace(ask, missing=nobody), FLOORS)
    steps.admit_round(replace(ask, missing=np.full(examples.VARIANTS, 1), dropped=imputed), FLOORS)


def test_importing_the_analysis_does_not_import_the_compiler():
    code = "import sys, fedstats.analyses.logistic_gwas; sys.exit('numba' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
