"""Faults of a data set: one error that lists them all, and a short form of it that may cross the wire."""

from collections.abc import Sequence

from fedstats.errors import DataError
from fedstats.planning.delimited import Fault


class DatasetFaults(DataError):
    """A data set cannot be used; every fault that was found is listed.

    The message is for the custodian of the data: it names files and lines.
    """

    def __init__(self, subject: str, faults: Sequence[Fault]) -> None:
        super().__init__(subject, [str(fault) for fault in faults], code="BAD_DATASET")
        self.found = tuple(faults)

    @property
    def public_faults(self) -> tuple[str, ...]:
        """The faults without names, lines or values: what other parties may be told."""
        return tuple(fault.public for fault in self.found)
