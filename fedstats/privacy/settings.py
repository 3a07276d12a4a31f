"""The privacy choice that a run is made under: part of the plan, so part of what every node signs."""

from dataclasses import dataclass

from fedstats.documents import document
from fedstats.privacy.conceal import Setting


@document
@dataclass(frozen=True)
class Privacy:
    """A frozen, hashable choice; each node's policy decides whether it allows it."""

    setting: Setting = Setting.MASKED

    @property
    def description(self) -> str:
        """The text that goes into transcripts and results."""
        return str(self.setting)
