"""Open a session: a new one, the one that is resumed, or the one after a node was lost."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.describe import describe
from fedstats.coordinator.key_holder import KeyHolder, check_wanted
from fedstats.coordinator.key_holder_ledger import KEPT_IN, SeenLedger
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.run import Emit, silent
from fedstats.coordinator.session import Session
from fedstats.coordinator.session_state import RunState, SessionDocument, SessionState
from fedstats.documents import decode, document, encode
from fedstats.errors import NodeUnreachable, UsageError
from fedstats.identity.roster import roster_digest
from fedstats.interrupts import Interrupts
from fedstats.planning.panel import Panel
from fedstats.planning.request import Request
from fedstats.transport.base import Transport
from fedstats.transport.grpc_transport import GrpcTransport
from fedstats.transport.key_holder import key_holder_line
from fedstats.transport.patient import PatientTransport
from fedstats.transport.pinning import Peer
from fedstats.transport.traffic import Traffic
from fedstats.wire.messages import Catalogue

#: While a run is planned nobody waits longer than this for a node: an address that is wrong should be heard of soon.
PLANNING_WAIT_SECONDS = 5.0

OpenLine = Callable[[FederationSettings], Transport]
OpenKeyHolder = Callable[[FederationSettings, Peer], Transport]


def over_grpc(settings: FederationSettings) -> Transport:
    """A line to each node of federation.toml."""
    return GrpcTransport(settings.caller, settings.peers)


def key_holder_over_grpc(settings: FederationSettings, peer: Peer) -> Transport:
    """A line to the key holder of federation.toml."""
    return key_holder_line(settings.caller, peer)


@dataclass(frozen=True)
class Desk:
    """What stays the same over all sessions of a coordinator.

    Attributes
    ----------
    open_line, open_key_holder
        How nodes and the key holder are reached; over gRPC unless a test says otherwise.
    interrupts
        Closes every line where a run is interrupted.
    """

    settings: FederationSettings
    panel: Panel
    panel_digest: str
    open_line: OpenLine = over_grpc
    open_key_holder: OpenKeyHolder = key_holder_over_grpc
    interrupts: Interrupts = field(default_factory=Interrupts)


@document
@dataclass(frozen=True)
class KeptCatalogues:
    """Catalogues of all nodes when the session began."""

    by_node: dict[str, Catalogue]


def chosen_nodes(settings: FederationSettings, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """The nodes of a run in the order of the roster: those that are wanted, or all that have an address."""
    for name in wanted:
        settings.roster.node(name)
        if name not in settings.addresses:
            raise UsageError(f"federation.toml has no address of node {name!r}", code="NO_ADDRESS")
    chosen = tuple(name for name in settings.addresses if not wanted or name in wanted)
    if not chosen:
        raise UsageError("federation.toml has no address of any node", code="NO_ADDRESS")
    return chosen


def first_document(desk: Desk, request: Request) -> SessionDocument:
    """What is fixed for a new session."""
    return SessionDocument(
        session=secrets.token_hex(16),
        created=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        roster=roster_digest(desk.settings.roster),
        panel=desk.panel_digest,
        nodes=chosen_nodes(desk.settings, request.nodes),
    )


def open_new(desk: Desk, request: Request, root: RunState, emit: Emit = silent) -> Session:
    """Start a run; whatever lay in its folder is forgotten."""
    document = first_document(desk, request)
    root.start(request)
    return _opened(desk, request, root, root.next(), document, emit)


def open_resumed(desk: Desk, request: Request, root: RunState, emit: Emit = silent) -> Session:
    """Go on with the last session of a run."""
    root.go_on(request)
    state = root.current()
    document = state.document()
    if document is None:
        return open_new(desk, request, root, emit)
    if (document.roster, document.panel) != (roster_digest(desk.settings.roster), desk.panel_digest):
        raise UsageError(
            "the roster or the variant panel has changed since the run was started",
            code="OTHER_FEDERATION",
            hint="Put back the files as they were, or start anew without --resume.",
        )
    return _opened(desk, request, root, state, document, emit)


def open_without(
    desk: Desk, request: Request, root: RunState, lost: str, *, amends: bool, emit: Emit = silent
) -> Session:
    """Begin again without a node that was lost in the last session."""
    last = root.current().document()
    before = last if last is not None else first_document(desk, request)
    document = SessionDocument(
        session=secrets.token_hex(16),
        created=before.created,
        roster=before.roster,
        panel=before.panel,
        nodes=tuple(name for name in before.nodes if name != lost),
        lost=(*before.lost, lost),
        amends=amends,
    )
    return _opened(desk, request, root, root.next(), document, emit)


def _opened(
    desk: Desk, request: Request, root: RunState, state: SessionState, document: SessionDocument, emit: Emit
) -> Session:
    if request.privacy == "paillier":
        check_wanted(desk.settings)
    traffic = Traffic()
    identities = {node.name: node.identity for node in desk.settings.roster.content.nodes}
    planning, running = _lines(desk, request, desk.open_line(desk.settings), identities, traffic, emit)
    kept = state.documents.document("catalogues")
    if kept is None:
        kept = encode(KeptCatalogues(describe(planning, desk.settings, document.nodes)))
    if state.document() is None:
        state.begin(document)
    state.documents.keep_document("catalogues", kept)
    # Nodes that answered once and are gone later are lost, not unreachable.
    running.transport.known_to_answer(document.nodes)
    holder = _key_holder(desk, request, traffic, emit)
    catalogues = decode(KeptCatalogues, kept).by_node
    in_order = {name: catalogues[name] for name in document.nodes}
    return Session(
        settings=desk.settings,
        request=request,
        panel=desk.panel,
        state=state,
        before=root.before(state),
        document=document,
        catalogues=in_order,
        planning=planning,
        running=running,
        emit=emit,
        key_holder=holder,
    )


def _lines(
    desk: Desk,
    request: Request,
    line: Transport,
    identities: Mapping[str, str],
    traffic: Traffic,
    emit: Emit,
) -> tuple[Nodes, Nodes]:
    """The same line with little patience, for planning, and with all of `--wait`."""

    def tell(node: str, state: str, error: NodeUnreachable | None) -> None:
        emit("node", {"node": node, "state": state, "message": "" if error is None else error.message})

    def nodes(wait_seconds: float) -> Nodes:
        patient = PatientTransport(line, wait_seconds, traffic, tell)
        desk.interrupts.on_stop(patient.close)
        return Nodes(patient, desk.settings.identity, identities)

    return nodes(min(request.wait_seconds, PLANNING_WAIT_SECONDS)), nodes(request.wait_seconds)


def _key_holder(desk: Desk, request: Request, traffic: Traffic, emit: Emit) -> KeyHolder | None:
    """The key holder of a run under paillier, seen to be there; None under other settings."""
    peer = desk.settings.key_holder
    if request.privacy != "paillier" or peer is None:
        return None
    line = desk.open_key_holder(desk.settings, peer)
    planning, running = _lines(desk, request, line, {peer.name: peer.identity}, traffic, emit)
    content, folder = desk.settings.roster.content, desk.settings.folder
    seen = SeenLedger(folder / KEPT_IN, content.federation, peer.name, peer.identity)
    holder = KeyHolder(peer.name, content.paillier_modulus, planning, running, seen)
    try:
        holder.check(desk.settings)
    except BaseException:
        holder.close()
        raise
    running.transport.known_to_answer((peer.name,))
    return holder
