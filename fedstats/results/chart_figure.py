"""A chart as a figure of matplotlib, for notebooks and files; it is imported only when somebody asks for one."""

from pathlib import Path
from typing import TYPE_CHECKING

from fedstats.errors import UsageError
from fedstats.results.chart import GREY, INK, Chart, Name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_LETTERS, _NAME_LETTERS = 9, 7


def chart_figure(chart: Chart) -> "Figure":
    """The chart as a figure.

    It is made without pyplot: no window system, no global state, safe in threads and in notebooks.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(chart.width, chart.height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(chart.title, loc="left", fontsize=10.5, color=INK, pad=8, parse_math=False)
    if not chart.dots:
        axes.set_axis_off()
        axes.text(0.5, 0.5, chart.empty, ha="center", va="center", fontsize=10, color=INK)
        return figure
    _draw_axes(axes, chart)
    _draw_content(axes, chart)
    return figure


def _draw_axes(axes: "Axes", chart: Chart) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8, length=3, width=0.7)
    axes.set_xticks([place for place, _ in chart.x_ticks], [label for _, label in chart.x_ticks])
    axes.set_yticks([place for place, _ in chart.y_ticks], [label for _, label in chart.y_ticks])
    if not chart.x_marks:
        axes.tick_params(axis="x", length=0)
    axes.set_xlabel(chart.x_label, fontsize=_LETTERS, color=INK)
    axes.set_ylabel(chart.y_label, fontsize=_LETTERS, color=INK)
    axes.set_xlim(*chart.x_limits)
    axes.set_ylim(*chart.y_limits)


def _draw_content(axes: "Axes", chart: Chart) -> None:
    if chart.band is not None:
        band = chart.band
        axes.fill_between(band.x, band.low, band.high, color=band.colour, linewidth=0, zorder=0)
    for rule in chart.rules:
        style = (0, (4, 3)) if rule.dashed else "-"
        axes.axhline(rule.y, color=rule.colour, linewidth=rule.width, linestyle=style, zorder=1)
    if chart.diagonal is not None:
        axes.plot([0, chart.diagonal[0]], [0, chart.diagonal[1]], color=GREY, linewidth=0.9, zorder=1)
    for curve in chart.curves:
        axes.plot(curve.x, curve.y, color=curve.colour, linewidth=1.2, zorder=1)
    for dots in chart.dots:
        size = dots.diameter**2
        axes.scatter(dots.x, dots.y, s=size, color=dots.colour, linewidths=0, rasterized=True, zorder=2)
    for name in chart.names:
        _draw_name(axes, name)
    note = "\n".join(chart.note)
    if note:
        axes.text(0.04, 0.97, note, transform=axes.transAxes, va="top", fontsize=_LETTERS, color=INK)


def _draw_name(axes: "Axes", name: Name) -> None:
    from matplotlib.patheffects import withStroke

    axes.annotate(
        name.text,
        (name.x, name.y),
        (name.text_x, name.text_y),
        ha="center",
        va="bottom",
        fontsize=_NAME_LETTERS,
        color=INK,
        parse_math=False,
        path_effects=[withStroke(linewidth=1.5, foreground="white")],
        arrowprops={"arrowstyle": "-", "color": GREY, "linewidth": 0.5, "shrinkA": 0, "shrinkB": 2},
    )


def save(figure: "Figure", path: str | Path | None) -> "Figure":
    """Save the figure if there is a path, in the format of its suffix, and give it back."""
    if path is None:
        return figure
    formats = figure.canvas.get_supported_filetypes()
    if Path(path).suffix.lstrip(".").lower() not in formats:
        raise UsageError(f"{path}: a plot can be saved as {', '.join(sorted(formats))}; choose one of these suffixes.")
    figure.savefig(path, dpi=200)
    return figure
