import numpy as np
import pytest

from fedstats.analyses.linear_sums import CompleteParameters, ScanParameters, complete, scan
from fedstats.errors import DisclosureRefused, UsageError
from fedstats.local import LocalSite, LocalSums
from fedstats.study import Filters, Floors
from tests import real_data
from tests.analyses import planted
from tests.naive.linear import regression

COVARIATES = ("age", "sex", "PC1", "PC2", "PC3", "PC4")
KINDS = ("autosome", "x", "mt")
#: PLINK 2 prints six significant digits: at worst half a unit of the sixth of 1.00000.
PRINTED = 5.001e-6
#: Pooled and federated fits solve the same rounded columns; 34 fraction bits leave about 1e-10 standard errors.
SAME_FIT = 1e-9


# --- against PLINK 2 on real genomes ----------------------------------------------------------------------------------


def numbers(texts: np.ndarray) -> np.ndarray:
    return np.where(texts == "NA", "nan", texts).astype(float)


def assert_plink(table: dict[str, np.ndarray], name: str) -> None:
    """Every printed digit of a reference: OBS_CT, BETA, SE, T, P and the status."""
    found = real_data.reference(name)
    found = {column: values[found["TEST"] == "ADD"] for column, values in found.items()}
    position = {identifier: number for number, identifier in enumerate(real_data.panel()["ID"])}
    rows = np.searchsorted(table["variant"], [position[identifier] for identifier in found["ID"]])
    assert len(rows) == len(table["variant"])
    assert np.array_equal(table["OBS_CT"][rows], found["OBS_CT"].astype(int))
    assert np.array_equal(np.where(table["STATUS"][rows] == "OK", ".", table["STATUS"][rows]), found["ERRCODE"])
    for ours, theirs in (("BETA", "BETA"), ("SE", "SE"), ("STAT", "T_STAT")):
        np.testing.assert_allclose(table[ours][rows], numbers(found[theirs]), rtol=PRINTED)
    np.testing.assert_allclose(10.0 ** -table["LOG10P"][rows], numbers(found["P"]), rtol=PRINTED)


def real_scan(
    traits: tuple[str, ...], covariates: tuple[str, ...], column: str | None = "site3", **choices: object
) -> dict[str, np.ndarray]:
    """The first trait's table over all variants of the real data."""
    study = planted.linear_study(traits, covariates, kinds=KINDS, missing="drop", **choices)  # type: ignore[arg-type]  # by name
    return planted.run(real_data.federation(column), study, real_data.all_chunks())[0][traits[0]]


@real_data.needs_real_data()
@pytest.mark.parametrize("trait", ["qt1", "qt2"])
def test_three_sites_give_every_digit_of_plink(trait: str) -> None:
    assert_plink(real_scan((trait,), COVARIATES), f"adj.{trait}.glm.linear")


@real_data.needs_real_data()
@pytest.mark.parametrize("trait", ["qt1", "qt2"])
def test_no_covariates_give_every_digit_of_plink(trait: str) -> None:
    # PLINK adds sex on X, and so does the planted study.
    assert_plink(real_scan((trait,), ()), f"nocov.{trait}.glm.linear")


@real_data.needs_real_data()
def test_effects_of_sites_give_every_digit_of_plink_with_site_indicators() -> None:
    assert_plink(real_scan(("qt1",), ("age", "sex"), site_effects=True), "sitefx.qt1.glm.linear")


@real_data.needs_real_data()
def test_one_site_alone_gives_every_digit_and_status_of_plink() -> None:
    alone = LocalSums([LocalSite(real_data.dataset(), real_data.members("C"))])
    study = planted.linear_study(("qt1",), COVARIATES, kinds=KINDS, nodes=1, missing="drop")

    table = planted.run(alone, study, real_data.all_chunks())[0]["qt1"]

    assert_plink(table, "siteC.qt1.glm.linear")
    assert "CONST_OMITTED_ALLELE" in table["STATUS"]


