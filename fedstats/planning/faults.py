"""Faults that planning finds: several are reported at once, and one keeps its own code and hint."""

from collections.abc import Sequence
from dataclasses import dataclass

from fedstats.errors import FaultyInput, UsageError


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with what was asked, and what to do about it."""

    message: str
    code: str
    hint: str = ""


def raise_faults(faults: Sequence[Fault]) -> None:
    """Raise all faults as one UsageError; nothing happens where there are none."""
    if not faults:
        return
    first = faults[0]
    if len(faults) == 1:
        raise UsageError(first.message, code=first.code, hint=first.hint)
    raise FaultyInput("the request", [". ".join(filter(None, (f.message, f.hint))) for f in faults], code=first.code)


def listing(names: Sequence[str]) -> str:
    """Names in a sentence: "A", "A and B", "A, B and C"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else list(names))
