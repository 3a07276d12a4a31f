import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import special

from fedstats.analyses import variant_filters, variant_tables
from fedstats.analyses.genotype_counts import ArmParameters, count_arms, count_variants
from fedstats.cohort import Cohort
from fedstats.local import LocalSums
from fedstats.step import Q, S, Step
from fedstats.study import Filters, Floors, Model, Study
from tests import real_data
from tests.analyses import planted

#: PLINK 2 prints six significant digits.
PRINTED = 5.001e-6
KINDS = ("autosome", "x", "mt")


def table_of(analysis: str, name: str, column: str | None = "site3") -> dict[str, np.ndarray]:
    """A table of everybody in the real data, split into sites."""
    study = Study(analysis, tuple(Model(kind, kind) for kind in KINDS), ("A", "B", "C"), floors=planted.NO_FLOORS)
    return planted.run(real_data.federation(column), study, real_data.all_chunks())[0][name]


def assert_columns(table: dict[str, np.ndarray], reference: str) -> None:
    """All columns of PLINK's table: counts equal, numbers to the printed digits."""
    found = real_data.reference(reference)
    position = {identifier: number for number, identifier in enumerate(real_data.panel()["ID"])}
    rows = np.searchsorted(table["variant"], [position[identifier] for identifier in found["ID"]])
    assert len(rows) == len(table["variant"])
    compared = [name for name in found if name not in ("CHROM", "ID", "REF", "ALT", "A1", "AX")]
    for name in compared:
        expected = found[name].astype(float)
        if table[name].dtype.kind == "i":
            assert np.array_equal(table[name][rows], expected), name
        else:
            np.testing.assert_allclose(table[name][rows], expected, rtol=PRINTED, err_msg=name)


@real_data.needs_real_data()
@pytest.mark.parametrize("column", ["site3", "site_pop", None])
def test_frequencies_are_those_of_plink(column: str | None) -> None:
    assert_columns(table_of("freq", "afreq", column), "all.afreq")


@real_data.needs_real_data()
def test_missing_calls_are_those_of_plink() -> None:
    assert_columns(table_of("missing", "vmiss"), "all.vmiss")


@real_data.needs_real_data()
@pytest.mark.parametrize(("name", "reference"), [("hardy", "all.hardy"), ("hardy.x", "all.hardy.x")])
def test_hardy_weinberg_is_that_of_plink(name: str, reference: str) -> None:
    assert_columns(table_of("hardy", name), reference)


