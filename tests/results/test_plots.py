"""Plots: what is drawn where, and what importing costs."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.text import Text
from scipy import stats

from fedstats.errors import UsageError
from fedstats.results.associations import Associations
from fedstats.results.chart import GENOME_WIDE, SIGNAL, round_steps, scale_for
from fedstats.results.manhattan import chromosome_order, chromosome_places, manhattan_chart
from fedstats.results.plots import manhattan_figure, manhattan_svg, qq_figure, qq_svg
from fedstats.results.quantile_plot import band
from tests.results.rows import cut, needs_data, plink_rows, random_rows

PNG = b"\x89PNG\r\n\x1a\n"


def a_result(variants: int = 2000, **changes) -> Associations:
    panel, rows = random_rows(variants)
    return Associations.from_rows("q1", "quantitative", panel, [{**rows, **changes}])


def label_boxes(figure):
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [text for text in figure.axes[0].texts if text.get_text().startswith("rs")]
    return [Text.get_window_extent(text, renderer) for text in texts]  # of the letters, without the line to the dot


def test_chromosomes_stand_in_the_order_of_the_field():
    names = ("X", "10", "MT", "2", "Y", "chr1", "XY", "GL000195.1")

    assert [names[k] for k in chromosome_order(names)] == ["chr1", "2", "10", "X", "Y", "XY", "MT", "GL000195.1"]


@needs_data
def test_chromosomes_do_not_overlap_on_the_axis():
    panel, rows = plink_rows("adj.qt1.glm.linear.gz")
    places = list(chromosome_places(Associations.from_rows("q", "quantitative", panel, [rows]).summary.points).values())

    assert all(one.start + one.width < other.start for one, other in pairwise(places))
    assert places[-1].start + places[-1].width == pytest.approx(1.0)


@needs_data
def test_names_of_loci_do_not_overlap():
    panel, rows = plink_rows("nocov.qt2.glm.linear.gz")
    result = Associations.from_rows("qt2", "quantitative", panel, [rows])

    boxes = label_boxes(manhattan_figure(result.summary, "qt2"))

    assert len(boxes) >= 10
    assert not any(one.overlaps(other) for k, one in enumerate(boxes) for other in boxes[k + 1 :])


@needs_data
def test_genome_wide_signals_are_drawn_in_their_own_colour():
    panel, rows = plink_rows("adj.qt1.glm.linear.gz")
    summary = Associations.from_rows("qt1", "quantitative", panel, [rows]).summary

    dots = manhattan_figure(summary, "qt1").axes[0].collections

    signal = [
        d for d in dots if tuple(d.get_facecolor()[0][:3]) == tuple(int(SIGNAL[k : k + 2], 16) / 255 for k in (1, 3, 5))
    ]
    drawn = np.unique(signal[0].get_offsets()[:, 1])
    expected = rows["LOG10P"][rows["LOG10P"] >= GENOME_WIDE]
    np.testing.assert_allclose(drawn, np.sort(expected), rtol=1e-12)


def test_a_few_very_strong_signals_do_not_flatten_the_rest():
    scale = scale_for(300.0)

    heights = scale(np.array([0.0, 10.0, 20.0, 300.0]))

    assert np.all(np.diff(heights) > 0)
    assert heights[2] / heights[3] > 0.4


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_plot_is_saved_in_the_format_of_its_suffix(tmp_path, suffix):
    path = tmp_path / f"plot.{suffix}"

    a_result(200).manhattan(path)

    assert path.read_bytes()[:5] in (PNG[:5], b"<?xml", b"%PDF-")


def test_an_unknown_suffix_is_an_error_that_lists_the_known_ones(tmp_path):
    with pytest.raises(UsageError, match=r"plot\.docx: a plot can be saved as .*png"):
        a_result(50).qq(tmp_path / "plot.docx")


def test_a_name_with_dollar_signs_is_not_taken_for_mathematics():
    figure = manhattan_figure(a_result(50).summary, "dose_$mg$")

    figure.canvas.draw()

    assert figure.axes[0].get_title(loc="left") == "dose_$mg$"


@pytest.mark.parametrize("variants", [5, 5000, 10_000_000])
def test_band_holds_ninety_five_percent_of_uniform_order_statistics(variants):
    ranks = np.unique(np.clip(np.logspace(0, np.log10(variants), 60).round(), 1, variants))
    low, high = band(variants, ranks)

    uniform = stats.beta(ranks, variants - ranks + 1)
    inside = uniform.cdf(10**-low) - uniform.cdf(10**-high)

    # A picture: from rank 100 on the quantiles are approximate, and their coverage is right to 1e-4.
    np.testing.assert_allclose(inside, 0.95, rtol=1e-4)
    np.testing.assert_allclose(inside[np.minimum(ranks, variants - ranks + 1) <= 100], 0.95, rtol=1e-9)


@pytest.mark.parametrize("draw", [manhattan_figure, qq_figure])
def test_a_result_without_estimates_is_drawn_as_a_sentence(draw):
    result = a_result(10, STATUS="LOW_MAC", LOG10P=np.full(10, np.nan))

    figure = draw(result.summary, "q1")

    assert [text.get_text() for text in figure.axes[0].texts] == ["No variant could be tested."]


def test_one_chromosome_has_an_axis_in_megabases():
    panel, rows = random_rows(300)
    here = panel["CHROM"] == "2"
    panel, rows = ({n: v[here] if isinstance(v, np.ndarray) else v for n, v in part.items()} for part in (panel, rows))
    result = Associations.from_rows("q1", "quantitative", panel, [cut(rows, 0, int(here.sum()))])

    figure = manhattan_figure(result.summary, "q1")

    assert figure.axes[0].get_xlabel() == "Position on chromosome 2 (Mb)"


def test_the_same_summary_is_the_same_picture():
    summary = a_result(500).summary

    assert manhattan_svg(summary, "q1") == manhattan_svg(summary, "q1")


def test_figure_and_page_show_the_same_chart():
    summary = a_result(500).summary

    chart, picture = manhattan_chart(summary, ""), manhattan_svg(summary, "")
    axes = manhattan_figure(summary, "").axes[0]

    shown = [label.strip() for _, label in (*chart.x_ticks, *chart.y_ticks)]
    assert [text.get_text().strip() for text in (*axes.get_xticklabels(), *axes.get_yticklabels())] == shown
    assert all(f">{label}</text>" in picture for label in shown)


@pytest.mark.parametrize("draw", [manhattan_svg, qq_svg])
def test_names_in_a_page_are_escaped(draw):
    panel, rows = random_rows(200)
    panel["ID"] = np.array(["<b>&" + name for name in panel["ID"]], object)
    rows["LOG10P"][7] = 30.0
    result = Associations.from_rows("q1", "quantitative", panel, [rows])

    picture = ElementTree.fromstring(draw(result.summary, '<script>"&'))

    assert picture.attrib["aria-label"] == '<script>"&'
    assert {element.tag for element in picture.iter()} <= {"svg", "line", "text", "image", "polygon"}


@pytest.mark.parametrize(
    ("end", "most", "steps"),
    [(7.3, 6, [0, 2, 4, 6]), (3.0, 6, [0, 0.5, 1, 1.5, 2, 2.5, 3]), (249.0, 10, [0, 50, 100, 150, 200]), (0.0, 6, [0])],
)
def test_ticks_are_multiples_of_a_round_step(end, most, steps):
    assert round_steps(end, most) == pytest.approx(steps)


def test_ticks_of_counts_are_whole():
    assert round_steps(2.5, 6, whole=True) == [0, 1, 2]


def test_writing_results_imports_no_plotting_and_no_data_frames():
    code = (
        "import sys, fedstats.results.association_writer, fedstats.results.report, fedstats.results.tables;"
        "print(sorted({'matplotlib', 'polars', 'pandas', 'scipy', 'numba'} & set(sys.modules)))"
    )

    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"
