"""The logistic GWAS on small made-up cohorts: refusals, statuses, and several traits in one scan."""

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from fedstats.analyses import logistic_fit
from fedstats.analyses.logistic_gwas import logistic_gwas
from fedstats.analyses.logistic_null import fit_null
from fedstats.analyses.statuses import status
from fedstats.arrays import Indices
from fedstats.dataset import Column, Dataset
from fedstats.errors import UsageError
from fedstats.genotypes import PackedBlock, pack
from fedstats.local import LocalSite
from fedstats.rows import Note
from fedstats.study import Chunk, Floors, Model, Study, Term, Trait
from tests.analyses.logistic_scan import VALIDATION, Admitting, tables_of
from tests.naive import logistic as naive

PEOPLE, VARIANTS = 400, 24


@dataclass(frozen=True)
class Calls:
    """Genotypes in memory."""

    packed: PackedBlock
    swapped: bool

    def block(self, variants: Indices) -> PackedBlock:
        return PackedBlock(self.packed.packed, variants, np.full(len(variants), self.swapped), self.packed.people)


@pytest.fixture
def columns() -> dict[str, np.ndarray]:
    """Two binary traits, a quantitative one, and two covariates."""
    rng = np.random.default_rng(8)
    age, score = rng.normal(50, 10, PEOPLE), rng.normal(size=PEOPLE)
    risk = 1 / (1 + np.exp(-(0.05 * (age - 55) + 0.4 * score)))
    return {
        "case": (rng.random(PEOPLE) < risk) * 1.0,
        "other": (rng.random(PEOPLE) < 0.5) * 1.0,
        "height": rng.normal(170, 8, PEOPLE),
        "age": age,
        "score": score,
    }


@pytest.fixture
def calls() -> np.ndarray:
    """Dosages of common variants, 2 % of calls missing."""
    rng = np.random.default_rng(9)
    found = rng.binomial(2, rng.uniform(0.15, 0.6, (VARIANTS, 1)), (VARIANTS, PEOPLE)).astype(np.int8)
    found[rng.random(found.shape) < 0.02] = -1
    return found


def federation(columns: dict[str, np.ndarray], calls: np.ndarray, *, swapped: bool = False) -> Admitting:
    """Three sites of unlike size; the second may have the alleles the other way round in its file."""
    sites = []
    for site, rows in enumerate(np.split(np.arange(PEOPLE), [90, 240])):
        turn = swapped and site == 1
        here = np.where(calls[:, rows] < 0, -1, 2 - calls[:, rows]) if turn else calls[:, rows]
        ids = np.array([f"p{row}" for row in rows])
        held = {name: Column(name, values[rows], values[rows].astype(str)) for name, values in columns.items()}
        data = Dataset(ids, ids, np.ones(len(rows), np.int8), held, Calls(pack(here.astype(np.int8)), turn))
        sites.append(LocalSite(data, np.ones(len(rows), np.bool_)))
    return Admitting(sites)


def study(*traits: str, kind: str = "autosome", **choices: object) -> Study:
    kinds = {"height": "quantitative"}
    found = tuple(Trait(name, kinds.get(name, "binary")) for name in traits)
    model = Model("m", kind, found, (Term("age", "age"), Term("score", "score")))
    start = Study("gwas/logistic", (model,), nodes=("A", "B", "C"), missing="drop", floors=VALIDATION)
    return replace(start, **choices)


def chunk(kind: str = "autosome") -> tuple[Chunk, ...]:
    return (Chunk(0, kind, np.arange(VARIANTS)),)


def run(columns, calls, *traits: str, **choices: object) -> dict[str, dict[str, np.ndarray]]:
    kind = str(choices.get("kind", "autosome"))
    return tables_of(federation(columns, calls), study(*traits, **choices), chunk(kind))


def test_several_traits_in_one_scan_have_the_tables_of_their_own_scans(columns, calls):
    both = run(columns, calls, "case", "other")

    for trait in ("case", "other"):
        alone = run(columns, calls, trait)[trait]
        for name, values in alone.items():
            np.testing.assert_array_equal(both[trait][name], values, err_msg=name)


def test_where_plinks_path_leaves_what_nodes_compute_with_fits_converge_in_full(calls):
    # Covariates that nearly decide a rare trait: a regression that knows no odds starts more than a standard deviation
    # off the null model. Heavy tails make it worse.
    rng = np.random.default_rng(2)
    age, score = rng.standard_t(3, (2, PEOPLE))
    risk = 1 / (1 + np.exp(-(-3.5 + age + score)))
    columns = {"case": (rng.random(PEOPLE) < risk) * 1.0, "age": age, "score": score}

    like_plink = run(columns, calls, "case", convergence="plink")["case"]
    full = run(columns, calls, "case")["case"]

    assert (full["STATUS"] == "OK").all()
    for name, values in full.items():
        np.testing.assert_array_equal(like_plink[name], values, err_msg=name)


