"""A chart as plain data: what stands where, whoever draws it (`chart_svg` for pages, `chart_figure` for notebooks).

Also what all charts share: colours that everyone can tell apart, round ticks, and an axis that bends.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Scale = Callable[[Reals], Reals]
Ticks = tuple[tuple[float, str], ...]

# Two blues of different lightness and one vermilion: told apart by every kind of colour vision, and in grey.
DARK, LIGHT, SIGNAL, GREY, PALE, INK = "#1f4e79", "#7fb0d8", "#c8500a", "#8a8f98", "#dbe2ea", "#22262b"
#: P = 5e-8 and P = 1e-5 as −log10.
GENOME_WIDE = 7.301029995663981
SUGGESTIVE = 5.0

#: When the highest point is more than twice this, the axis is linear up to here and logarithmic above.
_BEND = 20.0


@dataclass(frozen=True, eq=False)
class Dots:
    """Points of one colour, in the units of the axes; `diameter` in typographic points."""

    x: Reals
    y: Reals
    diameter: float
    colour: str


@dataclass(frozen=True, eq=False)
class Curve:
    """A line through points, in the units of the axes."""

    x: Reals
    y: Reals
    colour: str


@dataclass(frozen=True)
class Rule:
    """A horizontal line through the whole chart."""

    y: float
    colour: str
    width: float = 0.8
    dashed: bool = False


@dataclass(frozen=True, eq=False)
class Band:
    """The area between two curves over `x`."""

    x: Reals
    low: Reals
    high: Reals
    colour: str


@dataclass(frozen=True)
class Name:
    """The name of a dot at (x, y), written above (text_x, text_y) and joined to it by a line."""

    text: str
    x: float
    y: float
    text_x: float
    text_y: float


@dataclass(frozen=True, eq=False)
class Chart:
    """Everything in a chart, in the units of the axes; a chart without dots shows `empty` instead.

    `width` and `height` are inches. A label of a tick may begin with a line feed: it stands a line lower.
    `diagonal` is the end of a line of y = x from the origin.
    """

    title: str
    width: float
    height: float
    x_limits: tuple[float, float] = (0.0, 1.0)
    y_limits: tuple[float, float] = (0.0, 1.0)
    x_label: str = ""
    y_label: str = ""
    x_ticks: Ticks = ()
    y_ticks: Ticks = ()
    x_marks: bool = True
    dots: tuple[Dots, ...] = ()
    curves: tuple[Curve, ...] = ()
    rules: tuple[Rule, ...] = ()
    band: Band | None = None
    diagonal: tuple[float, float] | None = None
    names: tuple[Name, ...] = ()
    note: tuple[str, ...] = ()
    empty: str = "No variant could be tested."


def scale_for(highest: float) -> Scale:
    """How −log10 P becomes a height: as it is, or bent when some are very high."""
    return _bent if highest > 2 * _BEND else _straight


def at(scale: Scale, height: float) -> float:
    """The height of one value."""
    return float(scale(np.array(height)))


def height_ticks(highest: float, scale: Scale) -> tuple[Ticks, tuple[Rule, ...]]:
    """Ticks of the axis of −log10 P, and the line where it bends."""
    if scale is _straight:
        return ticks(round_steps(highest, 6, whole=True)), ()
    marks = [0.0, 5.0, 10.0, 15.0, _BEND, *_above_the_bend(highest)]
    return tuple((at(scale, mark), f"{mark:g}") for mark in marks), (Rule(_BEND, PALE),)


def ticks(marks: list[float]) -> Ticks:
    """Ticks at these values, labelled with them."""
    return tuple((mark, f"{mark:g}") for mark in marks)


def round_steps(end: float, most: int, *, whole: bool = False) -> list[float]:
    """Multiples of a round step from 0 to `end`, `most` steps or fewer."""
    if not end > 0:
        return [0.0]
    power = 10.0 ** np.floor(np.log10(end / most))
    steps = [base * power for base in (1.0, 2.0, 5.0, 10.0)]
    step = next(step for step in steps if end / step <= most * (1 + 1e-9))
    if whole:
        step = max(step, 1.0)
    return [float(step * number) for number in range(int(end / step * (1 + 1e-9)) + 1)]


def _straight(height: Reals) -> Reals:
    return height


def _bent(height: Reals) -> Reals:
    above = np.maximum(height, _BEND)
    return np.minimum(height, _BEND) + 0.5 * _BEND * np.log(above / _BEND)


def _above_the_bend(highest: float) -> list[float]:
    """Round ticks 30, 50, 100, 200, 500 ... up to the highest, four at most."""
    steps = [30.0, 50.0, 100.0, 200.0, 500.0, 1000.0, 2000.0, 5000.0, 10_000.0, 100_000.0]
    return [step for step in steps if step <= highest * 1.05][-4:]
