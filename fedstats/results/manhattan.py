"""The Manhattan plot, drawn from a summary: ten million variants cost as much as a hundred thousand."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedstats.results.chart import (
    DARK,
    GENOME_WIDE,
    GREY,
    LIGHT,
    SIGNAL,
    SUGGESTIVE,
    Chart,
    Dots,
    Integers,
    Name,
    Reals,
    Rule,
    Scale,
    Ticks,
    at,
    height_ticks,
    round_steps,
    scale_for,
)
from fedstats.results.loci import Locus
from fedstats.results.quantile_plot import noise_lines
from fedstats.results.summary import Summary
from fedstats.results.thinning import Points

_WIDTH_INCHES, _HEIGHT_INCHES = 11.0, 4.0
_AXIS_POINTS = (740.0, 235.0)  # width and height of the axes in typographic points, about
_AFTER_NUMBERS = {"X": 23, "Y": 24, "XY": 25, "MT": 26, "M": 26}
_GAP = 0.004  # white between chromosomes, of the whole axis
_LEAST_WIDTH = 0.008  # of the genome, so that Y and MT can be seen
_NAMED_LOCI = 12
_LETTER_POINTS = 7.0
_DOT = (2.0 / _AXIS_POINTS[0], 2.0 / _AXIS_POINTS[1])  # half the room a dot needs


@dataclass(frozen=True)
class Place:
    """A chromosome's part of an axis from 0 to 1."""

    start: float
    width: float


@dataclass(frozen=True)
class Box:
    """A rectangle, in parts of the axes."""

    left: float
    right: float
    bottom: float
    top: float


def manhattan_chart(summary: Summary, title: str) -> Chart:
    """−log10 P along the genome, with lines at 5e-8 and 1e-5 and the strongest loci named."""
    points = summary.points
    if not len(points):
        return Chart(title, _WIDTH_INCHES, _HEIGHT_INCHES)
    highest = max(float(points.height.max()), GENOME_WIDE)
    scale = scale_for(highest)
    places = chromosome_places(points)
    marks, bend = height_ticks(highest, scale)
    x_label, x_ticks = _chromosome_axis(points, places)
    ceiling = at(scale, highest) * 1.14
    thresholds = (Rule(at(scale, GENOME_WIDE), GREY, 0.9), Rule(at(scale, SUGGESTIVE), GREY, dashed=True))
    return Chart(
        title,
        _WIDTH_INCHES,
        _HEIGHT_INCHES,
        x_limits=(-0.006, 1.006),
        y_limits=(0.0, ceiling),
        x_label=x_label,
        y_label="−log₁₀ P",
        x_ticks=x_ticks,
        y_ticks=marks,
        x_marks=len(places) == 1,
        dots=_dots(points, places, scale),
        rules=(*bend, *thresholds),
        names=tuple(_names(summary.top, points, places, scale, ceiling)),
        note=noise_lines(summary),
    )


def chromosome_order(names: tuple[str, ...]) -> list[int]:
    """Indices of chromosomes as they stand in a plot: numbers, X, Y, XY, MT, then others by name."""

    def key(index: int) -> tuple[int, str]:
        name = names[index].upper().removeprefix("CHR")
        return (int(name) if name.isdigit() else _AFTER_NUMBERS.get(name, 1000)), name

    return sorted(range(len(names)), key=key)


def chromosome_places(points: Points) -> dict[int, Place]:
    """Where each chromosome of the points stands, by its index, in order."""
    order = [index for index in chromosome_order(points.chromosomes) if points.lengths[index] > 0]
    total = sum(points.lengths[index] for index in order)
    widths = {index: max(points.lengths[index] / total, _LEAST_WIDTH) for index in order}
    room = (1.0 - _GAP * (len(order) - 1)) / sum(widths.values())
    places, start = {}, 0.0
    for index in order:
        places[index] = Place(start, widths[index] * room)
        start += widths[index] * room + _GAP
    return places