class Told(Admitting):
    """Sites that remember how many variants each step was asked about, and with what at first."""

    def __init__(self, sites) -> None:
        super().__init__(sites)
        self.asked: dict[str, int] = {}
        self.first: dict[str, Any] = {}

    def _total(self, step, model, parameters, block):
        self.first.setdefault(step.name, parameters)
        self.asked[step.name] = self.asked.get(step.name, 0) + (len(block) if block else 0)
        return super()._total(step, model, parameters, block)


@pytest.mark.parametrize("missing", ["mean", "drop"])
@pytest.mark.parametrize("strong", [0.0, 3.0])
def test_approaching_changes_the_way_and_not_the_maximum(columns, calls, missing, strong, monkeypatch):
    strength = np.random.default_rng(3).normal(0, strong, VARIANTS)
    risk = 1 / (1 + np.exp(-(calls * (strength[:, None] / VARIANTS)).sum(axis=0)))
    columns["case"] = (np.random.default_rng(4).random(PEOPLE) < risk) * 1.0
    asked = study("case", missing=missing)

    monkeypatch.setattr(logistic_fit, "WORTH_A_PASS", 1)
    near = Told(federation(columns, calls).sites)
    approached = tables_of(near, asked, chunk())["case"]
    monkeypatch.setattr(logistic_fit, "APPROACHES", 0)
    full = Told(federation(columns, calls).sites)
    straight = tables_of(full, asked, chunk())["case"]

    np.testing.assert_array_equal(approached["STATUS"], straight["STATUS"])
    assert np.abs((approached["BETA"] - straight["BETA"]) / straight["SE"]).max() < 1e-9
    # Both stop within 1e-7 of the maximum, where the information differs by less than that.
    np.testing.assert_allclose(approached["SE"], straight["SE"], rtol=2e-7)
    assert near.asked["logistic_gwas/round@1"] < full.asked["logistic_gwas/round@1"]
    assert "logistic_gwas/approach@1" not in full.asked


def test_what_an_approach_leads_astray_is_fitted_from_the_start(columns, calls, monkeypatch):
    def astray(federation, fit, candidates, fits):
        fits.beta[::2] += 0.1
        fits.status[::2] = status("LOGISTIC_CONVERGE_FAIL")
        fits.active = fits.active[1::2]
        return True

    monkeypatch.setattr(logistic_fit, "APPROACHES", 0)
    straight = run(columns, calls, "case")["case"]
    monkeypatch.setattr(logistic_fit, "_approach", astray)
    found = run(columns, calls, "case")["case"]
    monkeypatch.setattr(logistic_fit, "_again", lambda *_: None)
    given_up = run(columns, calls, "case")["case"]["STATUS"] != "OK"

    assert given_up.any()
    np.testing.assert_array_equal(found["STATUS"], "OK")
    for name in ("BETA", "SE"):
        np.testing.assert_array_equal(found[name][given_up], straight[name][given_up])
        np.testing.assert_allclose(found[name], straight[name], rtol=1e-7)