def x_data() -> tuple[planted.Dataset, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(2)
    sex = rng.choice(np.array([0, 1, 2], np.int8), 90)
    dosages = rng.binomial(2, 0.3, (6, 90))
    dosages[:, sex == 1] = 2 * (dosages[:, sex == 1] > 0)
    dosages[0, np.flatnonzero(sex == 1)[0]] = 1  # a male called heterozygous
    dosages[rng.random(dosages.shape) < 0.05] = -1
    return planted.dataset(dosages, {}, sex), dosages, sex


@pytest.mark.parametrize(
    ("kind", "weight"), [("autosome", (2, 2, 2)), ("x", (2, 1, 2)), ("y", (0, 1, 0)), ("mt", (1, 1, 1))]
)
def test_frequency_weighs_a_person_by_alleles(kind: str, weight: tuple[int, int, int]) -> None:
    data, dosages, sex = x_data()
    study = Study("freq", (Model("m", kind),), ("A", "B", "C"), floors=planted.NO_FLOORS)  # type: ignore[arg-type]  # a kind

    found = planted.run(planted.federation(data, np.arange(90) % 3), study, planted.one_chunk(6, kind))[0]["afreq"]  # type: ignore[arg-type]  # a kind

    alleles = np.array(weight)[sex] * (dosages >= 0)
    assert np.array_equal(found["OBS_CT"], alleles.sum(axis=1))
    np.testing.assert_allclose(
        found["ALT_FREQS"], (alleles * dosages / 2).sum(axis=1) / alleles.sum(axis=1), rtol=1e-15
    )


def test_turned_alleles_count_the_other_way() -> None:
    data, dosages, _ = x_data()
    site = np.arange(90) % 3
    of, other = planted.federation(data, site), planted.federation(data, site)
    turned = planted.dataset(np.where(dosages < 0, -1, 2 - dosages), {})

    class Turned(planted.InMemory):
        def block(self, variants: np.ndarray) -> planted.PackedBlock:
            return replace(super().block(variants), swap=np.ones(len(variants), np.bool_))

    other.sites[1] = replace(other.sites[1], dataset=replace(data, genotypes=Turned(turned.genotypes.dosages)))
    study = Study("freq", (Model("m", "autosome"),), ("A", "B", "C"), floors=planted.NO_FLOORS)

    plain, with_turned = (planted.run(f, study, planted.one_chunk(6))[0]["afreq"] for f in (of, other))

    assert np.array_equal(plain["ALT_FREQS"], with_turned["ALT_FREQS"])


@real_data.needs_real_data()
def test_mid_p_is_the_exact_p_less_half_the_probability_of_what_was_seen() -> None:
    found = table_of("hardy", "hardy")
    called = found["HOM_A1_CT"] + found["HET_A1_CT"] + found["TWO_AX_CT"]
    rare = found["TWO_AX_CT"] * 2 + found["HET_A1_CT"]
    # Probability of what was seen given allele counts (Wigginton et al. 2005, equation 1), by log factorials.
    lf = special.gammaln
    seen = np.exp(
        found["HET_A1_CT"] * np.log(2)
        + lf(called + 1)
        + lf(rare + 1)
        + lf(2 * called - rare + 1)
        - lf(found["HOM_A1_CT"] + 1)
        - lf(found["HET_A1_CT"] + 1)
        - lf(found["TWO_AX_CT"] + 1)
        - lf(2 * called + 1)
    )

    # As PLINK 2: outcomes as likely as what was seen, of which there are one or two, count half.
    halves = (found["P"] - found["MIDP"]) / (seen / 2)
    np.testing.assert_allclose(halves, np.rint(halves), rtol=1e-6)
    assert set(np.rint(halves)) <= {1.0, 2.0}
    assert (np.rint(halves) == 1).mean() > 0.9


@pytest.mark.parametrize(("analysis", "table"), [("freq", "afreq"), ("missing", "vmiss"), ("hardy", "hardy")])
def test_values_under_the_floors_are_withheld(analysis: str, table: str) -> None:
    dosages = np.zeros((3, 90), int)
    dosages[0] = np.arange(90) % 3
    dosages[1, :19] = 1
    dosages[2, ::3] = np.arange(30) % 3  # carriers at one site only
    data = planted.dataset(dosages, {})
    study = Study(analysis, (Model("m", "autosome"),), ("A", "B", "C"), floors=Floors(min_mac=20, min_carrier_nodes=2))

    found = planted.run(planted.federation(data, (np.arange(90) // 30)), study, planted.one_chunk(3))[0][table]

    assert found["STATUS"].tolist()[:2] == ["OK", "LOW_MAC"]
    for name, values in found.items():
        if name not in ("variant", "STATUS"):
            assert values[1] == -1 if values.dtype.kind == "i" else np.isnan(values[1]), name


@pytest.mark.parametrize(
    ("analysis", "filters"),
    [("freq", Filters()), ("hardy", Filters(maf=0.1)), ("missing", Filters()), ("hardy", Filters(geno=0.5))],
)
def test_tables_of_counts_ask_for_nothing_but_counts(analysis: str, filters: Filters) -> None:
    """Every sum over whole cohorts takes a pass at each node."""
    dosages = np.tile(np.arange(90) % 3, (3, 1))
    dosages[:2, :30] = -1
    study = Study(analysis, (Model("m", "autosome"),), ("A", "B", "C"), floors=planted.NO_FLOORS, filters=filters)

    class Blocks(LocalSums):
        def sum(self, step: Step[Q, S], model: Model, parameters: Q) -> S:  # as a federation has it
            raise AssertionError(f"{step.name} was asked")

    sites = planted.federation(planted.dataset(dosages, {}), np.arange(90) % 3).sites
    found = planted.run(Blocks(sites), study, planted.one_chunk(3))

    assert found


@pytest.mark.parametrize("by_sex", [True, False])
def test_cases_are_counted_by_sex_where_that_is_asked_and_nowhere_else(by_sex: bool) -> None:
    data, dosages, sex = x_data()
    case = np.arange(90) % 4 == 0
    cohort = Cohort(np.ones(90, np.bool_), np.zeros((90, 0)), case[:, None] * 1.0, np.zeros((90, 0)), sex == 1)
    block = data.genotypes.block(np.arange(6))

    found = count_arms(
        replace(cohort, genotypes=block), ArmParameters(by_sex, np.array([0]), np.full(6, 99), np.full(6, 3))
    )

    called, men = (dosages >= 0) & case, by_sex & (sex == 1)
    assert np.array_equal(found.called[:, 0], called.sum(axis=1))
    assert np.array_equal(found.male_called[:, 0], (called & men).sum(axis=1))
    assert np.array_equal(found.male_dosage[:, 0], (dosages * (called & men)).sum(axis=1))


def test_people_are_counted_with_the_genotypes() -> None:
    dosages = np.tile(np.arange(9) % 3, (2, 1))
    dosages[1, :4] = -1
    of = planted.federation(planted.dataset(dosages, {}), np.arange(9) % 3)
    (chunk,) = planted.one_chunk(2)

    found = count_variants(of, Model("m", "autosome"), chunk.blocks())

    assert (found.people, found.called.tolist(), found.missing.tolist()) == (9, [9, 5], [0, 4])


def test_stratified_hardy_does_not_see_differences_between_sites() -> None:
    rng = np.random.default_rng(4)
    site = np.arange(1200) % 3
    data = planted.dataset(rng.binomial(2, 0.1 + 0.4 * site, (40, 1200)), {})
    study = Study("hardy", (Model("m", "autosome"),), ("A", "B", "C"), floors=planted.NO_FLOORS)

    found = planted.run(planted.federation(data, site), study, planted.one_chunk(40))[0]["hardy"]

    assert found["P"].max() < 1e-6
    # Forty p-values of a true null: the smallest is below 1e-4 once in 250 seeds.
    assert found["P_STRAT"].min() > 1e-4


@pytest.mark.parametrize("analysis", ["freq", "hardy", "missing"])
def test_tables_do_not_depend_on_how_many_variants_are_asked_at_a_time(
    monkeypatch: pytest.MonkeyPatch, analysis: str
) -> None:
    rng = np.random.default_rng(3)
    of = planted.federation(planted.dataset(rng.integers(-1, 3, (10, 300)), {}), np.arange(300) % 3)
    study = Study(analysis, (Model("m", "autosome"),), ("A", "B", "C"), floors=planted.NO_FLOORS)

    at_once, _ = planted.run(of, study, planted.one_chunk(10))
    monkeypatch.setattr(variant_tables, "COUNTED_TOGETHER", 4)
    monkeypatch.setattr(variant_filters, "COUNTED_TOGETHER", 3)
    in_pieces, _ = planted.run(of, study, planted.one_chunk(10))

    assert list(in_pieces) == list(at_once)
    for name, columns in at_once.items():
        for column, values in columns.items():
            np.testing.assert_array_equal(in_pieces[name][column], values, err_msg=column)


def test_stratified_hardy_is_the_score_of_levene_by_enumeration() -> None:
    from scipy import stats

    from tests.kernels.test_hardy_weinberg import weights

    dosages = np.array([[0] * 5 + [1] * 20 + [2] * 5 + [0] * 12 + [1] * 4 + [2] * 4])
    site = np.repeat([0, 1], [30, 20])
    study = Study("hardy", (Model("m", "autosome"),), ("A", "B"), floors=planted.NO_FLOORS)

    found = planted.run(planted.federation(planted.dataset(dosages, {}), site), study, planted.one_chunk(1))[0]["hardy"]

    excess, variance = 0.0, 0.0
    for people, alleles, observed in ((30, 30, 20), (20, 12, 4)):
        ways = weights(people, alleles)
        share = np.array(list(ways.values())) / sum(ways.values())
        mean = (share * list(ways)).sum()
        excess += observed - mean
        variance += (share * (np.array(list(ways)) - mean) ** 2).sum()
    assert found["P_STRAT"][0] == pytest.approx(2 * stats.norm.sf(abs(excess) / np.sqrt(variance)), rel=1e-9)


def test_importing_the_analyses_does_not_import_the_compiler() -> None:
    code = "import sys, fedstats.analyses; sys.exit('numba' in sys.modules or 'scipy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
