"""Documents that coordinator and node exchange, in the order in which a run needs them.

Orders are signed by the coordinator, answers by the node, over the exact bytes of the document.
The kind of a signed message is the name of its class.
Key exchange and unmasking have their documents in `fedstats.privacy.masking`; they travel in the same envelopes.
"""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from fedstats.documents import digest, document
from fedstats.planning.request import Request
from fedstats.planning.setting_options import StepNoise
from fedstats.planning.survey import Questions, Serve, Survey
from fedstats.study import Study

PROTOCOL = 1

#: Methods of the orders that may come in one call with the blob that they need, behind it.
AFTER_BLOB = {"PassOrder": "Open", "ReceiptOrder": "Receipt"}


@document
@dataclass(frozen=True)
class DescribeOrder:
    """Ask who is there; `roster` is the digest of the coordinator's federation roster."""

    federation: str
    roster: str
    nonce: str


@document
@dataclass(frozen=True)
class DatasetEntry:
    """One data set of a node's catalogue; its size is rounded down to 100."""

    id: str
    people: int
    build: str
    traits: tuple[str, ...]
    covariates: tuple[str, ...]


@document
@dataclass(frozen=True)
class Catalogue:
    """Who a node is and what it has: no number that a person could change by more than the rounding."""

    node: str
    nonce: str
    roster: str
    versions: dict[str, str]
    protocol: int
    datasets: tuple[DatasetEntry, ...]
    policy: dict[str, str]
    budgets: dict[str, str]
    certificate_expires: str
    ledger_head: str


@document
@dataclass(frozen=True)
class SurveyOrder:
    """Ask for the metadata that planning needs."""

    run: str
    roster: str
    dataset: str
    questions: Questions


@document
@dataclass(frozen=True)
class SurveyAnswer:
    """A node's metadata for a run, with the floors of its policy in force."""

    run: str
    node: str
    dataset: str
    survey: Survey


@document
@dataclass(frozen=True)
class AvailabilityOrder:
    """Ask which variants of the panel a node has; the panel itself was put there as a blob where it was not known."""

    run: str
    roster: str
    dataset: str
    panel: str


@document
@dataclass(frozen=True)
class BlobOrder:
    """Announce a blob: the panel, the list of variants, people lists, the asks of a pass. Bound by its digest."""

    run: str
    purpose: str
    sha256: str
    length: int


@document
@dataclass(frozen=True)
class BlobStored:
    """A blob is durable at the node."""

    sha256: str
    node: str


@document
@dataclass(frozen=True)
class SignedText:
    """A signed document inside another: kind and signer as text, body and signature in hexadecimal."""

    kind: str
    signer: str
    body: str
    signature: str


@document
@dataclass(frozen=True)
class LostNode:
    """A node that is left out of an amended run, with the signed Serving in which it had agreed to that."""

    node: str
    serving_body: str
    serving_signature: str


@document
@dataclass(frozen=True)
class Plan:
    """What a run will do, before any of it is done: the document that nodes accept or refuse.

    `noise` splits what a run under `dp` may spend over its sums; the request says how much that is. `surveys` are what
    the nodes signed of their columns, by which each of them sees that no column lives at a few of them only.
    """

    run: str
    federation: str
    roster: str
    dataset: str
    created: str
    request: Request
    study: Study
    privacy: str
    panel: str
    build: str
    variants: str
    pass_variants: int
    protocol: int
    versions: dict[str, str]
    nodes: dict[str, str]
    amends: str = ""
    lost: tuple[LostNode, ...] = ()
    noise: tuple[StepNoise, ...] = ()
    surveys: dict[str, SignedText] = field(default_factory=dict)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan's bytes, in hexadecimal: every order of the run names it, and a plan never changes."""
        return digest(self)

    @property
    def masked(self) -> bool:
        """Whether nodes agree on masks: not under plain, and under paillier unless they were switched off."""
        return self.privacy != "plain" and (self.privacy != "paillier" or self.request.setting.paillier_masks)

    @property
    def project(self) -> str:
        """Whose budgets a run is charged to: the federation's own unless the request names a project."""
        return self.request.project or self.federation