def test_outliers_of_a_covariate_lose_no_variant(monkeypatch):
    """A cohort of which the approach alone loses a good variant: a heavy tail, few cases, a strong effect."""
    rng = np.random.default_rng(53)
    heavy = np.exp(1.2 * rng.normal(size=PEOPLE))
    held = {"age": heavy, "score": rng.standard_t(3, PEOPLE)}
    dosages = rng.binomial(2, rng.uniform(0.05, 0.5, (VARIANTS, 1)), (VARIANTS, PEOPLE)).astype(np.int8)
    dosages[::2] = rng.binomial(2, 1 / (1 + np.exp(1.5 - np.log(heavy))), (VARIANTS // 2, PEOPLE))
    risk = 2.5 * dosages[:3].sum(axis=0) + 0.3 * heavy + rng.logistic(size=PEOPLE)
    held["case"] = (risk > np.quantile(risk, 0.97)) * 1.0

    monkeypatch.setattr(logistic_fit, "WORTH_A_PASS", 1)
    found = run(held, dosages, "case")["case"]
    with monkeypatch.context() as alone:
        alone.setattr(logistic_fit, "_again", lambda *_: None)
        lost = run(held, dosages, "case")["case"]["STATUS"] != "OK"
    monkeypatch.setattr(logistic_fit, "APPROACHES", 0)
    straight = run(held, dosages, "case")["case"]

    kept = straight["STATUS"] == "OK"
    assert (lost & kept).any()
    np.testing.assert_array_equal(found["STATUS"][kept], "OK")
    assert (np.abs(found["BETA"] - straight["BETA"]) / straight["SE"])[kept].max() < 1e-9


def test_few_variants_are_not_approached(columns, calls, monkeypatch):
    told = Told(federation(columns, calls).sites)
    tables_of(told, study("case"), chunk())
    assert told.asked["logistic_gwas/round@1"] > 0
    assert "logistic_gwas/approach@1" not in told.asked

    monkeypatch.setattr(logistic_fit, "WORTH_A_PASS", told.asked["logistic_gwas/round_zero@2"] * PEOPLE)
    as_many = Told(federation(columns, calls).sites)
    tables_of(as_many, study("case"), chunk())
    assert as_many.asked["logistic_gwas/approach@1"] > 0


def test_estimates_do_not_depend_on_how_variants_are_asked_for(columns, calls, monkeypatch):
    whole = run(columns, calls, "case")["case"]
    monkeypatch.setattr(logistic_fit, "BLOCK", 5)

    pieces = run(columns, calls, "case")["case"]

    # A tile of other neighbours adds in the same order: the same bits.
    np.testing.assert_array_equal(pieces["BETA"], whole["BETA"])


@pytest.mark.parametrize("missing", ["mean", "drop"])
def test_a_site_whose_file_has_the_alleles_turned_changes_nothing(columns, calls, missing):
    asked = study("case", missing=missing)

    turned = tables_of(federation(columns, calls, swapped=True), asked, chunk())["case"]
    straight = tables_of(federation(columns, calls), asked, chunk())["case"]

    np.testing.assert_allclose(turned["BETA"], straight["BETA"], rtol=1e-9)
    np.testing.assert_allclose(turned["SE"], straight["SE"], rtol=1e-9)
    np.testing.assert_array_equal(turned["A1_CT"], straight["A1_CT"])


@pytest.mark.parametrize("kind", ["y", "mt"])
def test_effects_of_single_alleles_are_of_0_and_1(columns, calls, kind):
    single = np.where(calls == 1, 0, calls).astype(np.int8)

    table = run(columns, single, "case", kind=kind)["case"]

    design = np.column_stack([np.ones(PEOPLE), columns["age"], columns["score"]])
    for j in range(VARIANTS):
        rows = single[j] >= 0
        beta, covariance = naive.fit(np.column_stack([design, single[j] / 2])[rows], columns["case"][rows])
        np.testing.assert_allclose(table["BETA"][j], beta[-1], rtol=1e-8)
        np.testing.assert_allclose(table["SE"][j], covariance[-1, -1] ** 0.5, rtol=1e-7)


def test_a_variant_that_repeats_a_covariate_is_flagged_as_in_plink2(columns, calls):
    calls[5] = (columns["age"] > 50).astype(np.int8)
    columns["score"] = calls[5] + np.random.default_rng(4).normal(0, 0.01, PEOPLE)
    calls[6] = calls[5]
    nearly = calls[5] + 0.08 * np.random.default_rng(6).normal(size=PEOPLE)

    exact = run(columns, calls, "other")["other"]
    inflated = run({**columns, "score": nearly}, calls, "other")["other"]

    # Correlation 0.9998 is above 0.999; with noise of 0.08 it is 0.987, and 1 / (1 - r^2) = 40 is below 50.
    assert set(exact["STATUS"][5:7]) == {"CORR_TOO_HIGH"}
    assert np.isnan(exact["BETA"][5:7]).all()
    assert inflated["STATUS"][5] == "OK"


def test_a_variant_nearly_in_the_span_of_covariates_is_inflated(columns, calls):
    noise = np.random.default_rng(6).normal(size=PEOPLE)
    filled = np.where(calls[5] < 0, calls[5][calls[5] >= 0].mean(), calls[5])
    columns["score"] = filled + 0.05 * noise

    table = run(columns, calls, "other", missing="mean")["other"]

    correlations = np.corrcoef([columns["age"], columns["score"], filled])
    assert np.linalg.inv(correlations).diagonal().max() > 50
    assert correlations[1, 2] < 0.999
    assert table["STATUS"][5] == "VIF_TOO_HIGH"


def test_separation_that_counts_do_not_show_is_found_by_the_fit(columns, calls):
    # Cases carry one or two alleles, controls none or one: both arms have both alleles, and yet no maximum exists.
    calls[3] = np.random.default_rng(7).integers(0, 2, PEOPLE) + columns["case"]

    table = run(columns, calls, "case")["case"]

    assert 0 < table["CASE_FREQ"][3] < 1
    assert 0 < table["CTRL_FREQ"][3] < 1
    assert table["STATUS"][3] == "SEPARATION"
    assert np.isnan(table["BETA"][3])


def test_a_fit_that_leaves_the_neighbourhood_of_the_null_is_retired_before_nodes_refuse(columns, calls):
    noise = np.random.default_rng(3).normal(size=PEOPLE)
    calls[4] = np.where(calls[4] < 0, 0, calls[4])
    # Without the genotype the score says little; with it, what is left of the score decides nearly everything.
    columns["score"] = calls[4] + 0.5 * noise
    columns["case"] = (np.random.default_rng(5).random(PEOPLE) < 1 / (1 + np.exp(-4 * noise))) * 1.0

    table = run(columns, calls, "case")["case"]

    assert table["STATUS"][4] == "UNSTABLE_SCALE"
    assert np.isnan(table["BETA"][4])
    assert (np.delete(table["STATUS"], 4) == "OK").all()


def test_cases_of_one_genotype_are_separated_without_a_fit(columns, calls):
    calls[2] = np.where(columns["case"] == 1, 0, 1)

    table = run(columns, calls, "case")["case"]

    assert table["STATUS"][2] == "SEPARATION"
    assert table["CASE_FREQ"][2] == 0


def test_everybody_heterozygous_is_constant(columns, calls):
    calls[7] = 1

    assert run(columns, calls, "case")["case"]["STATUS"][7] == "CONST_OMITTED_ALLELE"


def test_rare_variants_have_a_row_and_nothing_in_it(columns, calls):
    calls[1] = 0
    calls[1, :19] = 1

    table = run(columns, calls, "case", floors=Floors())["case"]

    assert table["STATUS"][1] == "LOW_MAC"
    for name in ("A1_FREQ", "BETA", "CASE_FREQ"):
        assert np.isnan(table[name][1])
    for name in ("A1_CT", "OBS_CT", "CASE_CT"):
        assert table[name][1] == -1


def test_the_null_fit_is_told(columns, calls):
    plan = logistic_gwas(federation(columns, calls), study("case"), chunk())

    notes = [note for note in plan if isinstance(note, Note) and note.code == "NULL_MODEL"]

    assert [note.data["trait"] for note in notes] == ["case"]
    assert 3 <= notes[0].data["rounds"] <= 8


def refusal(columns, calls, asked: Study) -> UsageError:
    with pytest.raises(UsageError) as refused:
        list(logistic_gwas(federation(columns, calls), asked, chunk()))
    return refused.value


def test_effects_of_sites_are_refused_with_the_way_out(columns, calls):
    asked = study("case")

    error = refusal(columns, calls, replace(asked, models=(replace(asked.models[0], site_effects=True),)))

    assert error.code == "NO_SITE_EFFECTS"
    assert "--model linear" in error.hint


def test_a_quantitative_trait_is_refused_by_name(columns, calls):
    error = refusal(columns, calls, study("height"))

    assert error.code == "NOT_BINARY"
    assert "'height'" in error.message


def test_a_covariate_that_decides_the_trait_is_an_error(columns, calls):
    columns["score"] = columns["case"] + np.random.default_rng(2).uniform(0, 0.5, PEOPLE)

    error = refusal(columns, calls, study("case"))

    assert error.code == "NULL_NOT_CONVERGED"


def test_a_trait_of_too_few_cases_for_a_null_model_asks_nothing():
    """The first step follows from products alone; nodes would refuse where it leads."""
    share = 1e-6
    described = SimpleNamespace(trait_means=np.array([share]))
    design = SimpleNamespace(
        model=study("case").models[0], description=described, design=np.eye(3) * 1e6, design_trait=np.zeros((3, 1))
    )

    with pytest.raises(UsageError) as refused:
        fit_null(object(), design, 0)

    assert refused.value.code == "NULL_NOT_CONVERGED"


def test_a_scan_asks_for_nothing_that_other_sums_say(columns, calls):
    told = Told(federation(columns, calls).sites)

    tables_of(told, study("case"), chunk())

    # Genotypes of cases come with round 0, the null model's first step with the products of columns.
    assert not [name for name in told.asked if name.startswith("genotypes/arms")]
    assert told.first["logistic_gwas/null@1"].null[1:].all()
