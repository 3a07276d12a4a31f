"""What the plots share: a canvas without a window system, colours that everyone can tell apart, a bent axis."""

import base64
import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fedstats.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Scale = Callable[[Reals], Reals]

# Two blues of different lightness and one vermilion: told apart by every kind of colour vision, and in grey.
DARK, LIGHT, SIGNAL, GREY, PALE, INK = "#1f4e79", "#7fb0d8", "#c8500a", "#8a8f98", "#dbe2ea", "#22262b"
#: P = 5e-8 and P = 1e-5 as −log10.
GENOME_WIDE = 7.301029995663981
SUGGESTIVE = 5.0

#: When the highest point is more than twice this, the axis is linear up to here and logarithmic above.
_BEND = 20.0


def canvas(title: str, *, width: float, height: float) -> "tuple[Figure, Axes]":
    """A figure of this size in inches, and its axes.

    It is made without pyplot: no window system, no global state, safe in threads and in notebooks.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8, length=3, width=0.7)
    axes.set_title(title, loc="left", fontsize=10.5, color=INK, pad=8, parse_math=False)
    return figure, axes


def nothing_to_show(axes: "Axes") -> None:
    """Say so in place of an empty plot."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, "No variant could be tested.", ha="center", va="center", fontsize=10, color=INK)


def scale_for(highest: float) -> Scale:
    """How −log10 P becomes a height: as it is, or bent when some are very high."""
    return _bent if highest > 2 * _BEND else _straight


def height_axis(axes: "Axes", highest: float, scale: Scale, label: str) -> None:
    """Ticks and label of the axis of −log10 P."""
    from matplotlib.ticker import MaxNLocator

    if scale is _straight:
        locator = MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True, min_n_ticks=1)
        ticks = np.array(locator.tick_values(0, highest), np.float64)
    else:
        ticks = np.array([0.0, 5.0, 10.0, 15.0, _BEND, *_above_the_bend(highest)])
        axes.axhline(_BEND, color=PALE, linewidth=0.8, zorder=0)
    ticks = ticks[ticks <= highest * 1.05]
    axes.set_yticks(scale(ticks), [f"{tick:g}" for tick in ticks])
    axes.set_ylabel(label, fontsize=9, color=INK)


def save(figure: "Figure", path: str | Path | None) -> "Figure":
    """Save the figure if there is a path, in the format of its suffix, and give it back."""
    if path is None:
        return figure
    formats = figure.canvas.get_supported_filetypes()
    if Path(path).suffix.lstrip(".").lower() not in formats:
        raise UsageError(f"{path}: a plot can be saved as {', '.join(sorted(formats))}; choose one of these suffixes.")
    figure.savefig(path, dpi=200)
    return figure


def png_data_uri(figure: "Figure", *, dots_per_inch: int = 150) -> str:
    """The figure as a PNG that can stand in a page; the same bytes for the same figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=dots_per_inch, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def _straight(height: Reals) -> Reals:
    return height


def _bent(height: Reals) -> Reals:
    above = np.maximum(height, _BEND)
    return np.minimum(height, _BEND) + 0.5 * _BEND * np.log(above / _BEND)


def _above_the_bend(highest: float) -> list[float]:
    """Round ticks 30, 50, 100, 200, 500 ... up to the highest, four at most."""
    steps = [30.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 100_000.0]
    return [step for step in steps if step <= highest * 1.05][-4:]
