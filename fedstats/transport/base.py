"""Transport: one attempt to speak with a node; who retries, waits and counts is `patient`.

Messages are signed documents; long byte runs travel as pieces.
A transport opens nothing and decides nothing: it raises what the node answered, or NodeUnreachable.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from fedstats.arrays import Bytes
from fedstats.identity.signing import Signed

Method = Literal[
    "Describe",
    "Survey",
    "Propose",
    "Begin",
    "Open",
    "Ready",
    "Commit",
    "Unmask",
    "Certify",
    "Receipt",
    "Abandon",
    "Finish",
    "Status",
]
"""Calls with one signed order and one signed answer."""

StreamMethod = Literal["Availability", "Compute", "Fetch"]
"""Calls whose answer is a run of bytes."""


@dataclass(frozen=True)
class Deadlines:
    """How long one call may take before it counts as failed; nothing limits a whole run."""

    control_seconds: float = 30.0
    #: For Survey, Propose and Begin, which may make a node read its tables, and for each piece of a byte run.
    chunk_seconds: float = 120.0


#: The call that gives a byte run from an offset on.
OrderAt = Callable[[int], tuple[StreamMethod, Signed]]


class Transport(Protocol):
    """A line to each node."""

    def call(self, node: str, method: Method, order: Signed) -> Signed:
        """The node's signed answer.

        Raises
        ------
        NodeUnreachable
            Nobody answers, in time, under the node's certificate.
        FedstatsError
            Whatever the node answered instead.
        """
        ...

    def put(self, node: str, order: Signed, data: Bytes, then: Signed | None = None) -> Signed:
        """Send a byte run, announced by its order, and perhaps an order that needs it; the answer to the last order."""
        ...

    def fetch(self, node: str, method: StreamMethod, order: Signed, offset: int) -> Iterator[bytes | Signed]:
        """Pieces of a byte run whose order asks for it from `offset` on, each checked; perhaps a document behind."""
        ...

    def close(self) -> None:
        """End every call and connection."""
        ...