@real_data.needs_real_data()
@pytest.mark.parametrize("column", ["site3", "site_pop"])
def test_sites_give_the_fit_of_one_cohort(column: str) -> None:
    split, pooled = (real_scan(("qt1",), COVARIATES, of) for of in (column, None))

    assert np.abs((split["BETA"] - pooled["BETA"]) / pooled["SE"]).max() < SAME_FIT
    assert np.abs(split["SE"] / pooled["SE"] - 1).max() < SAME_FIT


@real_data.needs_real_data()
def test_mean_imputation_is_that_of_statsmodels() -> None:
    import statsmodels.api as sm

    chosen = np.arange(0, 14_000, 700)
    study = planted.linear_study(("qt1",), COVARIATES)
    data = real_data.dataset()

    table = planted.run(real_data.federation(), study, real_data.all_chunks(chosen))[0]["qt1"]

    values = np.column_stack([data.columns[name].numbers for name in ("qt1", *COVARIATES)])
    rows = ~np.isnan(values).any(axis=1)
    dosages = data.genotypes.block(chosen).dosages()[:, rows].astype(float)
    imputed = np.where(dosages < 0, np.nan, dosages)
    imputed = np.where(np.isnan(imputed), np.nanmean(imputed, axis=1)[:, None], imputed)
    design = sm.add_constant(values[rows, 1:])
    fits = [sm.OLS(values[rows, 0], np.column_stack([design, g])).fit() for g in imputed]
    np.testing.assert_allclose(table["SE"], [fit.bse[-1] for fit in fits], rtol=1e-8)
    assert np.abs((table["BETA"] - [fit.params[-1] for fit in fits]) / table["SE"]).max() < 1e-8
    assert set(table["OBS_CT"]) == {rows.sum()}


# --- status codes, planted --------------------------------------------------------------------------------------------


