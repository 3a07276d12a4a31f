"""A chart as SVG inside a page: lines and letters are vectors, dots are one small picture under them."""

from collections.abc import Iterator
from html import escape

import numpy as np

from fedstats.results.chart import GREY, INK, PALE, Chart, Name, Reals, Rule
from fedstats.results.raster import Discs, png, png_data_uri

_PIXELS_PER_INCH, _PIXELS_PER_POINT = 96.0, 96.0 / 72.0
#: Room beside the axes, in pixels: for the labels of the axes, and for half a letter at the far ends.
_LEFT, _RIGHT, _TOP, _BOTTOM = 54.0, 12.0, 12.0, 50.0
#: Pixels of the picture of dots to one of the page, for fine screens and paper.
_SHARPNESS = 2


def chart_svg(chart: Chart, description: str) -> str:
    """The chart as an SVG element; `description` is for those who do not see it."""
    frame = _Frame(chart)
    body = "".join(_content(chart, frame)) if chart.dots else _sentence(frame, chart.empty)
    return (
        f'<svg class="chart" role="img" aria-label="{escape(description, quote=True)}" '
        f'viewBox="0 0 {frame.width:g} {frame.height:g}" width="{frame.width:g}" height="{frame.height:g}" '
        f'font-size="11" fill="{INK}">{body}</svg>'
    )


class _Frame:
    """From the units of the axes to pixels."""

    def __init__(self, chart: Chart) -> None:
        self.width, self.height = chart.width * _PIXELS_PER_INCH, chart.height * _PIXELS_PER_INCH
        self.left, self.top = _LEFT, _TOP
        self.across, self.down = self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM
        self._x, self._y = chart.x_limits, chart.y_limits

    @property
    def right(self) -> float:
        return self.left + self.across

    @property
    def bottom(self) -> float:
        return self.top + self.down

    def x(self, values: Reals | float) -> Reals:
        start, end = self._x
        return self.left + (np.asarray(values, np.float64) - start) / (end - start) * self.across

    def y(self, values: Reals | float) -> Reals:
        start, end = self._y
        return self.bottom - (np.asarray(values, np.float64) - start) / (end - start) * self.down


def _content(chart: Chart, frame: _Frame) -> Iterator[str]:
    """From back to front."""
    if chart.band is not None:
        edge = [*_pairs(frame, chart.band.x, chart.band.high), *_pairs(frame, chart.band.x[::-1], chart.band.low[::-1])]
        yield f'<polygon fill="{chart.band.colour}" points="{" ".join(edge)}"/>'
    yield from (_rule(rule, frame) for rule in chart.rules)
    if chart.diagonal is not None:
        end_x, end_y = chart.diagonal
        yield _line(float(frame.x(0.0)), float(frame.y(0.0)), float(frame.x(end_x)), float(frame.y(end_y)), GREY, 1.2)
    for curve in chart.curves:
        points = " ".join(_pairs(frame, curve.x, curve.y))
        yield f'<polyline fill="none" stroke="{curve.colour}" stroke-width="1.6" points="{points}"/>'
    yield _dots(chart, frame)
    yield from _axes(chart, frame)
    yield from (_name(name, frame) for name in chart.names)
    for number, text in enumerate(chart.note):
        yield _text(frame.left + 16, frame.top + 18 + 17 * number, text, size=12)


def _pairs(frame: _Frame, x: Reals, y: Reals) -> list[str]:
    return [f"{a:.1f},{b:.1f}" for a, b in zip(frame.x(x).tolist(), frame.y(y).tolist(), strict=True)]


def _rule(rule: Rule, frame: _Frame) -> str:
    y = float(frame.y(rule.y))
    return _line(frame.left, y, frame.right, y, rule.colour, rule.width * _PIXELS_PER_POINT, dashed=rule.dashed)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: float, *, dashed: bool = False) -> str:
    dashes = ' stroke-dasharray="5 4"' if dashed else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:.2g}"{dashes}/>'


def _dots(chart: Chart, frame: _Frame) -> str:
    """All dots as one picture; it reaches a little over the axes, so that no dot is cut in half."""
    margin = 6.0
    left, top = frame.left - margin, frame.top - margin
    width, height = frame.across + 2 * margin, frame.down + 2 * margin
    discs = [
        Discs(
            x=(frame.x(dots.x) - left) * _SHARPNESS,
            y=(frame.y(dots.y) - top) * _SHARPNESS,
            radius=dots.diameter / 2 * _PIXELS_PER_POINT * _SHARPNESS,
            colour=dots.colour,
        )
        for dots in chart.dots
    ]
    picture = png_data_uri(png(round(width * _SHARPNESS), round(height * _SHARPNESS), discs))
    return f'<image x="{left:g}" y="{top:g}" width="{width:g}" height="{height:g}" href="{picture}"/>'


def _axes(chart: Chart, frame: _Frame) -> Iterator[str]:
    yield _line(frame.left, frame.top, frame.left, frame.bottom, GREY, 1)
    yield _line(frame.left, frame.bottom, frame.right, frame.bottom, GREY, 1)
    for place, label in chart.y_ticks:
        y = float(frame.y(place))
        yield _line(frame.left - 4, y, frame.left, y, GREY, 1)
        yield _text(frame.left - 7, y + 4, label, anchor="end")
    for place, label in chart.x_ticks:
        x = float(frame.x(place))
        if chart.x_marks:
            yield _line(x, frame.bottom, x, frame.bottom + 4, GREY, 1)
        lower = 13 * label.startswith("\n")
        yield _text(x, frame.bottom + 16 + lower, label.strip(), anchor="middle")
    yield _text(frame.left + frame.across / 2, frame.height - 6, chart.x_label, anchor="middle", size=12)
    middle = frame.top + frame.down / 2
    turned = f'transform="rotate(-90 14 {middle:.1f})"'
    yield f'<text x="14" y="{middle:.1f}" text-anchor="middle" font-size="12" {turned}>{escape(chart.y_label)}</text>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", size: int = 0) -> str:
    bigger = f' font-size="{size}"' if size else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{bigger}>{escape(text)}</text>'


def _name(name: Name, frame: _Frame) -> str:
    """The name, with a white edge so that it can be read over dots, and the line to its dot."""
    x, y = float(frame.x(name.text_x)), float(frame.y(name.text_y))
    line = _line(x, y, float(frame.x(name.x)), float(frame.y(name.y)) - 3, GREY, 0.7)
    edge = 'stroke="#fff" stroke-width="2.5" stroke-linejoin="round" paint-order="stroke"'
    place = f'x="{x:.1f}" y="{y - 2:.1f}" text-anchor="middle" font-size="9.5"'
    return f"{line}<text {place} {edge}>{escape(name.text)}</text>"


def _sentence(frame: _Frame, sentence: str) -> str:
    box = f'<rect x="0" y="0" width="{frame.width:g}" height="{frame.height:g}" fill="none" stroke="{PALE}"/>'
    return box + _text(frame.width / 2, frame.height / 2, sentence, anchor="middle", size=13)
