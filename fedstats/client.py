"""connect: what an analyst imports to ask a federation of real nodes.

>>> with fedstats.connect("federation.toml") as federation:  # doctest: +SKIP
...     result = federation.gwas("qt1", covariates=["age", "sex", "PC1-PC4"], out="results/qt1")
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, cast

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices
from fedstats.coordinator.amending import after_loss
from fedstats.coordinator.config import FederationSettings, read_federation
from fedstats.coordinator.describe import describe_one
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.opening import (
    Desk,
    OpenKeyHolder,
    OpenLine,
    key_holder_over_grpc,
    open_new,
    open_resumed,
    open_without,
    over_grpc,
)
from fedstats.coordinator.parallel import from_all
from fedstats.coordinator.run import Emit
from fedstats.coordinator.session import Session
from fedstats.coordinator.session_state import RunState
from fedstats.dataset import People
from fedstats.errors import Failed, FedstatsError, NodeLost, ProtocolRefused
from fedstats.federation import Federation
from fedstats.frontend.analyst import Analyst
from fedstats.frontend.backend import Backend, Event, Events, Place, Provenance
from fedstats.frontend.job import Job
from fedstats.frontend.run import run_request
from fedstats.frontend.sinks import Result
from fedstats.interrupts import Interrupts
from fedstats.planning.panel import Panel
from fedstats.planning.panel_files import read_panel
from fedstats.planning.request import Request, check_request
from fedstats.planning.survey import Questions, Serve, Survey
from fedstats.study import Study
from fedstats.transport.patient import PatientTransport
from fedstats.wire.messages import Catalogue

#: A node's refusal to answer the same people in a run of other nodes.
OTHER_ROSTER = "OTHER_ROSTER"

#: How long `nodes` waits for one that does not answer.
NODES_WAIT_SECONDS = 2.0


@dataclass(frozen=True)
class NodeReport:
    """What `fedstats nodes` shows of one node; without a catalogue, `error` says why.

    `seconds` is the time of one answered call.
    """

    name: str
    address: str
    catalogue: Catalogue | None = None
    error: FedstatsError | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class RemoteBackend:
    """A session as analyses see it."""

    session: Session

    @property
    def federation_name(self) -> str:
        """Name of the federation."""
        return self.session.settings.name

    @property
    def panel(self) -> Panel:
        """The variants that order every result."""
        return self.session.panel

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes of the run."""
        return self.session.names

    @property
    def banners(self) -> Sequence[str]:
        """What every result must say."""
        return self.session.banners

    def survey(self, questions: Questions) -> Mapping[str, Survey]:
        """Each node's metadata."""
        return self.session.survey(questions)

    def availability(self) -> Mapping[str, npt.NDArray[np.uint8]]:
        """Which variants each node has."""
        return self.session.availability()

    def serve(self, study: Study, request: Request, people: People, variants: Indices) -> Mapping[str, Serve]:
        """What each node signed that it serves."""
        return self.session.serve(study, request, people, variants)

    def plan(self, study: Study) -> bytes:
        """The plan as the nodes have it."""
        return self.session.plan(study)

    def federation(self, study: Study) -> Federation:
        """Sums over the nodes of a study."""
        return self.session.federation(study)

    def provenance(self) -> Provenance:
        """What happened so far."""
        account = self.session.account()
        return Provenance(
            privacy=self.session.request.privacy,
            run=account.session,
            plans=account.plans,
            roster=account.roster,
            nodes=account.nodes,
            threshold=account.threshold,
            rounds=account.passes,
            bytes_sent=account.bytes_sent,
            bytes_received=account.bytes_received,
            versions=account.versions,
            people={node: self._people_at(node) for node in self.nodes},
            key_holder=account.key_holder,
            paillier_masks=self.session.request.setting.paillier_masks,
        )

    def _people_at(self, node: str) -> int:
        """People of the run's data set as the node's catalogue states them."""
        entries = self.session.catalogues[node].datasets
        return next(entry.people for entry in entries if entry.id == self.session.dataset)


