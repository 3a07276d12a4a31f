"""Federation: the handle through which an analysis asks for sums, and all that it knows of the world."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from fedstats.rows import Rows
from fedstats.step import Q, S, Step
from fedstats.study import Block, Chunk, Model


class Federation(Protocol):
    """Sums over all nodes of a run; the set of nodes never changes within a run.

    Runs over the network, in one process, or from the totals of an interrupted run: a plan cannot tell which.
    """

    @property
    def exact(self) -> bool:
        """Whether totals carry no noise, so that iterations may stop on a tolerance."""
        ...

    def noise(self, step: Step[Any, Any], model: Model) -> Mapping[str, float]:
        """Standard deviation of the noise in every element of each field of a total, in its units; 0 where exact."""
        ...

    def sum(self, step: Step[Q, S], model: Model, parameters: Q) -> S:
        """The total of one release over all people of a model."""
        ...

    def each(self, step: Step[Q, S], model: Model, asks: Iterable[tuple[Block, Q]]) -> Iterator[tuple[Block, S]]:
        """The total of one release for each block, with parameters of its own, in the order of the asks."""
        ...

    def map(self, function: "Callable[[Federation, Chunk], Rows]", chunks: Sequence[Chunk]) -> Iterator[Rows]:
        """Rows of each chunk, in order; several chunks may be in flight, and finished ones are not computed again.

        `function` must ask through the federation that it is given, not through the one it was mapped over.
        """
        ...
