"""Dots as a picture: many thousand points as one small PNG, made by numpy alone.

Dots are discs with soft edges. The picture has a palette: for each colour, a few degrees of cover over nothing.
"""

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
import numpy.typing as npt
from isal import isal_zlib

Reals = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]
Integers = npt.NDArray[np.int64]

#: Degrees of cover of a pixel by a dot.
_DEGREES = 15
#: The first degree at which half a pixel is covered.
_HALF = (_DEGREES + 1) // 2
#: 3 takes three times as long, for nothing.
_LEVEL = 1


@dataclass(frozen=True, eq=False)
class Discs:
    """Dots of one colour ("#rrggbb"): centres from the upper left corner and one radius, all in pixels."""

    x: Reals
    y: Reals
    radius: float
    colour: str


def png(width: int, height: int, discs: Sequence[Discs]) -> bytes:
    """A picture of `width` x `height` pixels, transparent where no dot is; later dots lie above earlier ones."""
    canvas = _Canvas(width, height, max((_reach(group.radius) for group in discs), default=0))
    dots = [canvas.dots(number, group) for number, group in enumerate(discs)]
    # Where two colours meet in one pixel, the one above wins unless it only grazes the pixel.
    for group in reversed(dots):
        canvas.draw(group, range(1, _HALF))
    for group in dots:
        canvas.draw(group, range(_HALF, _DEGREES + 1))
    return _encoded(canvas.lines(), [group.colour for group in discs])


def png_data_uri(body: bytes) -> str:
    """The picture as a URI that can stand in a page."""
    return "data:image/png;base64," + base64.b64encode(body).decode("ascii")


def _reach(radius: float) -> int:
    """Pixels from that of its centre in which a disc can be seen."""
    return int(np.ceil(radius + 0.5))


@dataclass(frozen=True, eq=False)
class _Dots:
    """The dots of a group: its number and radius, and the pixels of centres by the quarter of it in which they are."""

    number: int
    radius: float
    pixels: list[Integers]


class _Canvas:
    """A picture of palette indices with a margin, so that dots at the edge are cut off and need no tests."""

    def __init__(self, width: int, height: int, reach: int) -> None:
        # The margin: as far outside as a dot may have its centre, and as far again as it can be seen.
        self._width, self._height, self._reach, self._margin = width, height, reach, 2 * reach
        self._stride = width + 2 * self._margin
        self._pixels = np.zeros((height + 2 * self._margin) * self._stride, np.uint8)

    def dots(self, number: int, discs: Discs) -> _Dots:
        """The dots of a group that can be seen; centres count to half a pixel."""
        reach = _reach(discs.radius)
        inside = (discs.x > -reach) & (discs.x < self._width + reach)
        inside &= (discs.y > -reach) & (discs.y < self._height + reach)
        column, row = (np.floor(2 * values[inside]).astype(np.int64) for values in (discs.x, discs.y))
        # Counted from where the centre of the first dot that can be seen may lie, so that none is negative.
        pixel = ((row >> 1) + self._reach) * self._stride + (column >> 1) + self._reach
        quarter = 2 * (row & 1) + (column & 1)
        return _Dots(number, discs.radius, [pixel[quarter == number] for number in range(4)])

    def draw(self, dots: _Dots, degrees: range) -> None:
        """Draw what the dots cover to these degrees, about; over what is there."""
        # From the faintest degree to the full one, so that the last to be written is the greatest.
        for degree, quarter, (down, right) in _stamp(_reach(dots.radius), dots.radius):
            if degree in degrees:
                shifted = self._pixels[(down + self._reach) * self._stride + right + self._reach :]
                shifted[dots.pixels[quarter]] = degree + dots.number * _DEGREES

    def lines(self) -> Bytes:
        """The picture without its margin, a zero before each line, shape (row, 1 + column)."""
        lines = np.zeros((self._height, self._width + 1), np.uint8)
        margin = self._margin
        whole = self._pixels.reshape(-1, self._stride)
        lines[:, 1:] = whole[margin : margin + self._height, margin : margin + self._width]
        return lines


@lru_cache(maxsize=16)
def _stamp(reach: int, radius: float) -> list[tuple[int, int, tuple[int, int]]]:
    """Degree, quarter of the pixel in which the centre is, and offset (row, column), for all that a disc covers."""
    found = []
    for half_y, half_x in product((0, 1), repeat=2):
        for dy, dx in product(range(-reach, reach + 1), repeat=2):
            distance = np.hypot(dx + 0.25 - half_x / 2, dy + 0.25 - half_y / 2)
            degree = round(_DEGREES * min(max(radius + 0.5 - distance, 0.0), 1.0))
            if degree:
                found.append((degree, 2 * half_y + half_x, (dy, dx)))
    return sorted(found)


def _encoded(lines: Bytes, colours: Sequence[str]) -> bytes:
    """The PNG file of palette indices (ISO/IEC 15948), each line after its filter, of which 0 is none."""
    height, width = len(lines), lines.shape[1] - 1
    palette = [bytes(3)] + [bytes.fromhex(colour[1:]) for colour in colours for _ in range(_DEGREES)]
    alpha = [0] + [round(255 * (degree + 1) / _DEGREES) for _ in colours for degree in range(_DEGREES)]
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(palette)),
        (b"tRNS", bytes(alpha)),
        (b"IDAT", isal_zlib.compress(lines, _LEVEL)),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(name, body) for name, body in chunks)


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
