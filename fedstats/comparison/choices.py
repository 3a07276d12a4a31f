"""The settings that are compared: the flags of each, and who must be trusted under it."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec

#: What a run under `dp` may say of chance failures; one over ten times the people is the most that agents allow.
DELTA = 1e-6


@dataclass(frozen=True)
class Choice:
    """One way to run the study.

    Attributes
    ----------
    name
        As tables and plots show it.
    flags
        What the command line is given.
    trust
        Who could learn one node's sums, in a few words.
    seen
        How the coordinator sees an upload: "plain", "masked" or "paillier".
    epsilon
        What the output may say of one person; infinite without noise.
    """

    name: str
    flags: tuple[str, ...]
    trust: str
    seen: str
    epsilon: float = float("inf")

    @property
    def key_holder(self) -> bool:
        """Whether it needs a key holder."""
        return "paillier" in self.flags


def _dp(epsilon: float) -> Choice:
    flags = ("--privacy", "dp", "--epsilon", f"{epsilon:g}", "--delta", f"{DELTA:g}")
    trust = "as masked; readers of the result learn little of anybody"
    return Choice(f"dp, epsilon {epsilon:g}", flags, trust, "masked", epsilon)


CHOICES: tuple[Choice, ...] = (
    Choice("plain", ("--privacy", "plain"), "the coordinator alone", "plain"),
    Choice("masked", (), "the coordinator together with all other nodes but one", "masked"),
    Choice("paillier", ("--privacy", "paillier"), "as masked; the coordinator also needs the key holder", "paillier"),
    Choice(
        "paillier, masks off",
        ("--privacy", "paillier", "--paillier-masks", "off"),
        "the coordinator together with the key holder",
        "paillier",
    ),
    *map(_dp, (10.0, 3.0, 1.0)),
)


def chosen(names: Sequence[str]) -> tuple[Choice, ...]:
    """The choices whose names begin with one of these; all that this installation has where there are none."""
    known = [choice for choice in CHOICES if find_spec("gmpy2") or not choice.key_holder]
    return tuple(one for one in known if not names or any(one.name.startswith(name) for name in names))
