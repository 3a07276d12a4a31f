"""How time grows: people, variants, nodes, traits and covariates, one at a time from a common base; slope fits."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmarks import ours
from benchmarks.data import NODES, Size
from benchmarks.tasks import FIFTY, MISSING, Program
from fedstats.sandbox.folder import Sandbox


@dataclass(frozen=True)
class Point:
    """One point of one axis: what grows, to how much, and the run that shows it."""

    axis: str
    at: int
    size: Size
    nodes: int = 3
    traits: int = 1
    covariates: int = 10


@dataclass(frozen=True)
class Slope:
    """How a figure grows along an axis.

    `exponent` is the slope of its logarithm over the logarithm of the axis: 1 is linear; start-up makes it smaller.
    `fixed` and `each` are the straight line through the same points: what is there at zero, and what one more costs.
    """

    axis: str
    exponent: float
    fixed: float
    each: float
    points: int


def points(*, quick: bool) -> list[Point]:
    """All points; equal runs of several axes are among them once an axis, and measured once."""
    base = Size(2_000, 10_000, MISSING) if quick else Size(5_000, 50_000, MISSING)
    # Policies allow 0.05 parameters a person: fifty traits, as forty covariates, need more people than the base has
    # with --quick.
    wide = Size(5_000, 4_000 if quick else 20_000, MISSING, traits=50)
    many = replace(base, people=max(base.people, 4_000))
    spread = Size(*((4_000, 10_000) if quick else (12_000, 50_000)), MISSING)
    nodes = (3, 8, 15) if quick else NODES
    return [
        *(Point("people", base.people * k, replace(base, people=base.people * k)) for k in (1, 2, 4)),
        *(Point("variants", base.variants * k, replace(base, variants=base.variants * k)) for k in (1, 2, 4)),
        *(Point("nodes", number, spread, nodes=number) for number in nodes),
        *(Point("traits", number, wide, traits=number) for number in (1, 5, 20, 50)),
        *(Point("covariates", number, many, covariates=number) for number in (5, 10, 20, 40)),
    ]


def program(point: Point, made: Sandbox) -> Program:
    """The scan of a point."""
    words = ours.gwas_words(FIFTY[: point.traits], point.covariates)
    return Program("fedstats", lambda out: ours.run(made, words, out))


def slope(axis: str, at: Sequence[float], values: Sequence[float]) -> Slope:
    """Fit the power and the straight line through points.

    Parameters
    ----------
    axis
        Its name.
    at, values
        Two or more points, positive.
    """
    x, y = np.asarray(at, np.float64), np.asarray(values, np.float64)
    exponent = float(np.polyfit(np.log(x), np.log(y), 1)[0])
    each, fixed = (float(value) for value in np.polyfit(x, y, 1))
    return Slope(axis, exponent, fixed, each, len(x))


def sentence(found: Slope) -> str:
    """As in: time grows with exponent 0.98 in variants."""
    if found.each <= 0:
        return (
            f"time does not grow in {found.axis} at these sizes: start-up and noise outweigh it ({found.points} points)"
        )
    return (
        f"time grows with exponent {found.exponent:.2f} in {found.axis} "
        f"(CPU: {found.fixed:.2f} s + {found.each:.3g} s for each; {found.points} points)"
    )
