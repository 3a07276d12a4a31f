"""The summary of a table: lambda GC, loci and points, whatever the number of rows and however they come."""

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from fedstats.results import quantiles, thinning
from fedstats.results.association_writer import RowAssembler
from fedstats.results.associations import Associations
from fedstats.results.loci import WINDOW_BASES, greedy
from fedstats.results.quantiles import OrderStatistics, chi_square, genomic_inflation
from fedstats.results.shared_facts import SharedFacts
from fedstats.results.shared_rows import SharedRows
from fedstats.results.summary import Summary, SummaryBuilder
from tests.results.rows import cut, needs_data, plink_rows, random_rows

#: What the histogram may change lambda by; its docstring derives 1.8e-5 at the null.
HISTOGRAM_TOLERANCE = 1e-4


def summarised(panel, rows, *, chunk: int, kind="quantitative") -> Summary:
    assembler, builder = RowAssembler(kind, SharedRows(panel)), SummaryBuilder()
    for start in range(0, len(rows["LOG10P"]), chunk):
        builder.add(assembler.rows(cut(rows, start, start + chunk)))
    return builder.finish()


def naive_lambda(log10p: np.ndarray) -> float:
    return float(np.median(stats.chi2.isf(10.0**-log10p, 1)) / stats.chi2.median(1))


def naive_loci(chromosome, position, height, count: int) -> list[int]:
    left = set(range(len(height)))
    picked: list[int] = []
    while left and len(picked) < count:
        best = min(left, key=lambda row: (-height[row], row))
        picked.append(best)
        near = {r for r in left if chromosome[r] == chromosome[best] and abs(position[r] - position[best]) <= 500_000}
        left -= near
    return picked


@needs_data
@pytest.mark.parametrize(
    ("name", "expected", "printed"),
    [
        # README of the data: lambda GC of qt2 without PCs and with them, as printed there
        ("nocov.qt2.glm.linear.gz", 8.6, 0.1),
        ("adj.qt2.glm.linear.gz", 1.05, 0.005),
    ],
)
def test_lambda_of_the_confounded_trait_is_the_known_one(name, expected, printed):
    panel, rows = plink_rows(name)

    assert summarised(panel, rows, chunk=5000).lambda_gc == pytest.approx(expected, abs=printed)


def test_lambda_is_of_ok_rows_with_twenty_minor_alleles():
    panel, rows = random_rows(2000)
    rows["STATUS"] = np.where(np.arange(2000) % 7 == 0, "SEPARATION", "OK")
    minor = np.minimum(rows["A1_CT"], 1000 - rows["A1_CT"])
    used = (rows["STATUS"] == "OK") & (minor >= 20)

    summary = summarised(panel, rows, chunk=2000)

    assert summary.lambda_gc == pytest.approx(naive_lambda(rows["LOG10P"][used]), rel=1e-12)
    assert summary.quantiles.variants == np.count_nonzero(used)


@pytest.mark.parametrize("inflation", [0.9, 1.0, 1.05, 1.5, 8.6, 90.0])
def test_histogram_gives_lambda_within_its_tolerance(monkeypatch, inflation):
    monkeypatch.setattr(quantiles, "EXACT_VALUES", 1000)
    chi = np.random.default_rng(3).chisquare(1, 40_000) * inflation
    log10p = -stats.chi2.logsf(chi, 1) / np.log(10)
    statistics = OrderStatistics()

    for part in np.array_split(log10p, 13):
        statistics.add(part)

    expected = np.median(chi) / stats.chi2.median(1)
    assert genomic_inflation(statistics) == pytest.approx(expected, rel=HISTOGRAM_TOLERANCE)


def test_chi_square_of_log10p_is_right_where_p_is_below_the_smallest_double():
    chi = chi_square(np.array([400.0]))[0]

    # scipy's tail of the normal distribution on the scale of logarithms
    assert -(stats.norm.logsf(np.sqrt(chi)) + np.log(2)) / np.log(10) == pytest.approx(400.0, rel=1e-12)