def planted_statuses() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Genotypes and covariates of which each is degenerate in another way."""
    rng = np.random.default_rng(3)
    n = 200
    c1, c2 = rng.normal(size=n), rng.normal(size=n)
    c2[:40] = 1.5
    c1[40:80] = c2[40:80]
    g = rng.binomial(2, 0.4, n)

    def only(rows: slice, values: object = None) -> np.ndarray:
        called = np.full(n, -1)
        called[rows] = g[rows] if values is None else values
        return called

    genotypes = {
        "normal": g,
        "all_reference": np.zeros(n, int),
        "all_alternative": np.full(n, 2),
        "all_heterozygous": np.ones(n, int),
        "c2_constant": only(slice(0, 40)),
        "c1_is_c2": only(slice(40, 80)),
        "four_people": only(slice(0, 4), [0, 1, 2, 1]),
        "four_people_constant": only(slice(0, 4), 0),
        "five_people": only(slice(100, 105), [0, 1, 2, 1, 0]),
        "nobody": only(slice(0, 0)),
        "h": rng.binomial(2, 0.3, n),
        "k": rng.binomial(2, 0.3, n),
        "q": rng.binomial(2, 0.3, n),
    }
    covariates = {"y": rng.normal(size=n), "c1": c1, "c2": c2}
    for name, noise in (("h", 0.001), ("k", 0.09), ("q", 0.11), ("h0", 0.0)):
        covariates[f"near_{name}"] = genotypes[name[0]] + noise * rng.normal(size=n)
    return genotypes, covariates


# PLINK v2.00a3.5 on data made alike (--glm hide-covar omit-ref): with c1 and c2; with c1 and one near a genotype;
# and with one covariate alone, where PLINK does not look at correlations.
BOTH = {
    "normal": "OK",
    "all_reference": "CONST_OMITTED_ALLELE",
    "all_alternative": "CONST_OMITTED_ALLELE",
    "all_heterozygous": "CONST_OMITTED_ALLELE",
    "c2_constant": "CORR_TOO_HIGH",
    "c1_is_c2": "CORR_TOO_HIGH",
    "four_people": "SAMPLE_CT<=PREDICTOR_CT",
    "four_people_constant": "SAMPLE_CT<=PREDICTOR_CT",
    "five_people": "OK",
    "nobody": "SAMPLE_CT<=PREDICTOR_CT",
}


@pytest.mark.parametrize(
    ("covariates", "expected"),
    [
        (("c1", "c2"), BOTH),
        (("c1", "near_h"), {"h": "CORR_TOO_HIGH", "k": "OK"}),
        (("c1", "near_k"), {"k": "VIF_TOO_HIGH", "h": "OK"}),
        (("c1", "near_q"), {"q": "OK"}),
        (("near_h",), {"h": "OK", "four_people_constant": "CONST_OMITTED_ALLELE"}),
        (("near_h0",), {"h": "RANK_DEFICIENT"}),
        (("c1", "near_h0"), {"h": "CORR_TOO_HIGH"}),
    ],
)
def test_statuses_are_those_of_plink(covariates: tuple[str, ...], expected: dict[str, str]) -> None:
    genotypes, columns = planted_statuses()
    data = planted.dataset(np.array(list(genotypes.values())), columns)
    study = planted.linear_study(("y",), covariates, missing="drop")
    names = list(genotypes)

    table = planted.run(planted.federation(data, np.arange(200) % 3), study, planted.one_chunk(len(names)))[0]["y"]

    found = dict(zip(names, table["STATUS"].tolist(), strict=True))
    assert {name: found[name] for name in expected} == expected
    assert np.array_equal(np.isnan(table["BETA"]), table["STATUS"] != "OK")


# --- missing genotypes and effects of sites, planted ------------------------------------------------------------------


def cohort(seed: int = 5, people: int = 240) -> tuple[np.ndarray, dict[str, np.ndarray], np.ndarray]:
    """Dosages of 30 variants with a tenth missing, columns, and three sites that differ in all of them."""
    rng = np.random.default_rng(seed)
    site = np.arange(people) % 3
    dosages = rng.binomial(2, 0.2 + 0.2 * site, (30, people))
    dosages[:20][rng.random((20, people)) < 0.1] = -1
    x, z = rng.normal(size=people) + site, rng.normal(size=people)
    trait = 0.3 * x + site * z + 0.2 * dosages[0] + rng.normal(size=people) + 2.0 * site
    case = (rng.random(people) < 0.4).astype(float)
    return dosages, {"x": x, "z": z, "y": trait, "case": case}, site


def assert_naive(table: dict[str, np.ndarray], design: np.ndarray, dosages: np.ndarray, trait: np.ndarray) -> None:
    for number, genotype in enumerate(dosages):
        called = genotype >= 0
        used = design[called][:, np.abs(design[called]).max(axis=0) > 0]
        beta, error = regression(used, genotype[called].astype(float), trait[called])
        assert abs(table["BETA"][number] - beta) < SAME_FIT * error
        assert table["SE"][number] == pytest.approx(error, rel=SAME_FIT)
        assert table["OBS_CT"][number] == called.sum()


@pytest.mark.parametrize("local", [(), ("z",)])
def test_sites_taken_out_at_the_node_are_indicators_over_the_called(local: tuple[str, ...]) -> None:
    dosages, columns, site = cohort()
    dosages[3, site == 1] = -1  # a site without a single call has no effect to take out
    indicators = (site[:, None] == np.arange(3)).astype(float)
    design = np.hstack([indicators, *[indicators * columns[name][:, None] for name in local], columns["x"][:, None]])
    study = planted.linear_study(("y",), ("x",), missing="drop", site_effects=True, local=local)

    table = planted.run(planted.federation(planted.dataset(dosages, columns), site), study, planted.one_chunk(30))[0][
        "y"
    ]

    assert_naive(table, design, dosages, columns["y"])


def test_effects_of_sites_with_mean_imputation_are_those_of_indicators() -> None:
    dosages, columns, site = cohort()
    filled = np.where(dosages < 0, np.nan, dosages)
    filled = np.where(dosages < 0, np.nanmean(filled, axis=1)[:, None], filled)
    design = np.column_stack([site[:, None] == np.arange(3), columns["x"]]).astype(float)
    study = planted.linear_study(("y",), ("x",), site_effects=True)

    table = planted.run(planted.federation(planted.dataset(dosages, columns), site), study, planted.one_chunk(30))[0][
        "y"
    ]

    assert_naive(table, design, filled, columns["y"])


def test_several_traits_of_one_scan_are_those_of_scans_apart() -> None:
    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns), site)

    both = planted.run(of, planted.linear_study(("y", "z"), ("x",), missing="drop"), planted.one_chunk(30))[0]

    for name in ("y", "z"):
        design = np.column_stack([np.ones(len(site)), columns["x"]])
        assert_naive(both[name], design, dosages, columns[name])


def test_few_missing_calls_are_imputed_or_withheld_as_asked() -> None:
    dosages, columns, site = cohort()
    dosages[0] = np.abs(dosages[0])
    dosages[0, :4] = -1
    of = planted.federation(planted.dataset(dosages, columns), site)
    floors = Floors(min_mac=1, min_carrier_nodes=1, min_missing=10, min_missing_nodes=2)

    drop, strict = (
        planted.run(of, planted.linear_study(("y",), floors=floors, missing=how), planted.one_chunk(30))[0]["y"]
        for how in ("drop", "drop-strict")
    )

    assert (drop["MISSING"][0], drop["OBS_CT"][0], drop["STATUS"][0]) == ("mean", 240, "OK")
    assert (drop["MISSING"][1], drop["OBS_CT"][1]) == ("drop", (dosages[1] >= 0).sum())
    assert (drop["MISSING"][25], drop["OBS_CT"][25]) == ("drop", 240)
    assert strict["STATUS"][0] == "SUPPRESSED_CELL"
    assert np.isnan(strict["BETA"][0])
    assert np.array_equal(strict["BETA"][1:], drop["BETA"][1:])


def test_rare_variants_are_withheld_altogether() -> None:
    dosages, columns, site = cohort()
    dosages[4] = 0
    dosages[4, :7] = 1
    dosages[5] = np.where(site == 0, dosages[5] % 2, 0)
    of = planted.federation(planted.dataset(dosages, columns), site)
    floors = Floors(min_mac=20, min_carrier_nodes=2)

    table = planted.run(of, planted.linear_study(("y",), floors=floors), planted.one_chunk(30))[0]["y"]

    assert table["STATUS"][:6].tolist() == ["OK", "OK", "OK", "OK", "LOW_MAC", "LOW_MAC"]
    assert np.isnan(table["A1_FREQ"][4:6]).all()
    assert table["A1_CT"][4:6].tolist() == [-1, -1]
    assert table["MISSING_CT"][4:6].tolist() == [-1, -1]


def test_binary_traits_say_how_many_cases_there_are() -> None:
    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns), site)
    study = planted.linear_study(("case",), missing="drop", binary=("case",))

    table = planted.run(of, study, planted.one_chunk(30))[0]["case"]

    case, called = columns["case"] == 1, dosages >= 0
    alleles = np.where(called, dosages, 0)
    assert np.array_equal(table["CASE_CT"], (called & case).sum(axis=1))
    assert np.array_equal(table["CTRL_CT"], (called & ~case).sum(axis=1))
    np.testing.assert_allclose(table["CASE_FREQ"], alleles[:, case].sum(axis=1) / (2 * table["CASE_CT"]), rtol=1e-15)
    np.testing.assert_allclose(table["CTRL_FREQ"], alleles[:, ~case].sum(axis=1) / (2 * table["CTRL_CT"]), rtol=1e-15)


def test_filters_leave_no_row_and_are_counted() -> None:
    from dataclasses import replace

    dosages, columns, site = cohort()
    dosages[4] = 0
    dosages[4, :7] = 1
    of = planted.federation(planted.dataset(dosages, columns), site)
    study = replace(planted.linear_study(("y",)), filters=Filters(maf=0.05, geno=0.01))

    (rows,) = planted.rows_of(of, study, planted.one_chunk(30))

    missing = (dosages < 0).mean(axis=1) > 0.01
    geno, maf = rows.filtered
    assert (geno.name, geno.traits, geno.variants.tolist()) == ("geno", ("y",), np.flatnonzero(missing).tolist())
    assert (maf.name, maf.traits, maf.variants.tolist()) == ("maf", ("y",), [] if missing[4] else [4])
    assert np.array_equal(rows.tables["y"]["variant"], [v for v in np.flatnonzero(~missing) if v != 4])


def test_hwe_filter_by_site_keeps_what_pooling_would_drop() -> None:
    from dataclasses import replace

    rng = np.random.default_rng(8)
    site = np.arange(3000) % 3
    dosages = rng.binomial(2, 0.1 + 0.4 * site, (20, 3000))
    dosages[0] = np.where(rng.random(3000) < 0.5, 0, 2)
    of = planted.federation(planted.dataset(dosages, {"y": rng.normal(size=3000)}), site)
    study = planted.linear_study(("y",), nodes=3)

    by_site, pooled = (
        planted.rows_of(of, replace(study, filters=filters), planted.one_chunk(20))[0].filtered[0].variants.tolist()
        for filters in (Filters(hwe=1e-6), Filters(hwe_pooled=1e-6))
    )

    assert by_site == [0]
    assert pooled == list(range(20))


# --- refusals and warnings --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("covariates", "named"),
    [
        (("x", "one"), "'one'"),
        (("x", "z", "sum"), "'sum'"),
        (("x", "twice"), "'x' and 'twice'"),
        (("x", "near"), "variance inflation over 50.*'near'"),
    ],
)
def test_degenerate_covariates_are_named_before_any_scan(covariates: tuple[str, ...], named: str) -> None:
    dosages, columns, site = cohort()
    noise = np.random.default_rng(1).normal(size=240)
    columns |= {"one": np.ones(240), "sum": columns["x"] + columns["z"], "twice": 2 * columns["x"]}
    columns["near"] = columns["x"] + 0.08 * noise
    of = planted.federation(planted.dataset(dosages, columns), site)

    with pytest.raises(UsageError, match=named):
        planted.run(of, planted.linear_study(("y",), covariates), planted.one_chunk(30))


def test_constant_trait_is_named() -> None:
    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns | {"same": np.full(240, 0.1)}), site)

    with pytest.raises(UsageError, match="'same'"):
        planted.run(of, planted.linear_study(("same",)), planted.one_chunk(30))


def test_covariate_that_is_the_site_is_named_with_site_effects() -> None:
    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns | {"country": site}), site)

    with pytest.raises(UsageError, match="'country'"):
        planted.run(of, planted.linear_study(("y",), ("country",), site_effects=True), planted.one_chunk(30))


@pytest.mark.parametrize(("site_effects", "expected"), [(False, ["SITES_DIFFER"]), (True, [])])
def test_sites_that_differ_are_warned_of_where_nothing_is_done(site_effects: bool, expected: list[str]) -> None:
    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns), site)

    notes = planted.run(of, planted.linear_study(("y",), site_effects=site_effects), planted.one_chunk(30))[1]

    assert [note.code for note in notes] == expected


def test_site_p_value_is_that_of_analysis_of_variance() -> None:
    from scipy import stats

    dosages, columns, site = cohort()
    of = planted.federation(planted.dataset(dosages, columns), site)

    (note,) = planted.run(of, planted.linear_study(("y",)), planted.one_chunk(30))[1]

    expected = stats.f_oneway(*[columns["y"][site == number] for number in range(3)]).pvalue
    assert note.data["p"] == pytest.approx(expected, rel=1e-8)


def parameters(**changed: int) -> CompleteParameters:
    values = {"called": 100, "dosage": 50, "minor_count": 50, "carrier_nodes": 3, "missing": 20, "missing_nodes": 3}
    counts = {name: np.array([99, value]) for name, value in (values | changed).items()}
    none = np.zeros(0)
    return CompleteParameters(none, none, none, none, **counts)


@pytest.mark.parametrize("changed", [{"minor_count": 19}, {"carrier_nodes": 1}, {"missing": 9}, {"missing_nodes": 1}])
def test_node_refuses_variants_under_its_floors(changed: dict[str, int]) -> None:
    complete.admissible(parameters(), Floors())

    with pytest.raises(DisclosureRefused, match="nothing was released"):
        complete.admissible(parameters(**changed), Floors())


def test_scan_does_not_ask_for_missing_calls() -> None:
    of = vars(parameters(missing=0))
    asked = ScanParameters(**{name: values for name, values in of.items() if not name.startswith("missing")})

    scan.admissible(asked, Floors())
    with pytest.raises(DisclosureRefused, match="20 minor alleles"):
        scan.admissible(asked, Floors(min_mac=20, min_carrier_nodes=100))
