"""The quantile-quantile plot of −log10 P, drawn from a summary."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from fedstats.results.drawing import (
    DARK,
    GREY,
    INK,
    PALE,
    Reals,
    canvas,
    height_axis,
    nothing_to_show,
    scale_for,
)
from fedstats.results.summary import QuantilePoints, Summary

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SIZE_INCHES = 4.4
_BAND = 0.95


def qq_figure(summary: Summary, title: str) -> "Figure":
    """Observed against expected −log10 P, with the 95 % band that independent uniform P values would keep to."""
    figure, axes = canvas(title, width=_SIZE_INCHES, height=_SIZE_INCHES)
    quantiles = summary.quantiles
    if not quantiles.variants:
        nothing_to_show(axes)
        return figure
    low, high = band(quantiles)
    end = float(quantiles.expected.max())
    highest = max(float(quantiles.observed.max()), end)
    scale = scale_for(highest)
    axes.fill_between(quantiles.expected, scale(low), scale(high), color=PALE, linewidth=0, zorder=0)
    axes.plot([0, end], [0, end], color=GREY, linewidth=0.9, zorder=1)
    axes.scatter(quantiles.expected, scale(quantiles.observed), s=8, color=DARK, linewidths=0, zorder=2)
    axes.set_xlabel("Expected −log$_{10}$ $P$", fontsize=9, color=INK)
    axes.set_xlim(0, end * 1.03)
    height_axis(axes, highest, scale, "Observed −log$_{10}$ $P$")
    axes.set_ylim(0, float(scale(np.array(highest))) * 1.06)
    axes.text(0.04, 0.97, _inflation(summary), transform=axes.transAxes, va="top", fontsize=9, color=INK)
    return figure


def band(quantiles: QuantilePoints) -> tuple[Reals, Reals]:
    """Lower and upper end of −log10 P at each rank: the r-th of n uniform values is Beta(r, n − r + 1)."""
    ranks = quantiles.rank.astype(np.float64)
    above = quantiles.variants - ranks + 1.0
    tail = (1.0 - _BAND) / 2.0
    low = -np.log10(special.betaincinv(ranks, above, 1.0 - tail))
    high = -np.log10(special.betaincinv(ranks, above, tail))
    return low, high


def _inflation(summary: Summary) -> str:
    lines = [f"$\\lambda_{{\\mathrm{{GC}}}}$ = {summary.lambda_gc:.3f}"]
    if np.isfinite(summary.lambda_1000):
        lines.append(f"$\\lambda_{{1000}}$ = {summary.lambda_1000:.3f}")
    return "\n".join([*lines, f"{summary.quantiles.variants:,} variants"])