class FederationClient(Analyst):
    """Asks a federation of nodes; the methods of `Analyst`, and `nodes`.

    Parameters
    ----------
    settings
        As `read_federation` gives them.
    open_line, open_key_holder
        How nodes and the key holder are reached; over gRPC unless a test says otherwise.
    """

    def __init__(
        self,
        settings: FederationSettings,
        open_line: OpenLine = over_grpc,
        open_key_holder: OpenKeyHolder = key_holder_over_grpc,
    ) -> None:
        self.settings = settings
        self._open_line = open_line
        self._open_key_holder = open_key_holder
        super().__init__(self._open)

    @property
    def name(self) -> str:
        """Name of the federation."""
        return self.settings.name

    def nodes(self) -> list[NodeReport]:
        """Every node with its catalogue, or with what is wrong with it."""
        line = self._open_line(self.settings)
        identities = {node.name: node.identity for node in self.settings.roster.content.nodes}
        talk = Nodes(PatientTransport(line, NODES_WAIT_SECONDS), self.settings.identity, identities)
        try:
            found = from_all(self.settings.addresses, lambda node: self._report(talk, node))
        finally:
            line.close()
        return list(found.values())

    def _report(self, talk: Nodes, node: str) -> NodeReport:
        address = self.settings.addresses[node]
        started = time.monotonic()
        try:
            catalogue = describe_one(talk, self.settings, node)
        except FedstatsError as error:
            return NodeReport(node, address, error=error)
        return NodeReport(node, address, catalogue, seconds=time.monotonic() - started)

    def close(self) -> None:
        """Nothing stays open between runs; here for `with`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @cached_property
    def _desk(self) -> Desk:
        panel = read_panel(self.settings.panel)
        return Desk(self.settings, panel, panel.digest(), self._open_line, self._open_key_holder)

    def _run(self, job: Job, events: Events) -> dict[str, Result]:
        """One run, going on without nodes that were lost for good where that is allowed."""
        check_request(job.request)
        desk = replace(self._desk, interrupts=Interrupts())
        with _state(job.place) as root, _stopped_cleanly(job.place), desk.interrupts.kept():
            session, lost = _session(desk, job.request, root, job.place, events), None
            while True:
                try:
                    with _open_session(session, job.place) as backend:
                        return run_request(backend, job, events)
                except NodeLost as error:
                    lost = error
                except ProtocolRefused as refusal:
                    if lost is None or refusal.code != OTHER_ROSTER:
                        raise
                    # The people were answered with all nodes in earlier runs; this one can only wait for its node.
                    root.drop(session.state)
                    raise with_resume_line(lost, job.place) from refusal
                session = _without(desk, lost, job, root, events)

    @contextlib.contextmanager
    def _open(self, request: Request, place: Place, events: Events) -> Iterator[Backend]:
        with _state(place) as root, _open_session(_session(self._desk, request, root, place, events), place) as backend:
            yield backend


def _session(desk: Desk, request: Request, root: RunState, place: Place, events: Events) -> Session:
    opening = open_resumed if place.resume else open_new
    return opening(desk, request, root, _emit(events))


def _without(desk: Desk, lost: NodeLost, job: Job, root: RunState, events: Events) -> Session:
    """The session on the nodes that are left.

    Raises
    ------
    NodeLost
        Going on would show the lost node's sums, and it had not agreed to that; or too few nodes are left.
    """
    choice = after_loss(root.current(), lost.node)
    if choice == "stop":
        raise with_resume_line(lost, job.place)
    amends = choice == "amend"
    events(Event("node", {"node": lost.node, "state": "left out", "message": lost.message}))
    return open_without(desk, job.request, root, lost.node, amends=amends, emit=_emit(events))


def connect(path: str | Path) -> FederationClient:
    """The federation that a federation.toml describes; nobody is dialled before something is asked.

    Raises
    ------
    ConfigError
        Every fault of the file and of the files beside it.
    """
    return FederationClient(read_federation(Path(path)))


def with_resume_line(lost: NodeLost, place: Place) -> NodeLost:
    """The error with what to type next."""
    if place.out is None:
        lost.hint = "Without --out nothing is kept; start the node's agent and run again."
    else:
        lost.hint = (
            f"What is finished is kept in {place.out.name}.run/. "
            "Start the node's agent again, then repeat the command with --resume."
        )
    return lost


@contextlib.contextmanager
def _state(place: Place) -> Iterator[RunState]:
    """OUT.run/, or a folder that goes when the run ends."""
    if place.out is not None:
        yield RunState(place.out.with_name(f"{place.out.name}.run"))
        return
    with tempfile.TemporaryDirectory(prefix="fedstats-", ignore_cleanup_errors=True) as folder:
        yield RunState(Path(folder) / "run")


@contextlib.contextmanager
def _open_session(session: Session, place: Place) -> Iterator[RemoteBackend]:
    try:
        yield RemoteBackend(session)
        session.finish()
    finally:
        session.close(keeps_state=place.out is not None)


@contextlib.contextmanager
def _stopped_cleanly(place: Place) -> Iterator[None]:
    """Ctrl-C as an error of its own: state is kept, nothing is half-written."""
    try:
        yield
    except KeyboardInterrupt:
        kept = "" if place.out is None else f"Repeat the command with --resume to go on from {place.out.name}.run/."
        raise Failed("interrupted; nothing half-written was left behind", code="INTERRUPTED", hint=kept) from None


def _emit(events: Events) -> Emit:
    def emit(kind: str, data: dict[str, Any]) -> None:  # Any: JSON values
        named = cast("Literal['plan', 'node', 'pass', 'result', 'error']", kind)
        events(Event(named, data))

    return emit