@document
@dataclass(frozen=True)
class Serving:
    """A node's signed statement, per model of the plan: I serve it, or I do not and which floor says so."""

    run: str
    node: str
    plan: str
    serve: Serve
    continue_without_me: bool


@document
@dataclass(frozen=True)
class BeginOrder:
    """Begin the run of a proposed plan: from here on its roster is fixed."""

    run: str
    plan: str


@document
@dataclass(frozen=True)
class PassOrder:
    """Step S: open one pass.

    `scope` is "whole" or the number of a chunk, `call` counts the sums of that scope, `attempt` the tries after an
    abandoned pass; the pass id is derived from them, so that a resumed coordinator finds its passes again.
    `words` are those of one node's sums, `upload_bytes` what they take once they are concealed. `salt` is random where
    words are encrypted and not masked, so that the transcript is unknown to the key holder.
    """

    run: str
    plan: str
    scope: str
    call: int
    attempt: int
    pass_id: str
    step: str
    model: str
    asks: str
    layout: str
    words: int
    upload_bytes: int
    salt: str = ""


@document
@dataclass(frozen=True)
class Accepted:
    """A durable acknowledgement of an order by a node."""

    run: str
    pass_id: str
    node: str
    state: str


@document
@dataclass(frozen=True)
class ReadyOrder:
    """Step R: every node's keys of the pass, by node name."""

    run: str
    pass_id: str
    keys: dict[str, SignedText]


@document
@dataclass(frozen=True)
class RunKeysOrder:
    """Every node's channel key of the run: a second call of Begin, answered by Accepted, before the first pass (S
    needs the keys). Not sent under plain.
    """

    run: str
    keys: dict[str, SignedText]


@document
@dataclass(frozen=True)
class ComputeOrder:
    """Step M: every node's signature of the transcript, by node name (empty under plain)."""

    run: str
    pass_id: str
    signatures: dict[str, SignedText]


@document
@dataclass(frozen=True)
class FetchOrder:
    """Ask for the protected words of a pass from a byte offset on; waits for words that are still computed."""

    run: str
    pass_id: str
    offset: int


@document
@dataclass(frozen=True)
class CommitOrder:
    """Step C by itself: sign that all words of the pass are out, where that did not come behind them."""

    run: str
    pass_id: str


@document
@dataclass(frozen=True)
class UnmaskOrder:
    """Step U: signatures of completeness of at least t nodes; give the shares of the self-mask seeds."""

    run: str
    pass_id: str
    signatures: dict[str, SignedText]


@document
@dataclass(frozen=True)
class CertifyOrder:
    """Step K: give the scalar for what the coordinator claims to be the total; `total` is the SHA-256 of its words."""

    run: str
    pass_id: str
    total: str


@document
@dataclass(frozen=True)
class ReceiptOrder:
    """The coordinator has the total on disk; the node may delete its spool.

    Where the total steers what is asked later, `total` and `scalars` (every node's, by name) are its certificate.
    """

    run: str
    pass_id: str
    sha256: str
    total: str = ""
    scalars: dict[str, SignedText] = field(default_factory=dict)


@document
@dataclass(frozen=True)
class AbandonOrder:
    """A pass that was never opened is given up; the node will refuse it from now on."""

    run: str
    pass_id: str
    reason: str


@document
@dataclass(frozen=True)
class FinishOrder:
    """The run is over: results are written, or nobody will come back to it. Secrets and blobs may go."""

    run: str


@document
@dataclass(frozen=True)
class StatusOrder:
    """Ask where a pass stands."""

    run: str
    pass_id: str


@document
@dataclass(frozen=True)
class PassStatus:
    """Where a pass stands at a node: state, bytes ready to fetch of all, and an error code where it failed."""

    run: str
    pass_id: str
    node: str
    state: str
    ready_bytes: int
    total_bytes: int
    error: dict[str, str] = field(default_factory=dict)


def pass_id(run: str, scope: str, call: int, attempt: int) -> str:
    """Identity of a pass, derived from its place in the run: SHA-256 in hexadecimal."""
    return hashlib.sha256(f"fedstats/pass/1|{run}|{scope}|{call}|{attempt}".encode()).hexdigest()
