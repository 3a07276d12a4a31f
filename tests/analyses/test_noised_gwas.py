"""Associations from noised totals: calibrated with the noise, wrong without it, and as strong as the budget allows."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from fedstats.analyses.linear_gwas_noised import linear_gwas_noised
from fedstats.analyses.noised_null import bounded_products
from fedstats.analyses.noised_scan import residual_scan
from fedstats.errors import UsageError
from fedstats.local import LocalSums
from fedstats.rows import Note
from fedstats.study import Term
from tests.analyses.noised import DELTA, RANGES, SITES, Planted, noise, noised_run, planted, study
from tests.analyses.planted import dataset, federation, one_chunk, run

PEOPLE, VARIANTS = 3000, 1000
#: Standard error of lambda over so many independent variants: of the median of a chi-square, over its expectation.
LAMBDA_ERROR = 0.075
#: Runs over which a mean is taken, each with other noise.
REPEATS = 8


@pytest.fixture(scope="module")
def null() -> Planted:
    return planted(PEOPLE, VARIANTS)


def lambda_of(statistic: np.ndarray) -> float:
    return float(np.median(statistic**2) / stats.chi2.ppf(0.5, 1))


def keys() -> list[bytes]:
    return [bytes([number]) for number in range(REPEATS)]


@pytest.mark.parametrize("trait", ["q", "b"])
@pytest.mark.parametrize("epsilon", [1.0, 10.0])
def test_tests_are_calibrated_with_the_noise_and_far_off_without(null: Planted, trait: str, epsilon: float) -> None:
    tables = [noised_run(null, trait, epsilon, key) for key in keys()]

    # Noise is drawn anew in every run, the data are not: what they share is one draw of the sampling error.
    found = np.mean([lambda_of(table["STAT"]) for table in tables])
    assert abs(found - 1) < 4 * LAMBDA_ERROR / np.sqrt(REPEATS) + LAMBDA_ERROR * (epsilon == 10.0)
    size = np.mean([np.abs(table["STAT"]) > stats.norm.isf(0.025) for table in tables])
    assert abs(size - 0.05) < 0.01
    naive = [_ignoring_noise(table) for table in tables]
    assert np.mean(naive) > (10 if epsilon == 1.0 else 1.2)


def _ignoring_noise(table: dict[str, np.ndarray]) -> float:
    """Lambda GC of somebody who takes the sampling error for all of the error."""
    sampling = np.sqrt(np.maximum(table["SE"] ** 2 - table["NOISE_SD"] ** 2, 0))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = table["BETA"] / sampling
    return lambda_of(statistic[np.isfinite(statistic)])


def test_p_values_are_uniform_under_the_null(null: Planted) -> None:
    found = np.concatenate([noised_run(null, "q", 2.0, key)["LOG10P"] for key in keys()])

    assert stats.kstest(10.0**-found, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("trait", ["q", "b"])
def test_estimates_are_those_of_the_pooled_regression_where_budget_is_no_limit(trait: str) -> None:
    of = planted(2000, 60, 5, 1.6, 0.3)
    found = noised_run(of, trait, 1e6)

    exact = _pooled(of, trait)
    error = np.abs(found["STAT"] - exact)
    # Residuals are cut at three deviations, covariates' part of the genotype is left in, columns have 12 bits.
    assert error.max() < 0.25
    assert np.corrcoef(found["STAT"], exact)[0, 1] > 0.999
    assert (found["NOISE_SD"] < 0.05 * found["SE"]).all()
    assert (found["STATUS"] == "OK").all()


def _pooled(of: Planted, trait: str) -> np.ndarray:
    """Score statistics of the pooled data by the formula, in doubles."""
    dosages = of.data.genotypes.dosages  # type: ignore[attr-defined]  # tests hold them in memory
    y, x = of.data.columns[trait].numbers, of.data.columns["x"].numbers
    design = np.column_stack([np.ones(len(y)), np.clip(x, *RANGES["x"])])
    weights = np.ones(len(y))
    if trait == "b":
        beta = np.zeros(2)
        for _ in range(20):
            mu = 1 / (1 + np.exp(-design @ beta))
            beta += np.linalg.solve((design.T * (mu * (1 - mu))) @ design, design.T @ (y - mu))
        residual, weights = y - mu, mu * (1 - mu)
    else:
        residual = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
        weights = weights * (residual**2).mean()
    score = dosages @ residual
    cross = (dosages * weights) @ design
    inner = np.linalg.inv((design.T * weights) @ design)
    variance = (dosages**2 * weights).sum(axis=1) - np.einsum("va,ab,vb->v", cross, inner, cross)
    return score / np.sqrt(variance)


def test_effects_are_in_units_of_the_trait_and_of_log_odds() -> None:
    of = planted(20_000, 20, 5, 1.6, 0.3)

    linear, logistic = noised_run(of, "q", 1e6)["BETA"][:5], noised_run(of, "b", 1e6)["BETA"][:5]
    assert np.abs(linear - 0.3).max() < 0.05
    assert np.abs(logistic - np.log(1.6)).max() < 0.12


#: Power at 5e-8 and recall of the five strongest, as privacy.md's simulation has them for noised counts, per epsilon;
#: ten thousand people, a thousand variants, five of odds ratio 1.6. Orders of magnitude are compared, not digits.
TABLE = {1.0: (0.0, 0.04), 3.0: (0.46, 0.77), 10.0: (0.93, 0.99)}


def test_power_falls_with_the_budget_as_in_the_design() -> None:
    power, recall = {}, {}
    for epsilon in TABLE:
        found = []
        for seed in range(3):
            of = planted(10_000, 1000, 5, 1.6, seed=seed)
            table = noised_run(of, "b", epsilon, bytes([seed]))
            best = np.argsort(-table["LOG10P"])[:5]
            found.append(((table["LOG10P"][of.causal] > -np.log10(5e-8)).mean(), np.isin(of.causal, best).mean()))
        power[epsilon], recall[epsilon] = np.mean(found, axis=0)

    assert power[1.0] <= 0.3 <= power[3.0] <= power[10.0]
    assert recall[1.0] < recall[3.0] <= recall[10.0]
    assert power[10.0] > 0.85
    assert recall[10.0] > 0.95
    # Residuals bound a person more tightly than counts of alleles do, so that noise hides no more than in the design.
    assert all(power[epsilon] >= low - 0.1 for epsilon, (low, _) in TABLE.items())


def test_noise_of_opened_totals_is_as_large_as_it_is_said_to_be() -> None:
    of, asked, chunks = planted(600, 200), study("q"), one_chunk(200)
    exact = federation(of.data, of.site)
    model, found = asked.models[0], []
    source = noise(asked, chunks, 3.0)
    from fedstats.analyses.bounded_columns import ranges_of

    parameters = ranges_of(asked, model)
    truth = exact.sum(bounded_products, model, parameters)
    said = source.deviations(bounded_products, model)
    for number in range(200):
        noised = replace(exact, noise_source=noise(asked, chunks, 3.0, f"{number}".encode()))
        total = noised.sum(bounded_products, model, parameters)
        found.append((total.real("design") - truth.real("design")).ravel())

    deviations = np.array(found)
    assert abs(deviations.std() / said["design"] - 1) < 4 / np.sqrt(2 * deviations.size)
    assert stats.kstest(deviations.ravel() / said["design"], "norm").pvalue > 1e-3
    assert exact.noise(bounded_products, model) == dict.fromkeys(said, 0.0)
    assert (exact.exact, noised.exact) == (True, False)


def test_every_site_adds_its_share_so_that_all_but_one_already_hide_a_person() -> None:
    asked, chunks = study("q"), one_chunk(50)
    source = noise(asked, chunks, 1.0)
    model = asked.models[0]
    sizes = {**model.sizes, "variant": 50}
    empty = np.zeros(50 * 3 + 2, np.uint64)

    shares = [source.added(residual_scan, model, sizes, empty, site).view(np.int64) for site in range(SITES)]
    score = np.array([share[:50] for share in shares]) / 2.0**12
    said = source.deviations(residual_scan, model)["score"]
    # Two of three are taken to be honest: what they add is what privacy asks for, and the total has 1.5 times that.
    assert abs(score.std() / (said / np.sqrt(SITES)) - 1) < 4 / np.sqrt(2 * score.size)


def test_repeated_answers_are_the_same_so_that_averaging_gains_nothing(null: Planted) -> None:
    asked, chunks = study("q"), one_chunk(VARIANTS)
    sums = replace(federation(null.data, null.site), noise_source=noise(asked, chunks, 1.0))

    first, second = (run(sums, asked, chunks)[0]["q"] for _ in range(2))
    for column in ("BETA", "STAT", "OBS_CT"):
        assert np.array_equal(first[column], second[column], equal_nan=True)


def test_a_sum_over_other_people_has_other_noise(null: Planted) -> None:
    asked, chunks = study("q"), one_chunk(VARIANTS)
    source = noise(asked, chunks, 1.0)
    everyone = LocalSums(federation(null.data, null.site).sites, noise_source=source)
    sites = [replace(site, allowed=site.allowed & (np.arange(PEOPLE) != 7)) for site in everyone.sites]
    without = LocalSums(sites, noise_source=source)

    # Were the noise the same, the difference of the answers would be person 7.
    one, other = (run(of, asked, chunks)[0]["q"]["OBS_CT"][0] for of in (everyone, without))
    assert one != other
    difference = run(everyone, asked, chunks)[0]["q"]["STAT"] - run(without, asked, chunks)[0]["q"]["STAT"]
    assert difference.std() > 1.0


def test_a_budget_that_hides_everything_is_an_error_and_not_a_result() -> None:
    with pytest.raises(UsageError, match="hides even the number of people") as caught:
        noised_run(planted(300, 500), "q", 0.05)
    assert caught.value.code == "TOO_NOISY"
    with pytest.raises(UsageError, match="drown any study") as caught:
        noised_run(planted(300, 500), "q", 1e-5)
    assert caught.value.code == "TOO_NOISY"


def test_whoever_reads_is_told_what_noise_hides() -> None:
    of = planted(1500, 400)
    # A covariate that hardly varies within the range that was declared.
    data = dataset(of.data.genotypes.dosages, {n: c.numbers for n, c in of.data.columns.items()})  # type: ignore[attr-defined]
    asked = replace(study("q"), ranges={**RANGES, "x": (-400.0, 400.0)})
    chunks = one_chunk(400)
    sums = replace(federation(data, of.site), noise_source=noise(asked, chunks, 1.0))

    notes = [found for found in linear_gwas_noised(sums, asked, chunks) if isinstance(found, Note)]
    assert {"NOISED_PEOPLE", "COVARIATES_HIDDEN"} <= {note.code for note in notes}
    assert next(note for note in notes if note.code == "COVARIATES_HIDDEN").warning


def test_variants_whose_variance_noise_hides_have_a_test_and_no_effect(null: Planted) -> None:
    table = noised_run(null, "q", 0.4)

    hidden = table["STATUS"] == "HIDDEN_BY_NOISE"
    assert hidden.any()
    assert np.isnan(table["BETA"][hidden]).all()
    assert np.isnan(table["NOISE_SD"][hidden]).all()
    assert np.isfinite(table["LOG10P"]).all()
    assert np.isfinite(table["NOISE_SD"][~hidden]).all()


def test_a_value_outside_its_range_counts_as_the_nearest_inside() -> None:
    rng = np.random.default_rng(3)
    dosages, x = rng.binomial(2, 0.3, (30, 900)), rng.normal(size=900)
    q = rng.normal(size=900)
    far = q.copy()
    far[5], q[5] = 1e6, 4.0
    site = np.arange(900) % SITES

    one, other = (
        noised_run(Planted(dataset(dosages, {"q": values, "x": x}), site, np.arange(0)), "q", 1e6)["STAT"]
        for values in (far, q)
    )
    assert np.array_equal(one, other)


def test_frequencies_carry_the_deviation_of_their_noise(null: Planted) -> None:
    from fedstats.study import Model

    plain = replace(study("q", analysis="freq-noised"), models=(Model("a0", "autosome"),), ranges={})
    chunks = one_chunk(VARIANTS)
    exact = null.data.genotypes.dosages.mean(axis=1) / 2  # type: ignore[attr-defined]  # tests hold them in memory

    errors = []
    for key in keys():
        sums = replace(federation(null.data, null.site), noise_source=noise(plain, chunks, 2.0, key))
        table = run(sums, plain, chunks)[0]["noised.afreq"]
        errors.append((table["ALT_FREQS"] - exact) / table["NOISE_SD"])
    assert abs(np.std(errors) - 1) < 0.05
    assert (table["STATUS"] == "OK").all()


def test_males_count_half_on_x() -> None:
    from fedstats.study import Model

    rng = np.random.default_rng(4)
    sex = (1 + np.arange(800) % 2).astype(np.int8)
    dosages = np.where(sex == 1, 2 * rng.binomial(1, 0.3, (20, 800)), rng.binomial(2, 0.3, (20, 800)))
    of, site = dataset(dosages, {}, sex), np.arange(800) % SITES
    asked = replace(study("q", analysis="freq-noised"), models=(Model("x0", "x"),), ranges={})
    chunks = one_chunk(20, "x")
    sums = replace(federation(of, site), noise_source=noise(asked, chunks, 1e7))

    table = run(sums, asked, chunks)[0]["noised.afreq"]
    alleles = (dosages * np.where(sex == 1, 0.5, 1.0)).sum(axis=1)
    assert np.allclose(table["ALT_FREQS"], alleles / 1200, atol=1e-3)
    assert (np.abs(table["OBS_CT"] - 1200) <= 2).all()


def test_more_covariates_do_not_add_noise_to_the_tests() -> None:
    chunks = one_chunk(1000)
    few, many = study("q"), study("q")
    wide = tuple(Term(f"x{number}", "x") for number in range(10))
    many = replace(many, models=(replace(many.models[0], terms=wide),))

    one, other = (noise(of, chunks, 1.0).deviations(residual_scan, of.models[0])["score"] for of in (few, many))
    assert one < other < 1.15 * one
    assert DELTA == 1e-6
