"""Backend: what a run needs of the world, whether that is a network of nodes or a few data sets in this process.

The order of calls: `survey`, `availability`, then for each study `serve` (perhaps again with a refined study, always
before any sum), then `federation`. Everything that talks to nodes raises the errors of `fedstats.errors`.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices
from fedstats.dataset import People
from fedstats.errors import NodeLost
from fedstats.federation import Federation
from fedstats.planning.panel import Panel
from fedstats.planning.request import Request
from fedstats.planning.survey import Questions, Serve, Survey
from fedstats.study import Study


@dataclass(frozen=True)
class Event:
    """Something that an onlooker may show: a line of `--json`, a tick of the progress bar.

    `data` holds what belongs to the event: node, state, pass, variants done and total, seconds left, trait, path,
    code, message, hint.
    """

    event: Literal["plan", "node", "pass", "warning", "result", "error"]
    data: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON values


Events = Callable[[Event], None]


def no_events(event: Event) -> None:
    """Show nothing."""


class RosterShrinks(NodeLost):
    """A node is lost for good and the others go on without it, as its own policy allows or because nothing was opened.

    Whoever raises it has made `Backend.nodes` the survivors; the request is then run anew on the same backend.
    """


@dataclass(frozen=True)
class Provenance:
    """How the sums of a run came about, for run.json, log and report.

    Attributes
    ----------
    privacy
        "masked", "plain" or "paillier"; "local" in one process.
    key_holder, paillier_masks
        Under paillier, who opened the sums, and whether they were masked besides; "" and True otherwise.
    plans
        Digest of each plan by the name of its analysis.
    roster
        Digest of the federation roster, "" in one process.
    threshold
        t: how many nodes together open a pass; 0 where nothing is masked. The run stands collusion of up to t - 1
        nodes with the coordinator.
    people
        As each node's catalogue states it, rounded down to 100.
    bytes_sent, bytes_received
        To and from each node, and the key holder, by name.
    """

    privacy: str
    run: str = ""
    plans: Mapping[str, str] = field(default_factory=dict)
    roster: str = ""
    nodes: tuple[str, ...] = ()
    threshold: int = 0
    rounds: int = 0
    bytes_sent: Mapping[str, int] = field(default_factory=dict)
    bytes_received: Mapping[str, int] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, int] = field(default_factory=dict)
    key_holder: str = ""
    paillier_masks: bool = True


class Backend(Protocol):
    """One run's connection to its nodes."""

    @property
    def federation_name(self) -> str:
        """Name of the federation."""
        ...

    @property
    def panel(self) -> Panel:
        """The variants that order every result."""
        ...

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the nodes of this run, in the order of the roster; `Request.nodes` is already applied."""
        ...

    @property
    def banners(self) -> Sequence[str]:
        """What every result must say: VALIDATION, the reasons for `plain`, two nodes only."""
        ...

    def survey(self, questions: Questions) -> Mapping[str, Survey]:
        """Each node's metadata, by node, in the order of `nodes`."""
        ...

    def availability(self) -> Mapping[str, npt.NDArray[np.uint8]]:
        """Per node, a code of `fedstats.planning.panel` for every variant of the panel, shape (panel variant,)."""
        ...

    def serve(self, study: Study, request: Request, people: People, variants: Indices) -> Mapping[str, Serve]:
        """Send the plan; what each node signed that it serves, by node.

        `people` are keep and remove lists, of which `request.people` is the digest (`planning.people_lists`);
        `variants` are increasing indices into the panel that the run will touch.
        """
        ...

    def plan(self, study: Study) -> bytes:
        """The plan of a study as it was last given to `serve`, b"" where there are no nodes to propose one to."""
        ...

    def federation(self, study: Study) -> Federation:
        """Sums for a study as it was last given to `serve`; other studies may have been given since."""
        ...

    def provenance(self) -> Provenance:
        """What happened so far."""
        ...


@dataclass(frozen=True)
class Place:
    """Where a run lives: `out` is the prefix of its files (None keeps nothing); state lies in `OUT.run/`.

    `resume` goes on with the run whose state lies there.
    """

    out: Path | None = None
    resume: bool = False


#: Opens a backend for a request; leaving the context closes what it opened.
BackendFactory = Callable[[Request, Place, Events], AbstractContextManager[Backend]]
