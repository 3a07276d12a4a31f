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

#: Degrees of cover of a pixel by a dot.
_DEGREES = 15
#: The first degree at which half a pixel is covered.
_HALF = (_DEGREES + 1) // 2
#: Pixels of a stripe.
_STRIPE = 1 << 16
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
    picture = np.zeros((height, width), np.uint8)
    for number, group in enumerate(discs):
        if len(group.x):
            _draw(_cover(width, height, group), number, picture)
    return _encoded(picture, [group.colour for group in discs])


def _draw(cover: Bytes, number: int, picture: Bytes) -> None:
    """Lay the dots of a group over those of the groups before it, by stripes that stay in the processor's cache."""
    if number == 0:
        np.copyto(picture, cover)
        return
    rows = max(1, _STRIPE // picture.shape[1])
    for top in range(0, len(picture), rows):
        above, below = cover[top : top + rows], picture[top : top + rows]
        # Where two colours meet in one pixel, the one above wins unless it only grazes the pixel.
        drawn = (above >= _HALF) | ((above > 0) & (below == 0))
        np.copyto(below, above + np.uint8(number * _DEGREES), where=drawn)


def png_data_uri(body: bytes) -> str:
    """The picture as a URI that can stand in a page."""
    return "data:image/png;base64," + base64.b64encode(body).decode("ascii")


def _cover(width: int, height: int, discs: Discs) -> Bytes:
    """To what degree the discs cover each pixel, about, shape (row, column); centres count to half a pixel."""
    reach = int(np.ceil(discs.radius + 0.5))
    # A margin, so that dots at the edge are cut off by the picture and need no tests.
    margin = reach + 1
    stride = width + 2 * margin
    cover = np.zeros((height + 2 * margin) * stride, np.uint8)
    inside = (discs.x > -reach) & (discs.x < width + reach) & (discs.y > -reach) & (discs.y < height + reach)
    column, row = (np.floor(2 * values[inside]).astype(np.int64) for values in (discs.x, discs.y))
    corner = (row >> 1) * stride + (column >> 1)
    quarter = 2 * (row & 1) + (column & 1)
    centres = [corner[quarter == number] for number in range(4)]
    # From the faintest degree to the full one, so that the last to be written is the greatest.
    for degree, number, offset in _stamp(reach, discs.radius):
        cover[centres[number] + ((offset[0] + margin) * stride + offset[1] + margin)] = degree
    return cover.reshape(-1, stride)[margin : margin + height, margin : margin + width]


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


def _encoded(picture: Bytes, colours: Sequence[str]) -> bytes:
    """The PNG file of palette indices (ISO/IEC 15948); the same bytes for the same picture."""
    height, width = picture.shape
    palette = [bytes(3)] + [bytes.fromhex(colour[1:]) for colour in colours for _ in range(_DEGREES)]
    alpha = [0] + [round(255 * (degree + 1) / _DEGREES) for _ in colours for degree in range(_DEGREES)]
    lines = np.zeros((height, width + 1), np.uint8)  # each line begins with its filter, of which 0 is none
    lines[:, 1:] = picture
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
