"""From a study to an accepted run: the plan, what each node signs that it serves, and the channel keys of all."""

import hashlib
import secrets
from dataclasses import dataclass, field, replace

from fedstats import __version__
from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.config import FederationSettings
from fedstats.coordinator.nodes import Nodes
from fedstats.coordinator.parallel import from_all
from fedstats.coordinator.passes import KeptMessages, Messages
from fedstats.coordinator.session_state import SessionDocument
from fedstats.documents import decode, digest, encode
from fedstats.errors import Failed, ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.planning.request import Request
from fedstats.planning.setting_options import StepNoise
from fedstats.planning.survey import Serve
from fedstats.privacy.agreement import read_run_keys
from fedstats.study import Study
from fedstats.wire.messages import (
    PROTOCOL,
    Accepted,
    BeginOrder,
    LostNode,
    Plan,
    RunKeysOrder,
    Serving,
    SignedText,
)
from fedstats.wire.passes import run_context
from fedstats.wire.signed_text import from_text, to_text


@dataclass(frozen=True)
class Proposal:
    """A study with all that its plan says, before nodes are asked.

    Attributes
    ----------
    variants, people
        Blobs that the plan names by their digests; `people` is b"" without lists.
    amends, lost
        The run that this one amends, and who is left out with consent.
    noise
        Under `dp`, how much noise the totals of each step carry.
    surveys
        What the nodes signed of their columns.
    """

    study: Study
    request: Request
    dataset: str
    variants: memoryview
    people: bytes
    amends: str = ""
    lost: tuple[LostNode, ...] = ()
    noise: tuple[StepNoise, ...] = ()
    surveys: dict[str, SignedText] = field(default_factory=dict)

    @property
    def variants_digest(self) -> str:
        """SHA-256 of the list of variants."""
        return hashlib.sha256(self.variants).hexdigest()

    @property
    def key(self) -> str:
        """Name of the proposal in the state: the same when a run that is resumed proposes it again."""
        # Patience may differ from one part of a run to the next.
        asked = (digest(self.study), digest(replace(self.request, wait_seconds=0.0)), self.variants_digest)
        return hashlib.sha256("|".join(asked).encode()).hexdigest()[:16]


def make_plan(proposal: Proposal, settings: FederationSettings, session: SessionDocument) -> Plan:
    """The plan of a proposal, under a new run."""
    identities = {node.name: node.identity for node in settings.roster.content.nodes}
    return Plan(
        run=secrets.token_hex(16),
        federation=settings.name,
        roster=session.roster,
        dataset=proposal.dataset,
        created=session.created,
        request=proposal.request,
        study=proposal.study,
        privacy=proposal.request.privacy,
        panel=session.panel,
        build=settings.build,
        variants=proposal.variants_digest,
        pass_variants=proposal.request.pass_variants,
        protocol=PROTOCOL,
        versions={"fedstats": __version__},
        nodes={name: identities[name] for name in proposal.study.nodes},
        amends=proposal.amends,
        lost=proposal.lost,
        noise=proposal.noise,
        surveys={node: proposal.surveys[node] for node in proposal.study.nodes if node in proposal.surveys},
    )


def propose(nodes: Nodes, plan: Plan, proposal: Proposal, checkpoint: Checkpoint) -> None:
    """Put what the plan names at the nodes and have each sign what it serves; plan and answers are kept."""

    def at(node: str) -> Signed:
        nodes.put(node, plan.run, "variants", proposal.variants)
        if proposal.people:
            nodes.put(node, plan.run, "people", proposal.people)
        signed = nodes.ask_signed(node, "Propose", plan)
        serving = nodes.opened(node, signed, Serving)
        if (serving.node, serving.run, serving.plan) != (node, plan.run, plan.digest):
            raise ProtocolRefused("the node answered to another plan", code="WRONG_PLAN", node=node)
        return signed

    servings = from_all(plan.study.nodes, at)
    checkpoint.keep_document("plan", encode(plan))
    keep_messages(checkpoint, "servings", servings)


def served(nodes: Nodes, checkpoint: Checkpoint, study: Study) -> dict[str, Serve] | None:
    """What nodes signed that they serve of a plan that was proposed; None where it was not."""
    servings = kept_messages(checkpoint, "servings")
    if servings is None:
        return None
    return {node: nodes.opened(node, servings[node], Serving).serve for node in study.nodes}


def plan_of(checkpoint: Checkpoint) -> Plan:
    """The plan that was proposed."""
    body = checkpoint.document("plan")
    if body is None:
        raise Failed("a study must be served before it is summed", code="NOT_SERVED")
    return decode(Plan, body)


def begin(nodes: Nodes, plan: Plan, checkpoint: Checkpoint) -> tuple[Signed, ...]:
    """Begin the run at every node; each node's signed channel key in the order of the run roster, none where
    nothing is masked.

    From the first order on nodes may hold the run to its roster; that it was sent is kept before.
    """
    checkpoint.keep_document("begun", b"")
    order = BeginOrder(plan.run, plan.digest)
    if not plan.masked:
        from_all(plan.study.nodes, lambda node: nodes.ask(node, "Begin", order, Accepted))
        return ()
    keys = kept_messages(checkpoint, "run-keys")
    if keys is None:
        keys = from_all(plan.study.nodes, lambda node: nodes.ask_signed(node, "Begin", order))
        read_run_keys(run_context(plan), list(keys.values()))
        keep_messages(checkpoint, "run-keys", keys)
    if checkpoint.document("keyed") is None:
        all_keys = RunKeysOrder(plan.run, {node: to_text(signed) for node, signed in keys.items()})
        from_all(plan.study.nodes, lambda node: nodes.ask(node, "Begin", all_keys, Accepted))
        checkpoint.keep_document("keyed", b"")
    return tuple(keys[node] for node in plan.study.nodes)


def keep_messages(checkpoint: Checkpoint, name: str, messages: Messages) -> None:
    """Keep one signed message a node."""
    texts = {node: to_text(signed) for node, signed in messages.items()}
    checkpoint.keep_document(name, encode(KeptMessages(texts)))


def kept_messages(checkpoint: Checkpoint, name: str) -> Messages | None:
    """Signed messages that were kept, None where none were."""
    body = checkpoint.document(name)
    if body is None:
        return None
    return {node: from_text(text) for node, text in decode(KeptMessages, body).by_node.items()}
