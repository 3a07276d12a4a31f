"""Run: one accepted run, and all that its passes need."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.crash import CrashPoint, no_crash
from fedstats.coordinator.key_holder import KeyHolder
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.parallel import Aside
from fedstats.identity.signing import Signed
from fedstats.privacy.messages import Member
from fedstats.wire.messages import Plan
from fedstats.wire.passes import members

#: Told what happens: the kind of event ("plan", "node", "pass", "result", "error") and what belongs to it.
Emit = Callable[[str, dict[str, Any]], None]  # Any: JSON values


def silent(event: str, data: dict[str, Any]) -> None:
    """Tell nobody."""


@dataclass
class Progress:
    """How many passes were opened; counted from many threads."""

    passes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def one_more_pass(self) -> None:
        """Count a pass that was opened."""
        with self._lock:
            self.passes += 1


@dataclass(frozen=True)
class Run:
    """A run that its nodes have accepted.

    Attributes
    ----------
    run_keys
        Each node's signed channel key, in the order of the run roster; empty where nothing is masked.
    aside
        Does what no pass waits for: receipts.
    key_holder, salt
        Under paillier, who opens products; and what transcripts are salted with where nothing is masked.
    """

    plan: Plan
    nodes: Nodes
    run_keys: tuple[Signed, ...]
    checkpoint: Checkpoint
    emit: Emit = silent
    crash: CrashPoint = no_crash
    progress: Progress = field(default_factory=Progress)
    aside: Aside = field(default_factory=Aside)
    key_holder: KeyHolder | None = None
    salt: str = ""

    @property
    def roster(self) -> tuple[Member, ...]:
        """The nodes of the run, in order."""
        return members(self.plan)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names."""
        return self.plan.study.nodes

    @property
    def masked(self) -> bool:
        """Whether words are masked."""
        return self.plan.masked

    def go_on(self) -> None:
        """Raise Stopped where the run is being stopped."""
        self.nodes.transport.go_on()
