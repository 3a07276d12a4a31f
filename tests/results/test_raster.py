"""The picture of dots: what a reader of PNG files sees in it."""

import io

import numpy as np
import pytest
from PIL import Image

from fedstats.results.raster import Discs, png


def pixels(body: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(body)).convert("RGBA")).astype(np.int64)


def disc(x, y, radius=3.0, colour="#1f4e79") -> Discs:
    return Discs(np.atleast_1d(x).astype(float), np.atleast_1d(y).astype(float), radius, colour)


def test_a_dot_has_its_colour_its_place_and_about_its_area():
    seen = pixels(png(40, 30, [disc(12.0, 20.0)]))

    assert seen.shape == (30, 40, 4)
    assert tuple(seen[20, 12]) == (0x1F, 0x4E, 0x79, 255)
    rows, columns = np.nonzero(seen[..., 3])
    assert np.average(columns + 0.5, weights=seen[rows, columns, 3]) == pytest.approx(12.0, abs=0.3)
    assert np.average(rows + 0.5, weights=seen[rows, columns, 3]) == pytest.approx(20.0, abs=0.3)
    assert seen[..., 3].sum() / 255 == pytest.approx(np.pi * 9, rel=0.1)


def test_nothing_is_drawn_between_dots():
    seen = pixels(png(40, 30, [disc([5, 30], [5, 25])]))

    assert (seen[12:18, 12:24, 3] == 0).all()


def test_later_dots_lie_above_earlier_ones():
    seen = pixels(png(20, 20, [disc(10, 10), disc(10, 10, 2.0, "#c8500a")]))

    assert tuple(seen[10, 10, :3]) == (0xC8, 0x50, 0x0A)
    assert tuple(seen[10, 12, :3]) == (0x1F, 0x4E, 0x79)


@pytest.mark.parametrize("x", [15.0, 16.5])
def test_a_pixel_that_the_dot_above_only_grazes_keeps_the_colour_below(x):
    below, above = disc(10, 10, 3.0), disc(x, 10, 3.0, "#c8500a")
    cover = [pixels(png(30, 20, [one]))[..., 3] for one in (below, above)]
    grazed = (cover[0] > 0) & (cover[1] > 0) & (cover[1] < 128)
    taken = (cover[0] > 0) & (cover[1] >= 140)

    seen = pixels(png(30, 20, [below, above]))

    assert (seen[grazed][:, :3] == (0x1F, 0x4E, 0x79)).all()
    assert (seen[taken][:, :3] == (0xC8, 0x50, 0x0A)).all()
    assert grazed.any()
    assert taken.any() == (x == 15.0)
    assert (seen[..., 3][(cover[0] == 0) & (cover[1] > 0)] > 0).all()


def test_dots_over_the_edge_are_cut_off():
    seen = pixels(png(20, 20, [disc([0, 20, -50, 400, 10], [0, 20, 10, 10, -90])]))

    assert seen[0, 0, 3] == 255
    assert seen[19, 19, 3] == 255
    assert (seen[5:15, 5:15, 3] == 0).all()


@pytest.mark.parametrize("radius", [0.5, 1.0, 3.0, 4.4])
def test_dots_at_and_beyond_every_edge_are_what_a_larger_picture_shows_there(radius):
    x, y = (values.ravel() for values in np.meshgrid(np.arange(-8, 28, 0.5), np.arange(-8, 23, 0.5)))
    near = np.random.default_rng(1).random(len(x)) < 0.02

    seen = pixels(png(20, 15, [disc(x[near], y[near], radius)]))

    larger = pixels(png(40, 35, [disc(x[near] + 10, y[near] + 10, radius)]))
    np.testing.assert_array_equal(seen, larger[10:25, 10:30])


def test_many_dots_in_one_place_are_one_dot():
    assert png(20, 20, [disc(np.full(1000, 10), np.full(1000, 10))]) == png(20, 20, [disc(10, 10)])
