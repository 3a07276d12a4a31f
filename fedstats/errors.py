"""Every error that fedstats raises on purpose, one tree, one class per exit code.

::

    FedstatsError                   code 5   something failed
    ├── UsageError                  code 2   what was asked or given is wrong
    │   ├── ConfigError                      a configuration file has faults (all are listed)
    │   └── DataError                        a data file has faults (all are listed)
    ├── Refused                     code 3   a node's policy says no; the rule and the limit are named
    │   ├── DisclosureRefused                a floor of people, arms, levels, carriers is not reached
    │   └── ProtocolRefused                  a message is not the one the protocol allows here
    ├── NodeUnreachable             code 4   a node does not answer, or its certificate does not fit
    │   └── NodeLost                         a node answered before and is gone; the run can be resumed
    └── Failed                      code 5   nothing of what was computed is written
        ├── MaskMismatch                     masks did not cancel: the parties do not share one view
        └── RangeOverflow                    a total exceeds its declared bound

A message says what, where, which limit, what to do.
It never contains a person's value, a sample identifier or a path of a node.
"""

from collections.abc import Sequence
from typing import ClassVar


class FedstatsError(Exception):
    """Root of all errors of fedstats; `exit_code` is what a command ends with."""

    exit_code: ClassVar[int] = 5

    def __init__(self, message: str, *, code: str = "", hint: str = "", node: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).__name__
        self.hint = hint
        self.node = node

    def __str__(self) -> str:
        where = f"{self.node}: " if self.node else ""
        hint = f"\n  {self.hint}" if self.hint else ""
        return f"{where}{self.message}{hint}"


class UsageError(FedstatsError):
    """What was asked, or a file that was given, is wrong; nothing was sent."""

    exit_code = 2


class FaultyInput(UsageError):
    """A file with faults; all of them are listed at once."""

    def __init__(self, subject: str, faults: Sequence[str], *, code: str = "", node: str = "") -> None:
        self.subject = subject
        self.faults = tuple(faults)
        listed = "".join(f"\n  - {fault}" for fault in faults)
        super().__init__(f"{subject} has {len(faults)} fault{'s' * (len(faults) != 1)}:{listed}", code=code, node=node)


class ConfigError(FaultyInput):
    """A configuration file has faults."""


class DataError(FaultyInput):
    """A data file has faults."""


class Refused(FedstatsError):
    """A node's policy says no."""

    exit_code = 3


class DisclosureRefused(Refused):
    """A floor of people, arms, levels, carriers or nodes is not reached."""


class ProtocolRefused(Refused):
    """A message is not one that the protocol allows at this point."""


class NodeUnreachable(FedstatsError):
    """A node does not answer, or its certificate does not fit."""

    exit_code = 4


class NodeLost(NodeUnreachable):
    """A node that answered before is gone; the run can be resumed."""


class Failed(FedstatsError):
    """Something failed; nothing of what was computed is written."""


class Stopped(Failed):
    """The run is being stopped; calls that were waiting end."""


class MaskMismatch(Failed):
    """The masks of a pass did not cancel."""


class RangeOverflow(Failed):
    """A total, or a node's share of it, exceeds its declared bound."""


#: Leaves by name: how an error that crossed the wire becomes an exception again.
BY_NAME: dict[str, type[FedstatsError]] = {
    cls.__name__: cls
    for cls in (
        FedstatsError,
        UsageError,
        Refused,
        DisclosureRefused,
        ProtocolRefused,
        NodeUnreachable,
        NodeLost,
        Failed,
        MaskMismatch,
        RangeOverflow,
    )
}
