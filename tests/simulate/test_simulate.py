"""Simulated studies have the structure, the linkage, the troubles and the truth that their recipe says."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from fedstats.errors import UsageError
from fedstats.planning.panel_files import read_panel
from fedstats.simulate import Recipe, simulate
from node_agent.datasets.load import DatasetFiles, LoadedDataset, load_dataset

RECIPE = Recipe(samples=3000, variants=3000, seed=5, missing_rate=0.01)
GENOME_WIDE = stats.chi2.isf(5e-8, 1)


@dataclass(frozen=True)
class Study:
    prefix: Path
    loaded: LoadedDataset
    dosage: np.ndarray
    frame: pl.DataFrame
    truth: pl.DataFrame
    site: np.ndarray

    def numbers(self, name: str) -> np.ndarray:
        found = self.loaded.dataset.columns[name].numbers
        assert found is not None
        return found


def study(folder: Path, recipe: Recipe) -> Study:
    files = simulate(folder / "s", recipe)
    panel = read_panel(folder / "s.bim")
    loaded = load_dataset(DatasetFiles(files.bed, files.phenotypes, files.covariates), panel)
    dosage = loaded.dataset.genotypes.block(np.arange(len(panel))).dosages()
    truth = pl.read_csv(files.truth, separator="\t", schema_overrides={"CHROM": pl.String})
    return Study(folder / "s", loaded, dosage, panel.frame(), truth, loaded.dataset.columns["site"].text)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Study:
    return study(tmp_path_factory.mktemp("simulated"), RECIPE)


def chi_squares(simulated: Study, trait: str) -> np.ndarray:
    """Score statistics of all variants, adjusted for age, sex and the components."""
    y = simulated.numbers(trait)
    adjusters = [np.ones(len(y)), *(simulated.numbers(name) for name in ("age", "sex", "PC1", "PC2", "PC3", "PC4"))]
    q = np.linalg.qr(np.column_stack(adjusters))[0]
    y = y - q @ (q.T @ y)
    called = simulated.dosage >= 0
    mean = np.where(called, simulated.dosage, 0).sum(axis=1) / called.sum(axis=1)
    g = np.where(called, simulated.dosage, mean[:, None])
    g = g - (g @ q) @ q.T
    variance = (g**2).sum(axis=1)
    return np.where(variance > 1e-6, (g @ y) ** 2 / np.maximum(variance, 1e-6) / y.var(), 0.0)


def rows(simulated: Study, trait: str) -> np.ndarray:
    wanted = simulated.truth.filter(pl.col("TRAIT") == trait)["ID"]
    return np.flatnonzero(simulated.frame["ID"].is_in(wanted.to_list()).to_numpy())


def test_files_load_without_a_warning_and_with_everything(simulated: Study) -> None:
    assert simulated.loaded.warnings == ()
    assert simulated.dosage.shape == (3000, 3000)
    assert {"q1", "q2", "b1", "b2", "age", "sex", "PC1", "PC4", "site"} <= set(simulated.loaded.dataset.columns)
    assert simulated.frame["CHROM"].unique(maintain_order=True).to_list() == [*map(str, range(1, 23)), "X"]
    assert sorted(set(simulated.site.tolist())) == ["EE", "FI", "NO"]


def test_positions_increase_within_chromosomes(simulated: Study) -> None:
    steps = simulated.frame.select(pl.col("POS").diff().over("CHROM").drop_nulls())["POS"]

    assert steps.min() > 0  # type: ignore[operator]  # a number


def test_calls_are_missing_at_the_rate_asked_for(simulated: Study) -> None:
    # 9 million calls at rates that are exponential over 3,000 variants: sd of the mean is 0.01 / sqrt(3000).
    assert (simulated.dosage < 0).mean() == pytest.approx(0.01, abs=4 * 0.01 / 3000**0.5)


def test_frequencies_are_u_shaped(simulated: Study) -> None:
    frequency = np.where(simulated.dosage < 0, 0, simulated.dosage).mean(axis=1) / 2
    minor = np.minimum(frequency, 1 - frequency)

    tenths = np.histogram(minor, np.linspace(0, 0.5, 6))[0] / len(minor)
    # Half have density 1/(p(1 - p)) from 0.005 on: (logit 0.1 - logit 0.005) / -logit 0.005 = 0.585 lie below 0.1;
    # of the other half 0.05 / 0.45. Three binomial standard errors.
    assert tenths[0] == pytest.approx(0.5 * 0.585 + 0.5 * 0.111, abs=3 * (0.35 * 0.65 / 3000) ** 0.5)
    assert tenths[0] > 1.5 * tenths[1:].max()
    assert 0.05 < (frequency > 0.5).mean() < 0.2


def test_males_have_no_heterozygous_call_on_x(simulated: Study) -> None:
    on_x = simulated.frame["CHROM"].to_numpy() == "X"
    male = simulated.loaded.dataset.sex == 1

    assert not (simulated.dosage[on_x][:, male] == 1).any()
    assert (simulated.dosage[on_x][:, ~male] == 1).any()


def test_females_are_in_hardy_weinberg_proportions_within_a_site(simulated: Study) -> None:
    people = simulated.site == "FI"
    common = np.abs(np.where(simulated.dosage < 0, 0, simulated.dosage).mean(axis=1) / 2 - 0.5) < 0.3
    autosomal = simulated.frame["CHROM"].to_numpy() != "X"
    g = simulated.dosage[common & autosomal][:, people]
    called = (g >= 0).sum(axis=1)
    p = np.where(g < 0, 0, g).sum(axis=1) / called / 2
    excess = ((g == 1).sum(axis=1) - 2 * p * (1 - p) * called) / (2 * p * (1 - p) * called**0.5)

    # Standard normal scores of Hardy-Weinberg over some hundred variants.
    assert abs(excess.mean()) < 0.2
    assert excess.std() == pytest.approx(1, abs=0.15)


def test_linkage_decays_over_a_hundred_kilobases(tmp_path: Path) -> None:
    dense = study(tmp_path, Recipe(samples=1000, variants=20_000, seed=3, missing_rate=0))
    middle = np.abs(dense.dosage.mean(axis=1) / 2 - 0.4) < 0.06
    chosen = np.flatnonzero(middle & (dense.frame["CHROM"].to_numpy() != "X"))
    position, chromosome = dense.frame["POS"].to_numpy()[chosen], dense.frame["CHROM"].to_numpy()[chosen]
    r2: dict[str, list[float]] = {"near": [], "middle": [], "far": []}
    for i in range(len(chosen) - 1):
        for j in range(i + 1, min(i + 4, len(chosen))):
            distance = position[j] - position[i]
            if chromosome[i] != chromosome[j]:
                continue
            bin_ = (
                "near"
                if distance < 10_000
                else "middle"
                if 40_000 < distance < 60_000
                else "far"
                if distance > 5e5
                else ""
            )
            if bin_:
                r2[bin_].append(np.corrcoef(dense.dosage[chosen[i]], dense.dosage[chosen[j]])[0, 1] ** 2)

    assert min(len(found) for found in r2.values()) >= 20
    # Nested or disjoint carriers with frequencies near 0.4 reach r^2 of about 0.6 or 0.35 at distance 0.
    assert 0.35 < np.mean(r2["near"]) < 0.6
    # From some 3 kb to 50 kb: exp(-2 * 47 / 100) = 0.39; some dozens of pairs of unequal frequency.
    assert np.mean(r2["middle"]) / np.mean(r2["near"]) == pytest.approx(0.39, abs=0.15)
    assert np.mean(r2["far"]) < 0.01  # 1 / n = 0.001, and a little from structure between sites


def test_sites_differ_by_the_fst_asked_for(simulated: Study) -> None:
    g = np.where(simulated.dosage < 0, 0, simulated.dosage).astype(float)
    called = simulated.dosage >= 0
    numbers, variances = 0.0, 0.0
    for one, other in (("FI", "EE"), ("FI", "NO"), ("EE", "NO")):
        a, b = simulated.site == one, simulated.site == other
        na, nb = 2 * called[:, a].sum(axis=1), 2 * called[:, b].sum(axis=1)
        pa, pb = g[:, a].sum(axis=1) / na, g[:, b].sum(axis=1) / nb
        # Hudson's estimator, a ratio of averages (Bhatia et al. 2013, equation 10).
        numbers += ((pa - pb) ** 2 - pa * (1 - pa) / (na - 1) - pb * (1 - pb) / (nb - 1)).sum()
        variances += (pa * (1 - pb) + pb * (1 - pa)).sum()

    assert numbers / variances == pytest.approx(0.01, rel=0.25)


def test_first_components_separate_the_sites(simulated: Study) -> None:
    components = np.column_stack([simulated.numbers(f"PC{number}") for number in (1, 2, 3, 4)])
    indicators = np.column_stack([simulated.site == name for name in ("FI", "EE", "NO")]).astype(float)
    fitted = indicators @ np.linalg.lstsq(indicators, components, rcond=None)[0]

    explained = (fitted**2).sum(axis=0) / (components**2).sum(axis=0)
    assert explained[:2].min() > 0.8
    assert explained[2:].max() < 0.05  # three sites span two dimensions
    np.testing.assert_allclose(components.T @ components, np.eye(4), atol=1e-6)  # eight printed digits


@pytest.mark.parametrize("trait", ["q1", "q2", "b1"])
def test_scan_finds_the_planted_variants_and_little_else(simulated: Study, trait: str) -> None:
    chi = chi_squares(simulated, trait)
    planted = rows(simulated, trait)

    assert len(planted) == (6 if trait == "b1" else 8)
    assert (chi[planted] > GENOME_WIDE).mean() >= 0.75
    neighbours = np.isin(simulated.frame["CHROM"].to_numpy(), simulated.frame["CHROM"].to_numpy()[planted])
    assert chi[~neighbours].max() < GENOME_WIDE
    assert np.median(chi) / stats.chi2.median(1) == pytest.approx(1, abs=0.15)


def test_planted_effects_are_those_of_the_truth(simulated: Study) -> None:
    truth = simulated.truth.filter(pl.col("TRAIT") == "q1")
    assert truth["A1"].to_list() == truth["ALT"].to_list()
    at = [simulated.frame["ID"].to_list().index(name) for name in truth["ID"]]
    g = np.where(simulated.dosage[at] < 0, np.nan, simulated.dosage[at])
    g = np.where(np.isnan(g), np.nanmean(g, axis=1)[:, None], g)
    people = len(simulated.site)
    x = np.column_stack([np.ones(people), simulated.numbers("age"), simulated.numbers("sex"), g.T])

    fit, *_ = np.linalg.lstsq(x, simulated.numbers("q1"), rcond=None)

    standard_error = 1 / np.sqrt(people * g.var(axis=1))
    assert (np.abs(fit[3:] - truth["BETA"].to_numpy()) / standard_error).max() < 4
    np.testing.assert_allclose(truth["BETA_STD"] / truth["BETA"], g.std(axis=1), rtol=0.02)  # 1 % of calls are lost


def test_shares_of_cases_are_a_half_and_two_per_cent(simulated: Study) -> None:
    assert simulated.numbers("b1").mean() == pytest.approx(0.5, abs=1e-3)
    assert simulated.numbers("b2").mean() == pytest.approx(0.02, abs=1e-3)


def test_equal_recipes_give_equal_bytes_and_other_seeds_others(tmp_path: Path) -> None:
    recipe = Recipe(samples=200, variants=300)
    other = Recipe(samples=200, variants=300, seed=2)
    for name, one in (("a", recipe), ("b", recipe), ("c", other)):
        simulate(tmp_path / name / "x", one)

    for suffix in ("bed", "bim", "fam", "pheno.tsv", "covar.tsv", "truth.tsv"):
        first, second = ((tmp_path / name / f"x.{suffix}").read_bytes() for name in "ab")
        assert first == second
    assert (tmp_path / "a" / "x.bed").read_bytes() != (tmp_path / "c" / "x.bed").read_bytes()


def test_one_more_trait_leaves_the_genotypes_alone(tmp_path: Path) -> None:
    simulate(tmp_path / "a", Recipe(samples=200, variants=300, traits=1, missing_rate=0))
    simulate(tmp_path / "b", Recipe(samples=200, variants=300, traits=3, missing_rate=0))

    assert (tmp_path / "a.bed").read_bytes() == (tmp_path / "b.bed").read_bytes()
    assert pl.read_csv(tmp_path / "b.pheno.tsv", separator="\t").columns == [
        "#FID",
        "IID",
        "q1",
        "q2",
        "q3",
        "b1",
        "b2",
    ]


def test_troubles_are_planted_where_asked(tmp_path: Path) -> None:
    plain = Recipe(samples=900, variants=400, missing_rate=0.05)
    trouble = Recipe(
        samples=900, variants=400, missing_rate=0.05, trait_missing_rate=0.1,
        confounded=True, missing_by_trait=True, outlier=True, controls_only=True,
    )  # fmt: skip
    before, after = study(tmp_path / "a", plain), study(tmp_path / "b", trouble)

    share = {s: np.nanmean(after.numbers("b1")[after.site == s]) for s in ("FI", "EE", "NO")}
    assert share["NO"] == 0
    assert share["EE"] - share["FI"] > 0.15
    q1 = after.numbers("q1")
    assert np.nanmax(q1) > 50 * np.nanstd(np.sort(q1[~np.isnan(q1)])[:-1])
    assert np.isnan(q1).mean() == pytest.approx(0.1, abs=0.03)
    assert tied(after) > 2.0
    assert tied(before) == pytest.approx(1, abs=0.1)


def tied(simulated: Study) -> float:
    """How many times as often calls are missing in the upper third of q1."""
    q1 = simulated.numbers("q1")
    lost, high = (simulated.dosage < 0).mean(axis=0), q1 > np.nanquantile(q1, 2 / 3)
    return float(lost[high].mean() / lost[~high & ~np.isnan(q1)].mean())


@pytest.mark.parametrize(
    "changed", [{"sites": 0}, {"samples": 10}, {"variants": 1}, {"traits": 0}, {"missing_rate": 1.0}]
)
def test_impossible_recipes_are_refused_by_option(tmp_path: Path, changed: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"--{next(iter(changed)).replace('_', '-')}"):
        simulate(tmp_path / "x", Recipe(**changed))  # type: ignore[arg-type]  # options by name
