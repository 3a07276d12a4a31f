"""What a node knows of totals that it has certified, as checks of parameters see it.

A step may say that its parameters rest on totals of earlier steps. Then a pure function beside it computes those
parameters again, from certified totals and by the functions that the coordinator uses, and refuses any others.
How totals are certified stands elsewhere; nothing here knows of it.
"""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from fedstats.arrays import Indices
from fedstats.errors import ProtocolRefused
from fedstats.study import Block, Model

V = TypeVar("V")


class Certified(Protocol):
    """The certified totals of one model in one run."""

    def sums(self, step: str) -> Sequence[tuple[Any, Any]]:
        """Parameters and totals of the whole-cohort sums of a step so far, in order; empty where there are none."""
        ...

    def over(self, step: str, variants: Indices) -> Any:
        """The totals of a step for these panel indices, as one release.

        Raises
        ------
        ProtocolRefused
            Code UNCERTIFIED: there is no certified total for some of them.
        """
        ...

    def once(self, name: str, make: Callable[[], V]) -> V:
        """What `make` gives, computed once for these totals; `name` says what it is."""
        ...


#: Raises ProtocolRefused where parameters for a block of a model are not those that follow from certified totals.
Follows = Callable[[Any, Model, Block | None, Certified], None]


def uncertified(step: str) -> ProtocolRefused:
    """The refusal of what rests on a total of a step that was not certified here."""
    return ProtocolRefused(
        f"what is asked rests on totals of {step!r} that this node has not certified; nothing was computed.",
        code="UNCERTIFIED",
    )


def not_the_total(what: str) -> ProtocolRefused:
    """The refusal of parameters that do not follow from the certified totals."""
    return ProtocolRefused(
        f"{what} are not what follows from the certified totals; nothing was computed.", code="NOT_THE_TOTAL"
    )


def require_same(asked: np.ndarray, following: np.ndarray, what: str) -> None:
    """Refuse an array that is not, to the bit, the one that follows."""
    if not np.array_equal(asked, following):
        raise not_the_total(what)
