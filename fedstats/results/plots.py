"""The plots of a result: drawn from its summary as figures, or as part of a page."""

from typing import TYPE_CHECKING

from fedstats.results.chart_figure import chart_figure, save
from fedstats.results.chart_svg import chart_svg
from fedstats.results.manhattan import manhattan_chart
from fedstats.results.quantile_plot import qq_chart
from fedstats.results.summary import Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["manhattan_figure", "manhattan_svg", "qq_figure", "qq_svg", "save"]


def manhattan_figure(summary: Summary, title: str) -> "Figure":
    """The Manhattan plot for notebooks and files."""
    return chart_figure(manhattan_chart(summary, title))


def manhattan_svg(summary: Summary, description: str) -> str:
    """The Manhattan plot as SVG; `description` is for those who do not see it."""
    return chart_svg(manhattan_chart(summary, ""), description)


def qq_figure(summary: Summary, title: str) -> "Figure":
    """The quantile-quantile plot for notebooks and files."""
    return chart_figure(qq_chart(summary, title))


def qq_svg(summary: Summary, description: str) -> str:
    """The quantile-quantile plot as SVG; `description` is for those who do not see it."""
    return chart_svg(qq_chart(summary, ""), description)