def _along(points: Points, places: dict[int, Place], chromosome: Integers, position: Integers) -> Reals:
    """Place of variants on the axis, shape of `position`."""
    count = len(points.chromosomes)
    starts = np.array([places[index].start if index in places else 0.0 for index in range(count)])
    widths = np.array([places[index].width if index in places else 0.0 for index in range(count)])
    lengths = np.maximum(np.array(points.lengths, np.float64), 1.0)
    along: Reals = starts[chromosome] + widths[chromosome] * position / lengths[chromosome]
    return along


def _dots(points: Points, places: dict[int, Place], scale: Scale) -> tuple[Dots, ...]:
    """Chromosomes in two colours by turns, and what is genome-wide significant in a third, larger."""
    along, height = _along(points, places, points.chromosome, points.position), scale(points.height)
    rank = np.zeros(len(points.chromosomes), np.int64)
    rank[list(places)] = np.arange(len(places))
    odd = rank[points.chromosome] % 2 == 1
    strong = points.height >= GENOME_WIDE
    groups = ((~odd & ~strong, DARK, 2.1), (odd & ~strong, LIGHT, 2.1), (strong, SIGNAL, 3.0))
    return tuple(Dots(along[chosen], height[chosen], diameter, colour) for chosen, colour, diameter in groups)


def _chromosome_axis(points: Points, places: dict[int, Place]) -> tuple[str, Ticks]:
    """A label under each chromosome; labels that would touch take turns on two lines."""
    if len(places) == 1:
        return _megabase_axis(points, next(iter(places)))
    found, previous_end = [], -1.0
    for index, place in places.items():
        middle = place.start + place.width / 2
        half = len(points.chromosomes[index]) * 5.5 / 2 / _AXIS_POINTS[0]
        lower = middle - half < previous_end
        found.append((middle, "\n" * lower + points.chromosomes[index]))
        previous_end = -1.0 if lower else middle + half
    return "Chromosome", tuple(found)


def _megabase_axis(points: Points, index: int) -> tuple[str, Ticks]:
    """Positions, when there is only one chromosome."""
    length = points.lengths[index] / 1e6
    marks = tuple((mark / length, f"{mark:g}") for mark in round_steps(length, 10))
    return f"Position on chromosome {points.chromosomes[index]} (Mb)", marks


def _names(
    top: tuple[Locus, ...], points: Points, places: dict[int, Place], scale: Scale, ceiling: float
) -> Iterator[Name]:
    """The names of the strongest loci above them, strongest first; one without room stays unnamed."""
    named = [locus for locus in top if locus.minus_log10_p >= SUGGESTIVE][:_NAMED_LOCI]
    dots = [_dot(locus, points, places, scale, ceiling) for locus in named]
    taken = [Box(x - _DOT[0], x + _DOT[0], y - _DOT[1], y + _DOT[1]) for x, y in dots]
    for locus, (across, height) in zip(named, dots, strict=True):
        box = _free_box(locus.label, across, height, taken)
        if box is not None:
            taken.append(box)
            middle = (box.left + box.right) / 2
            yield Name(locus.label, across, height * ceiling, middle, box.bottom * ceiling)


def _dot(locus: Locus, points: Points, places: dict[int, Place], scale: Scale, ceiling: float) -> tuple[float, float]:
    """Where a locus stands, as parts of the axes."""
    index = np.array([points.chromosomes.index(locus.chromosome)])
    across = _along(points, places, index, np.array([locus.position]))[0]
    return float(across), at(scale, locus.minus_log10_p) / ceiling


def _free_box(label: str, across: float, height: float, taken: list[Box]) -> Box | None:
    """The nearest free place for a label above its point."""
    half = len(label) * _LETTER_POINTS * 0.6 / 2 / _AXIS_POINTS[0]
    line = _LETTER_POINTS * 1.25 / _AXIS_POINTS[1]
    for step in range(6):
        for sideways in (0.0, 0.9, -0.9):
            middle = min(max(across + sideways * half, half), 1.0 - half)
            bottom = height + (0.6 + step) * line
            box = Box(middle - half, middle + half, bottom, bottom + line)
            if box.top < 1.02 and not any(_overlap(box, other) for other in taken):
                return box
    return None


def _overlap(one: Box, other: Box) -> bool:
    across = one.left < other.right and other.left < one.right
    return across and one.bottom < other.top and other.bottom < one.top