def test_lambda_1000_and_effective_n_of_a_binary_trait():
    panel, rows = random_rows(500)
    arms = {"CASE_CT": 1000, "CTRL_CT": 3000, "CASE_FREQ": 0.2, "CTRL_FREQ": 0.2}

    summary = summarised(panel, {**rows, **arms}, chunk=500, kind="binary")

    # 1 + (lambda - 1) (1/1000 + 1/3000) / (1/1000 + 1/1000); 4 / (1/1000 + 1/3000)
    assert summary.lambda_1000 == pytest.approx(1 + (summary.lambda_gc - 1) * 2 / 3, rel=1e-12)
    assert summary.effective_n == pytest.approx(3000.0, rel=1e-12)


def test_summary_does_not_depend_on_how_rows_are_cut():
    panel, rows = random_rows(5000)

    whole, pieces = (summarised(panel, rows, chunk=chunk) for chunk in (5000, 321))

    assert pieces.lambda_gc == whole.lambda_gc
    assert pieces.top == whole.top
    assert pieces.status_counts == whole.status_counts
    np.testing.assert_array_equal(pieces.quantiles.observed, whole.quantiles.observed)
    assert sorted(pieces.points.height) == sorted(whole.points.height)


@pytest.mark.parametrize("seed", range(5))
def test_streamed_loci_are_those_of_all_rows_at_once(seed):
    rng = np.random.default_rng(seed)
    panel, rows = random_rows(4000, seed=seed)
    # Chains of signals closer than the window, so that who suppresses whom matters.
    rows["LOG10P"] = rows["LOG10P"] + 20 * np.exp(-(((np.arange(4000) % 171 - 85) / 15.0) ** 2)) * rng.random(4000)
    expected = naive_loci(panel["CHROM"], panel["POS"], rows["LOG10P"], 20)

    summary = summarised(panel, rows, chunk=250)

    assert [locus.name for locus in summary.top] == [f"rs{row}" for row in expected]


def test_greedy_takes_the_first_of_equals():
    chromosome, position = np.array([1, 1, 1]), np.array([1, 2, 3_000_000])

    rows = greedy(chromosome, position, np.array([5.0, 5.0, 5.0]), window=WINDOW_BASES, count=20)

    assert rows.tolist() == [0, 2]


