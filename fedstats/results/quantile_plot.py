"""The quantile-quantile plot of −log10 P, drawn from a summary."""

from functools import lru_cache

import numpy as np

from fedstats.kernels.incomplete_beta import quantile
from fedstats.results.chart import (
    DARK,
    PALE,
    Band,
    Chart,
    Dots,
    Reals,
    at,
    height_ticks,
    round_steps,
    scale_for,
    ticks,
)
from fedstats.results.summary import Summary

_SIZE_INCHES = 4.4
#: Standard normal quantile of the upper end of the band, which holds 95 %.
_UPPER, _TAIL = 1.959963984540054, 0.025
#: Points of the edges of the band; between them they are straight.
_BAND_POINTS = 150


def qq_chart(summary: Summary, title: str) -> Chart:
    """Observed against expected −log10 P, with the 95 % band that independent uniform P values would keep to."""
    quantiles = summary.quantiles
    if not quantiles.variants:
        return Chart(title, _SIZE_INCHES, _SIZE_INCHES)
    end = float(quantiles.expected.max())
    highest = max(float(quantiles.observed.max()), end)
    scale = scale_for(highest)
    marks, bend = height_ticks(highest, scale)
    chosen = _spread(len(quantiles.rank))
    low, high = _band_of_ranks(quantiles.variants, tuple(quantiles.rank[chosen].tolist()))
    return Chart(
        title,
        _SIZE_INCHES,
        _SIZE_INCHES,
        x_limits=(0.0, end * 1.03),
        y_limits=(0.0, at(scale, highest) * 1.06),
        x_label="Expected −log₁₀ P",
        y_label="Observed −log₁₀ P",
        x_ticks=ticks(round_steps(end, 6)),
        y_ticks=marks,
        dots=(Dots(quantiles.expected, scale(quantiles.observed), 2.8, DARK),),
        rules=bend,
        band=Band(quantiles.expected[chosen], scale(low), scale(high), PALE),
        diagonal=(end, end),
        note=_inflation(summary),
    )


def _spread(points: int) -> np.ndarray:
    """Positions of some of the points, the first ranks, which move most, among them."""
    spaced = np.linspace(0, points - 1, min(points, _BAND_POINTS)).astype(np.int64)
    return np.unique(np.concatenate([np.arange(min(points, 50)), spaced]))


@lru_cache(maxsize=8)
def _band_of_ranks(variants: int, ranks: tuple[int, ...]) -> tuple[Reals, Reals]:
    """The band at whole ranks; all traits of a scan have the same, and it costs as much as drawing a trait's plots."""
    return band(variants, np.array(ranks, np.float64))


def band(variants: int, ranks: Reals) -> tuple[Reals, Reals]:
    """Lower and upper end of −log10 P at each rank: the r-th of n uniform values is Beta(r, n − r + 1)."""
    above = variants - ranks + 1.0
    low = -np.log10(quantile(1 - _TAIL, ranks, above, _UPPER))
    high = -np.log10(quantile(_TAIL, ranks, above, -_UPPER))
    return low, high


def _inflation(summary: Summary) -> tuple[str, ...]:
    lines = [f"λ GC = {summary.lambda_gc:.3f}"]
    if np.isfinite(summary.lambda_1000):
        lines.append(f"λ 1000 = {summary.lambda_1000:.3f}")
    return (*lines, f"{summary.quantiles.variants:,} variants", *noise_lines(summary))


def noise_lines(summary: Summary) -> tuple[str, ...]:
    """What a plot of noised results says: nothing where there is no noise."""
    return (f"noise: {100 * summary.noise_share:.0f} % of SE",) if summary.noise_share else ()
