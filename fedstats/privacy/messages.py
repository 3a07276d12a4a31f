"""What the parties of a masked pass say to one another, and what a node keeps secret meanwhile.

All are documents: canonical JSON, bytes as hexadecimal text. Messages travel signed; secrets stay in files of mode
0600 until the pass is over.
"""

from dataclasses import dataclass, field

from fedstats.documents import document

#: Kinds under which messages are signed; a signature for one never fits another.
RUN_KEY = "masking/run-key@1"
PASS_KEYS = "masking/pass-keys@1"  # noqa: S105 - the name of a kind, no password
READY = "masking/ready@1"
COMPLETE = "masking/complete@1"
SEED_SHARES = "masking/seed-shares@1"


@document
@dataclass(frozen=True)
class Member:
    """A node of the run roster."""

    name: str
    identity: str


@document
@dataclass(frozen=True)
class RunContext:
    """A run as its nodes agreed on it when planning."""

    run: str
    plan_digest: str
    roster: tuple[Member, ...]


@document
@dataclass(frozen=True)
class PassContext:
    """All that a pass depends on, as one node sees it; each node makes it from what it received and does itself.

    Digests are SHA-256 in hexadecimal. `roster` is the run roster, in an order that all nodes share.
    """

    run: str
    pass_id: str
    plan_digest: str
    roster: tuple[Member, ...]
    threshold: int
    step: str  # name@version
    schema_digest: str
    codec: str  # scales and words
    privacy: str
    parameters_digest: str
    totals_digest: str  # totals sent down
    layout_digest: str  # blocks, variant keys, active set, columns

    @property
    def of_run(self) -> RunContext:
        """The run that this pass belongs to."""
        return RunContext(self.run, self.plan_digest, self.roster)


@document
@dataclass(frozen=True)
class RunKey:
    """Once per run: the key under which peers encrypt to this node."""

    run: RunContext
    node: str
    channel_key: str


@document
@dataclass(frozen=True)
class RunSecret:
    """What a node keeps for a run."""

    run: RunContext
    node: str
    channel_private: str = field(repr=False)


@document
@dataclass(frozen=True)
class SealedShare:
    """A share of a self-mask seed, encrypted for one peer: 12 bytes nonce and AES-GCM's output, in hexadecimal."""

    to: str
    sealed: str


@document
@dataclass(frozen=True)
class PassKeys:
    """S: fresh keys of a node for a pass, and the shares of its self-mask seed."""

    run: str
    pass_id: str
    node: str
    mask_key: str
    seed_commitment: str  # SHA-256 of the self-mask seed: whoever recovers it knows that it is the right one
    nonce_commitment: str  # SHA-256 of the nonce that R opens
    ledger_head: str  # where the node's ledger stands, and what it remembers of its peers'; T binds it
    shares: tuple[SealedShare, ...]


@document
@dataclass(frozen=True)
class PassSecret:
    """What a node keeps from S to the end of the pass."""

    run: str
    pass_id: str
    node: str
    mask_private: str = field(repr=False)
    seed: str = field(repr=False)
    nonce: str = field(repr=False)
    own_share: str = field(repr=False)
    own_keys: str  # the body of its signed PassKeys, in hexadecimal


@document
@dataclass(frozen=True)
class Ready:
    """R: the node's transcript hash, which its signature covers, and its nonce."""

    run: str
    pass_id: str
    node: str
    transcript: str
    nonce: str


@document
@dataclass(frozen=True)
class PeerKey:
    """What a node keeps of another node's PassKeys, in roster order; its own entry is among them."""

    node: str
    mask_key: str
    nonce_commitment: str
    held_share: str = field(repr=False)


@document
@dataclass(frozen=True)
class ReadySecret:
    """What a node knows from R to the end of the pass; it follows from its `PassSecret` and the keys of all nodes."""

    run: str
    pass_id: str
    node: str
    roster: tuple[Member, ...]
    threshold: int
    transcript: str
    peers: tuple[PeerKey, ...]
    mask_private: str = field(repr=False)
    seed: str = field(repr=False)


@document
@dataclass(frozen=True)
class Complete:
    """C: every masked word of this transcript is out."""

    run: str
    pass_id: str
    node: str
    transcript: str
    complete: bool


@document
@dataclass(frozen=True)
class HeldShare:
    """A share of one node's self-mask seed."""

    of: str
    value: str = field(repr=False)


@document
@dataclass(frozen=True)
class SeedShares:
    """U: the shares that a node holds of all nodes' self-mask seeds."""

    run: str
    pass_id: str
    node: str
    transcript: str
    shares: tuple[HeldShare, ...]
