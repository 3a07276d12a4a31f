"""The logistic GWAS on real genotypes, against PLINK 2, R and statsmodels."""

import csv
import gzip
from dataclasses import replace

import numpy as np
import pytest

from tests import real_data
from tests.analyses.logistic_scan import VALIDATION, dense, odds_and_errors, scan, study_of, tables_of
from tests.naive import logistic as naive

pytestmark = real_data.needs_real_data()

#: PLINK 2.00a3 computes logistic regressions in single precision.
PLINK_BETA = 1e-4


def rare_and_common(table: dict[str, np.ndarray], count: int = 25) -> np.ndarray:
    """Positions of the rarest variants that have an estimate, and of others spread over the panel."""
    usable = np.flatnonzero((table["STATUS"] == "OK") & np.isin(real_data.panel()["KIND"], (0, 1)))
    minor = np.minimum(table["A1_FREQ"], 1 - table["A1_FREQ"])[usable]
    return np.unique(np.concatenate([usable[np.argsort(minor)[:count]], usable[:: len(usable) // count]]))


def columns(covariates: np.ndarray, dosage: np.ndarray, imputed: float | None) -> tuple[np.ndarray, np.ndarray]:
    """Design with the genotype last, and the rows that stay: all with imputed calls, else the called."""
    rows = dosage >= 0 if imputed is None else np.ones(len(dosage), np.bool_)
    filled = np.where(dosage < 0, 0.0 if imputed is None else imputed, dosage)
    return np.column_stack([covariates, filled])[rows], rows


@pytest.mark.parametrize("trait", ["bt1", "bt2"])
def test_effects_are_those_of_plink2(trait):
    table = scan(trait)

    beta, error = odds_and_errors(f"adj.{trait}.glm.logistic")
    ok = table["STATUS"] == "OK"
    assert np.abs((table["BETA"] - beta) / error)[ok].max() < PLINK_BETA


@pytest.mark.parametrize("trait", ["bt1", "bt2"])
def test_people_in_each_regression_are_those_of_plink2(trait):
    observed = real_data.reference(f"adj.{trait}.glm.logistic")["OBS_CT"].astype(int)

    np.testing.assert_array_equal(scan(trait)["OBS_CT"], observed)


def test_the_variants_that_plink2_calls_separated_have_that_status():
    faults = real_data.reference("adj.bt2.glm.logistic")["ERRCODE"]
    expected = np.where(faults == "SEPARATION,ALT1", "SEPARATION", "OK")

    assert (expected == "SEPARATION").sum() == 120
    np.testing.assert_array_equal(scan("bt2")["STATUS"], expected)


def test_a_separated_variant_has_no_estimate():
    table = scan("bt2")

    separated = table["STATUS"] == "SEPARATION"
    for name in ("BETA", "SE", "STAT", "LOG10P"):
        assert np.isnan(table[name][separated]).all()


def test_one_site_alone_has_the_statuses_of_plink2():
    rows = real_data.members("C")
    alone = real_data.federation()
    alone.sites = [site for site in alone.sites if np.array_equal(site.allowed, rows)]

    table = tables_of(alone, study_of("bt1"), real_data.all_chunks())["bt1"]

    faults = real_data.reference("siteC.bt1.glm.logistic")["ERRCODE"]
    names = {".": "OK", "SEPARATION,ALT1": "SEPARATION", "CONST_OMITTED_ALLELE": "CONST_OMITTED_ALLELE"}
    np.testing.assert_array_equal(table["STATUS"], [names[fault] for fault in faults])


@pytest.mark.parametrize("trait", ["bt1", "bt2"])
def test_estimates_are_those_of_statsmodels(trait):
    from statsmodels.api import Logit

    table = scan(trait)
    chosen = rare_and_common(table)
    covariates, dosages, outcome = dense(trait, chosen)

    for at, dosage in zip(chosen, dosages, strict=True):
        design, rows = columns(covariates, dosage, None)
        fit = Logit(outcome[rows], design).fit(method="newton", tol=1e-14, maxiter=60, disp=0)
        assert abs(table["BETA"][at] - fit.params[-1]) < 1e-8 * fit.bse[-1]
        # The information is taken within 1e-7 of the estimate; see LARGEST_LAST_STEP.
        np.testing.assert_allclose(table["SE"][at], fit.bse[-1], rtol=1e-7)


def test_with_mean_imputation_estimates_are_those_of_statsmodels_on_imputed_columns():
    from statsmodels.api import Logit

    table = scan("bt1", missing="mean")
    chosen = rare_and_common(table)
    covariates, dosages, outcome = dense("bt1", chosen)

    assert (dosages < 0).any(axis=1).sum() > 20
    for at, dosage in zip(chosen, dosages, strict=True):
        design, _ = columns(covariates, dosage, dosage[dosage >= 0].mean())
        fit = Logit(outcome, design).fit(method="newton", tol=1e-14, maxiter=60, disp=0)
        assert abs(table["BETA"][at] - fit.params[-1]) < 1e-8 * fit.bse[-1]
        np.testing.assert_allclose(table["SE"][at], fit.bse[-1], rtol=1e-7)


def test_chromosome_22_is_that_of_r():
    # R 4.2: glm(bt1 ~ g + age + sex + PC1 + PC2 + PC3 + PC4, family = binomial), converged to its own 1e-8 of deviance.
    with gzip.open(real_data.FOLDER / "ref" / "r_glm_logistic_bt1.chr22.tsv.gz", "rt") as file:
        rows = {row["variant"]: row for row in csv.DictReader(file, delimiter="\t")}
    table, ids = scan("bt1"), real_data.panel()["ID"]
    chosen = np.flatnonzero(np.isin(ids, list(rows)))

    assert len(chosen) > 150
    for at in chosen:
        row = rows[ids[at]]
        assert abs(table["BETA"][at] - float(row["beta"])) < 1e-6 * float(row["se"])
        np.testing.assert_allclose(table["SE"][at], float(row["se"]), rtol=2e-5)
        assert table["OBS_CT"][at] == int(row["n"])


def test_along_plinks_path_fits_stop_where_those_of_glm_fit_stop():
    table, full = scan("bt1", convergence="plink"), scan("bt1")
    chosen = rare_and_common(table)
    covariates, dosages, outcome = dense("bt1", chosen)

    for at, dosage in zip(chosen, dosages, strict=True):
        design, rows = columns(covariates, dosage, None)
        beta, error = naive.glm_fit(design, outcome[rows])
        assert abs(table["BETA"][at] - beta[-1]) < 1e-9 * error[-1]
        np.testing.assert_allclose(table["SE"][at], error[-1], rtol=1e-9)
    # The path shows in the standard errors: they are one round older than those of full convergence.
    assert np.abs(table["SE"] / full["SE"] - 1).max() > 1e-7


def test_along_plinks_path_the_same_variants_are_separated():
    table = scan("bt2", convergence="plink")

    np.testing.assert_array_equal(table["STATUS"], scan("bt2")["STATUS"])
    beta, error = odds_and_errors("adj.bt2.glm.logistic")
    assert np.nanmax(np.abs((table["BETA"] - beta) / error)) < PLINK_BETA


@pytest.mark.parametrize("test", ["wald", "score", "score-refit"])
@pytest.mark.parametrize("trait", ["bt1", "bt2"])
def test_three_sites_give_what_one_cohort_gives(trait, test):
    apart, together = scan(trait, "site3", test=test), scan(trait, test=test)

    np.testing.assert_array_equal(apart["STATUS"], together["STATUS"])
    ok = together["STATUS"] == "OK"
    assert np.abs((apart["BETA"] - together["BETA"]) / together["SE"])[ok].max() < 1e-9
    np.testing.assert_allclose(apart["SE"][ok], together["SE"][ok], rtol=1e-9)


def test_score_tests_are_those_of_dense_arrays():
    table = scan("bt1", missing="mean", test="score")
    chosen = rare_and_common(table)
    covariates, dosages, outcome = dense("bt1", chosen)

    for at, dosage in zip(chosen, dosages, strict=True):
        beta, error = naive.score_test(covariates, np.where(dosage < 0, dosage[dosage >= 0].mean(), dosage), outcome)
        assert abs(table["BETA"][at] - beta) < 1e-9 * error
        np.testing.assert_allclose(table["SE"][at], error, rtol=1e-9)


def test_score_tests_of_complete_cases_take_one_step_to_the_null_of_the_called():
    table = scan("bt1", test="score")
    chosen = rare_and_common(table)
    covariates, dosages, outcome = dense("bt1", chosen)
    null, _ = naive.fit(covariates, outcome)

    for at, dosage in zip(chosen, dosages, strict=True):
        design, rows = columns(covariates, dosage, None)
        sums = naive.sums(design, outcome[rows], np.append(null, 0.0))
        inverse = np.linalg.inv(sums.information)
        assert abs(table["BETA"][at] - (inverse @ sums.score)[-1]) < 1e-8 * inverse[-1, -1] ** 0.5


def test_score_refit_fits_what_stands_out_and_says_so():
    refit, score, wald = scan("bt1", test="score-refit"), scan("bt1", test="score"), scan("bt1")

    stands_out = np.abs(score["STAT"]) > 3
    assert 20 < stands_out.sum() < 100
    np.testing.assert_array_equal(refit["TEST"] == "LOGISTIC_WALD", stands_out)
    np.testing.assert_allclose(refit["BETA"], np.where(stands_out, wald["BETA"], score["BETA"]), rtol=1e-9)


def test_a_separated_variant_keeps_its_score_test():
    score, wald = scan("bt2", test="score"), scan("bt2")

    assert np.isfinite(score["LOG10P"][wald["STATUS"] == "SEPARATION"]).all()
    assert (score["TEST"] == "LOGISTIC_SCORE").all()


def test_cases_and_their_frequency_are_counted_among_called_people():
    table = scan("bt1")
    chosen = rare_and_common(table)
    chosen = chosen[real_data.panel()["KIND"][chosen] == 0]
    _, dosages, outcome = dense("bt1", chosen)

    for arm, prefix in ((1, "CASE"), (0, "CTRL")):
        calls = dosages[:, outcome == arm]
        called = (calls >= 0).sum(axis=1)
        np.testing.assert_array_equal(table[f"{prefix}_CT"][chosen], called)
        frequency = np.where(calls >= 0, calls, 0).sum(axis=1) / (2 * called)
        np.testing.assert_allclose(table[f"{prefix}_FREQ"][chosen], frequency, rtol=1e-12)


def test_with_too_few_missing_calls_drop_falls_back_to_the_mean_and_says_so():
    table = scan("bt1", floors=replace(VALIDATION, min_missing=10))

    # No variant of these data lacks 10 calls: all with a missing call are imputed.
    imputed = table["MISSING"] == "mean"
    np.testing.assert_array_equal(imputed, table["MISSING_CT"] > 0)
    np.testing.assert_array_equal(table["BETA"][imputed], scan("bt1", missing="mean")["BETA"][imputed])


def test_drop_strict_gives_no_estimate_there():
    table = scan("bt1", missing="drop-strict", floors=replace(VALIDATION, min_missing=10))

    some = table["MISSING_CT"] > 0
    assert set(table["STATUS"][some]) == {"SUPPRESSED_CELL"}
    assert np.isnan(table["BETA"][some]).all()
    assert set(table["STATUS"][~some]) == {"OK"}