def test_every_high_point_is_kept_and_every_point_has_a_kept_one_beside_it():
    panel, rows = random_rows(20_000)
    panel["POS"] = np.arange(20_000) * 500 + 1
    points_of_all = list(zip(panel["POS"].tolist(), rows["LOG10P"].tolist(), strict=True))

    points = summarised(panel, rows, chunk=3000).points

    width = thinning.FINEST_CELL_BASES
    kept = set(zip(points.position.tolist(), points.height.tolist(), strict=True))
    assert kept.issuperset((p, h) for p, h in points_of_all if h >= thinning.HIGH)
    cells = {(p // width, int(h / thinning.CELL_HEIGHT)) for p, h in kept}
    assert cells == {(p // width, int(h / thinning.CELL_HEIGHT)) for p, h in points_of_all}
    assert len(points) < 10_000


def naive_first_of_cells(chromosome, position, height, width: int) -> list[int]:
    first: dict[tuple[int, int, int], int] = {}
    for row, (c, p, h) in enumerate(zip(chromosome.tolist(), position.tolist(), height.tolist(), strict=True)):
        first.setdefault((c, p // width, int(h / thinning.CELL_HEIGHT)), row)
    return sorted(first.values())


@pytest.mark.parametrize("seed", range(3))
def test_the_first_point_of_each_cell_is_kept_in_whatever_order_points_come(seed):
    rng = np.random.default_rng(seed)
    chromosome, position = rng.integers(0, 40, 3000), rng.integers(1, 2**31, 3000) // rng.choice([1, 50_000], 3000)
    height = rng.exponential(size=3000).clip(max=9.9)
    thinner = thinning.ManhattanThinner()

    thinner.add(chromosome, position, height)

    points = thinner.points(tuple(map(str, range(40))))
    first = naive_first_of_cells(chromosome, position, height, thinning.FINEST_CELL_BASES)
    assert points.position[: len(first)].tolist() == position[first].tolist()
    assert points.lengths == tuple(int(position[chromosome == code].max()) for code in range(40))


def test_cells_widen_until_few_enough_are_taken_however_rows_are_cut(monkeypatch):
    monkeypatch.setattr(thinning, "CELL_POINTS", 500)
    monkeypatch.setattr(thinning, "_MERGE_POINTS", 1000)
    monkeypatch.setattr(thinning, "HIGH", 100.0)
    panel, rows = random_rows(20_000)

    one, other = (summarised(panel, rows, chunk=chunk).points for chunk in (700, 20_000))

    assert 100 < len(one) <= 500
    np.testing.assert_array_equal(one.position, other.position)


def test_high_points_are_limited_to_the_highest(monkeypatch):
    monkeypatch.setattr(thinning, "HIGH_POINTS", 50)
    panel, rows = random_rows(3000)
    rows["LOG10P"] = rows["LOG10P"] + 6.0

    points = summarised(panel, rows, chunk=700).points

    assert set(points.height).issuperset(np.sort(rows["LOG10P"])[-50:])


def test_quantiles_of_uniform_p_values_lie_on_the_diagonal():
    ranks = (np.arange(1, 10_001) - 0.5) / 10_000
    panel, rows = random_rows(10_000)
    rows |= {"LOG10P": -np.log10(ranks), "A1_CT": np.full(10_000, 500), "A1_FREQ": np.full(10_000, 0.5)}

    points = summarised(panel, rows, chunk=10_000).quantiles

    np.testing.assert_allclose(points.observed, points.expected, rtol=1e-12)


def test_a_table_without_estimates_has_a_summary():
    panel, rows = random_rows(10)
    rows |= {"STATUS": "LOW_MAC", "LOG10P": np.full(10, np.nan)}

    summary = summarised(panel, rows, chunk=10)

    assert np.isnan(summary.lambda_gc)
    assert (summary.ok_rows, summary.top, summary.status_counts) == (0, (), {"LOW_MAC": 10})


def test_a_result_says_what_it_is_in_one_paragraph():
    panel, rows = random_rows(100)
    rows["LOG10P"][42] = 400.0

    text = repr(Associations.from_rows("q1", "quantitative", panel, [rows]))

    assert text.startswith("<Associations of q1 (quantitative, 500 people): 100 variants, 100 OK, lambda GC ")
    assert text.endswith(f"top hit rs42 ({panel['CHROM'][42]}:840,001), P = 1e-400>")


def test_top_is_sorted_and_without_untested_variants():
    panel, rows = random_rows(100)
    rows["LOG10P"][:50] = np.nan

    top = Associations.from_rows("q1", "quantitative", panel, [rows]).top(60)

    assert top["LOG10P"].to_list() == sorted(rows["LOG10P"][50:], reverse=True)


def test_columns_of_few_levels_are_kept_as_codes():
    panel, rows = random_rows(1000)

    table = Associations.from_rows("q1", "quantitative", panel, [rows]).table

    assert all(pa.types.is_dictionary(table[name].type) for name in ("CHROM", "STATUS", "TEST", "MISSING"))


def test_traits_with_estimates_in_other_rows_share_what_they_have_in_common():
    panel, rows = random_rows(300)
    shared = SharedRows(panel)
    tables = []
    for without in (range(0), range(100, 200)):
        height = rows["LOG10P"].copy()
        height[list(without)] = np.nan
        tables.append(RowAssembler("quantitative", shared).rows({**rows, "LOG10P": height}))
    facts = SharedFacts(tables[0])

    for table in tables:
        together, alone = SummaryBuilder(), SummaryBuilder()
        together.add(table, facts)
        alone.add(table)
        found, expected = together.finish(), alone.finish()
        assert (found.lambda_gc, found.top, found.people) == (expected.lambda_gc, expected.top, expected.people)
        np.testing.assert_array_equal(found.points.position, expected.points.position)


def test_people_are_those_of_rows_with_an_estimate():
    panel, rows = random_rows(50)
    people = np.full(50, 400)
    people[7] = 900
    rows["LOG10P"][7] = np.nan
    arms = {"CASE_CT": people // 2, "CTRL_CT": people // 2, "CASE_FREQ": 0.1, "CTRL_FREQ": 0.1}

    found = summarised(panel, {**rows, "OBS_CT": people, **{k: np.broadcast_to(v, 50) for k, v in arms.items()}},
                       chunk=20, kind="binary")  # fmt: skip

    assert (found.people, found.cases, found.controls) == (400, 200, 200)
