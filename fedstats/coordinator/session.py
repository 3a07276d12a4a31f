"""A session: one request at one set of nodes, from 'who is there' to federations that sum.

What nodes answer while a run is planned is kept, so that a run that is resumed is planned alike without asking again.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices
from fedstats.coordinator.amending import amendment
from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.crash import crash_points
from fedstats.coordinator.describe import Catalogues, banners, choose_dataset
from fedstats.coordinator.encrypted import salt_of
from fedstats.coordinator.key_holder import KeyHolder
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.parallel import from_all
from fedstats.coordinator.proposals import Proposal, begin, make_plan, plan_of, propose, served
from fedstats.coordinator.receipts import abandon_unsettled, finish_everywhere, settle
from fedstats.coordinator.run import Emit, Progress, Run
from fedstats.coordinator.runner import RunFederation, start
from fedstats.coordinator.session_state import SessionDocument, SessionState
from fedstats.dataset import People
from fedstats.documents import decode, digest, document, encode
from fedstats.errors import Failed, FedstatsError, ProtocolRefused
from fedstats.identity.roster import threshold
from fedstats.planning.panel import Panel
from fedstats.planning.people_lists import people_bytes
from fedstats.planning.request import Request
from fedstats.planning.survey import Questions, Serve, Survey
from fedstats.scratch import Scratch
from fedstats.study import Study
from fedstats.transport.traffic import Traffic
from fedstats.wire.blobs import panel_to_bytes, variants_to_bytes
from fedstats.wire.messages import AvailabilityOrder, SignedText, SurveyAnswer, SurveyOrder
from fedstats.wire.noise import noise_of
from fedstats.wire.signed_text import from_text, to_text

D = TypeVar("D")


@document
@dataclass(frozen=True)
class KeptSurveys:
    """Answers of all nodes to the questions of a plan, as they were signed."""

    by_node: dict[str, SignedText]


@document
@dataclass(frozen=True)
class KeptTraffic:
    """What a session has moved so far."""

    passes: int
    calls: dict[str, int]
    bytes_sent: dict[str, int]
    bytes_received: dict[str, int]


@dataclass(frozen=True)
class Account:
    """How the sums of a session came about, for run.json, log and report."""

    session: str
    roster: str
    nodes: tuple[str, ...]
    threshold: int
    passes: int
    plans: Mapping[str, str]
    versions: Mapping[str, str]
    bytes_sent: Mapping[str, int]
    bytes_received: Mapping[str, int]
    lost: tuple[str, ...]
    key_holder: str = ""


class _PanelBytes:
    """The panel as one run of bytes, made once for all nodes that do not know it yet: they are asked side by side."""

    def __init__(self, panel: Panel) -> None:
        self._panel, self._lock = panel, threading.Lock()
        self._made: memoryview | None = None

    def get(self) -> memoryview:
        """The bytes."""
        with self._lock:
            if self._made is None:
                body = Scratch(np.uint8)
                for run in panel_to_bytes(self._panel):
                    body.append(np.frombuffer(run, np.uint8))
                self._made = body.array().data
            return self._made


@dataclass
class Session:
    """One request at one set of nodes.

    Attributes
    ----------
    before
        The session that this one goes on after, where nodes were lost.
    planning, running
        The same line with little patience, and with all of `--wait`.
    """

    settings: FederationSettings
    request: Request
    panel: Panel
    state: SessionState
    before: SessionState | None
    document: SessionDocument
    catalogues: Catalogues
    planning: Nodes
    running: Nodes
    emit: Emit
    key_holder: KeyHolder | None = None
    progress: Progress = field(default_factory=Progress)
    _keys: dict[str, str] = field(default_factory=dict)
    _runs: dict[str, Run] = field(default_factory=dict)
    _surveys: dict[str, SignedText] = field(default_factory=dict)

    def __post_init__(self) -> None:
        body = self.state.documents.document("traffic")
        if body is not None:
            kept = decode(KeptTraffic, body)
            self.traffic.restore(kept.calls, kept.bytes_sent, kept.bytes_received)
            self.progress.passes = kept.passes

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the nodes, in the order of the roster."""
        return self.document.nodes

    @property
    def traffic(self) -> Traffic:
        """Calls and bytes so far, by node."""
        return self.running.transport.traffic

    @property
    def dataset(self) -> str:
        """The data set that the run uses at every node."""
        return choose_dataset(self.catalogues, self.settings.dataset, self.settings.build)

    @property
    def banners(self) -> tuple[str, ...]:
        """What every result must say."""
        holder = "" if self.key_holder is None else self.key_holder.name
        said = banners(self.catalogues, self.request.privacy, masked=self.request.masked, key_holder=holder)
        return (*said, *self._losses())

    def _losses(self) -> tuple[str, ...]:
        lost, left = ", ".join(self.document.lost), ", ".join(self.names)
        if not lost:
            return ()
        why = "as they had agreed (continue_without_me), " if self.document.amends else ""
        return (f"LOST {lost}: {why}everything was computed anew on {left}; no row holds people of {lost}.",)

    def survey(self, questions: Questions) -> dict[str, Survey]:
        """Each node's metadata, in the order of the nodes."""
        name = f"survey-{digest(questions)[:16]}"
        body = self.state.documents.document(name)
        if body is None:
            order = SurveyOrder(self.document.session, self.document.roster, self.dataset, questions)
            found = from_all(self.names, lambda node: to_text(self.planning.ask_signed(node, "Survey", order)))
            body = encode(KeptSurveys(found))
            self._surveyed(found)
            self.state.documents.keep_document(name, body)
        self._surveys = decode(KeptSurveys, body).by_node
        return self._surveyed(self._surveys)

    def _surveyed(self, texts: Mapping[str, SignedText]) -> dict[str, Survey]:
        """What surveys say, once their signatures are seen to be right."""
        answers = {node: self.planning.opened(node, from_text(texts[node]), SurveyAnswer) for node in self.names}
        return {node: answer.survey for node, answer in answers.items()}

    def availability(self) -> dict[str, npt.NDArray[np.uint8]]:
        """Per node a code of `fedstats.planning.panel` for every variant of the panel, shape (panel variant,)."""
        whole = _PanelBytes(self.panel)
        return from_all(self.names, lambda node: self._availability_at(node, whole))

    def _availability_at(self, node: str, whole: "_PanelBytes") -> npt.NDArray[np.uint8]:
        name = f"availability-{node}"
        body = self.state.documents.document(name)
        if body is None:
            order = AvailabilityOrder(self.document.session, self.document.roster, self.dataset, self.document.panel)
            body = self._knowing_panel(node, whole, lambda: self.planning.fetch_whole(node, "Availability", order))
            self.state.documents.keep_document(name, body)
        if len(body) != len(self.panel):
            raise ProtocolRefused(
                f"availability of {len(body)} variants came where the panel has {len(self.panel)}",
                code="MALFORMED",
                node=node,
            )
        return np.frombuffer(body, np.uint8)

    def _knowing_panel(self, node: str, whole: "_PanelBytes", ask: Callable[[], bytes]) -> bytes:
        """What `ask` gives; where the node does not know the panel yet, it is put there first."""
        try:
            return ask()
        except ProtocolRefused as refusal:
            if refusal.code != "NO_BLOB":
                raise
        put = self.planning.put(node, self.document.session, "panel", whole.get())
        if put != self.document.panel:
            raise Failed("the panel is another one than when the run was planned", code="OTHER_PANEL")
        return ask()

    def serve(self, study: Study, request: Request, people: People, variants: Indices) -> dict[str, Serve]:
        """Propose the plan of a study; what each node signed that it serves."""
        amends, lost = amendment(self.before, self.document, study.analysis)
        listed, lists = variants_to_bytes(variants), people_bytes(people)
        noise = noise_of(study, request.setting, self.panel.kinds, variants, request.pass_variants)
        proposal = Proposal(study, request, self.dataset, listed, lists, amends, lost, noise, self._surveys)
        checkpoint = self.state.run(proposal.key)
        self._keys[digest(study)] = proposal.key
        found = served(self.planning, checkpoint, study)
        if found is None:
            propose(self.planning, make_plan(proposal, self.settings, self.document), proposal, checkpoint)
            found = served(self.planning, checkpoint, study)
        if found is None:
            raise Failed("what nodes serve was not kept", code="NOT_SERVED")
        return found

    def plan(self, study: Study) -> bytes:
        """The plan of a study as it was last proposed; it names its run, which has not begun."""
        return encode(plan_of(self._checkpoint(study)))

    def _checkpoint(self, study: Study) -> Checkpoint:
        key = self._keys.get(digest(study))
        if key is None:
            raise Failed("a study must be served before it is summed", code="NOT_SERVED")
        return self.state.run(key)

    def federation(self, study: Study) -> RunFederation:
        """Sums for a study as it was last given to `serve`; its roster is fixed from here on."""
        checkpoint = self._checkpoint(study)
        plan = plan_of(checkpoint)
        run_keys = begin(self.running, plan, checkpoint)
        crash = crash_points(sandbox=self.settings.roster.content.sandbox)
        run = Run(
            plan,
            self.running,
            run_keys,
            checkpoint,
            self.emit,
            crash,
            self.progress,
            key_holder=self.key_holder,
            salt=salt_of(plan, checkpoint),
        )
        self._runs[study.analysis] = run
        return start(run)

    def account(self) -> Account:
        """What happened so far."""
        return Account(
            session=self.document.session,
            roster=self.document.roster,
            nodes=self.names,
            threshold=threshold(len(self.names)) if self.request.masked else 0,
            passes=self.progress.passes,
            plans={analysis: run.plan.digest for analysis, run in self._runs.items()},
            versions={node: found.versions.get("fedstats", "") for node, found in self.catalogues.items()},
            bytes_sent=dict(self.traffic.bytes_sent),
            bytes_received=dict(self.traffic.bytes_received),
            lost=self.document.lost,
            key_holder="" if self.key_holder is None else self.key_holder.name,
        )

    def finish(self) -> None:
        """Results are written: nodes delete what they keep for the runs of this session."""
        for run in self._runs.values():
            # The results are there; nothing that goes wrong from here on is worth an error.
            with contextlib.suppress(FedstatsError):
                settle(run)
            finish_everywhere(run)
            if self.key_holder is not None:
                with contextlib.suppress(FedstatsError):
                    self.key_holder.finish(run.plan)

    def close(self, *, keeps_state: bool) -> None:
        """End every call; passes that nobody can come back to are abandoned at the nodes."""
        for nodes in (self.planning, self.running):
            nodes.transport.stop.set()
        for run in self._runs.values():
            run.aside.wait()
        if keeps_state:
            traffic = self.traffic
            kept = KeptTraffic(
                self.progress.passes, dict(traffic.calls), dict(traffic.bytes_sent), dict(traffic.bytes_received)
            )
            # Neither counts nor receipts are worth hiding an error for, such as the full disk that ended the run.
            with contextlib.suppress(FedstatsError):
                self.state.documents.keep_document("traffic", encode(kept))
                for run in self._runs.values():
                    settle(run)
        else:
            for run in self._runs.values():
                abandon_unsettled(run)
                finish_everywhere(run)
        self.running.transport.line.close()
        if self.key_holder is not None:
            self.key_holder.close()
