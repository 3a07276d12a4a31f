"""The node's half of a masked pass: pure functions from secrets and messages to messages and new secrets.

A caller stores the returned secret, or what it is made from, durably before it sends the returned message, and asks
`pass_state.advance` first; then a restart after kill -9 changes nothing. `masking` says what the protocol is and who
learns what.

Who learns what
---------------
Nothing leaves these functions but public keys, encrypted shares, hashes, masked words and, once, seed shares.

Assumes
-------
`Party.roster` was verified by `read_roster`; `PassContext` was made from what this node received and does itself.

Fails if
--------
A secret is used again after the message made from it was sent for other inputs; see `masking`.
"""

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fedstats.documents import digest, encode
from fedstats.errors import ProtocolRefused
from fedstats.identity.checks import repeated
from fedstats.identity.keys import Identity
from fedstats.identity.roster import Roster, threshold
from fedstats.identity.signing import Signed, framed, sign
from fedstats.privacy.agreement import (
    check_completes,
    check_readies,
    commitment_of,
    read_pass_keys,
    read_run_keys,
)
from fedstats.privacy.masking import Masks, pair_stream, self_stream
from fedstats.privacy.messages import (
    COMPLETE,
    PASS_KEYS,
    READY,
    RUN_KEY,
    SEED_SHARES,
    Complete,
    HeldShare,
    Member,
    PassContext,
    PassKeys,
    PassSecret,
    PeerKey,
    Ready,
    ReadySecret,
    RunContext,
    RunKey,
    RunSecret,
    SealedShare,
    SeedShares,
)
from fedstats.privacy.primitives import shamir
from fedstats.privacy.primitives.key_agreement import KEY_BYTES, agree, derive, public_key
from fedstats.privacy.transcript import transcript_hash

RandomBytes = Callable[[int], bytes]

_SHARE = b"fedstats/v1/seed-share@1"
_GCM_NONCE_BYTES = 12


@dataclass(frozen=True)
class Party:
    """A node by itself: its name, the identity that signs for it, and the roster that lies beside it."""

    name: str
    identity: Identity = field(repr=False)
    roster: Roster = field(repr=False)
    allow_two: bool = False  # both nodes' policies say so


def check_run(party: Party, run: RunContext) -> None:
    """Refuse a run roster that is not part of this node's own roster, or too small to hide anybody.

    Raises
    ------
    ProtocolRefused
        WRONG_ROSTER or TOO_FEW_NODES.
    """
    known = {node.name: node.identity for node in party.roster.content.nodes}
    for member in run.roster:
        if known.get(member.name) != member.identity:
            raise ProtocolRefused(
                f"the run roster has a node {member.name!r} whose identity is not in this node's roster.toml.",
                code="WRONG_ROSTER",
            )
    if repeated(member.name for member in run.roster):
        raise ProtocolRefused("the run roster has a node twice.", code="WRONG_ROSTER")
    if Member(party.name, party.identity.public_hex) not in run.roster:
        raise ProtocolRefused(f"the run roster does not have {party.name} itself.", code="WRONG_ROSTER")
    least = 2 if party.allow_two else 3
    if len(run.roster) < least:
        raise ProtocolRefused(
            f"{len(run.roster)} nodes are fewer than the {least} that masked sums need; nothing was sent.",
            code="TOO_FEW_NODES",
        )


def open_run(
    party: Party, run: RunContext, random_bytes: RandomBytes = secrets.token_bytes
) -> tuple[RunSecret, Signed]:
    """Once per run: a fresh channel key, under which peers will encrypt shares to this node."""
    check_run(party, run)
    private = random_bytes(KEY_BYTES)
    message = RunKey(run, party.name, public_key(private).hex())
    return RunSecret(run, party.name, private.hex()), sign(party.identity, RUN_KEY, message)


@dataclass(frozen=True)
class Channels:
    """What a node shares with each of its peers in one run, the same in every pass of it.

    Attributes
    ----------
    keys
        Channel keys of all nodes, by name in roster order.
    agreed
        The secret with each peer, under which shares are sealed for one another.
    """

    run: RunContext
    node: str
    keys: Mapping[str, str]
    agreed: Mapping[str, bytes] = field(repr=False)


def open_channels(party: Party, run: RunContext, run_secret: RunSecret, run_keys: Sequence[Signed]) -> Channels:
    """Once every node's channel key is there: the channels to all peers, after all that can be wrong with a run.

    Raises
    ------
    ProtocolRefused
        What `check_run` and `read_run_keys` raise; TRANSCRIPT_MISMATCH or SWAPPED_KEY.
    """
    check_run(party, run)
    if run_secret.run != run:
        raise ProtocolRefused("the pass belongs to another run, plan or roster.", code="TRANSCRIPT_MISMATCH")
    keys = read_run_keys(run, run_keys)
    if keys[party.name] != public_key(bytes.fromhex(run_secret.channel_private)).hex():
        raise ProtocolRefused(f"the channel key shown for {party.name} is not the one it sent.", code="SWAPPED_KEY")
    peers = {name: key for name, key in keys.items() if name != party.name}
    agreed = {name: _agree(run_secret.channel_private, key) for name, key in peers.items()}
    return Channels(run, party.name, keys, agreed)


def begin_pass(
    party: Party,
    context: PassContext,
    channels: Channels,
    ledger_head: str,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> tuple[PassSecret, Signed]:
    """S: fresh keys and nonce for a pass, and a share of the self-mask seed for each node.

    Of the context only run, pass id, roster and threshold matter here; R binds the rest.
    """
    # 1 The channels are those of this very run
    _check_run_of_pass(context, channels)
    # 2 Fresh secrets of the pass
    mask_private, seed, nonce = (random_bytes(KEY_BYTES) for _ in range(3))
    # 3 The seed in shares, each sealed for one node
    shares = shamir.split(seed, context.threshold, len(context.roster), random_bytes)
    values = {member.name: _share_text(share) for member, share in zip(context.roster, shares, strict=True)}
    sealed = tuple(
        SealedShare(name, _seal(channels, context.pass_id, name, value, random_bytes))
        for name, value in values.items()
        if name != party.name
    )
    # 4 The message, and what is kept until R
    keys = PassKeys(
        context.run,
        context.pass_id,
        party.name,
        public_key(mask_private).hex(),
        commitment_of(seed.hex()),
        commitment_of(nonce.hex()),
        ledger_head,
        sealed,
    )
    kept = PassSecret(
        run=context.run,
        pass_id=context.pass_id,
        node=party.name,
        mask_private=mask_private.hex(),
        seed=seed.hex(),
        nonce=nonce.hex(),
        own_share=values[party.name],
        own_keys=encode(keys).hex(),
    )
    return kept, sign(party.identity, PASS_KEYS, keys)


def make_ready(
    party: Party,
    context: PassContext,
    channels: Channels,
    kept: PassSecret,
    pass_keys: Sequence[Signed],
) -> tuple[ReadySecret, Signed]:
    """R: check what all nodes said in S, open the shares for this node, and sign the transcript hash."""
    # 1 The run and the pass are the ones that this node has keys for
    _check_run_of_pass(context, channels)
    if (kept.run, kept.pass_id) != (context.run, context.pass_id):
        raise ProtocolRefused("this pass is not the one that the keys were made for.", code="REPLAYED")
    # 2 Every node's keys, and its own as it sent them
    said = read_pass_keys(context, pass_keys)
    if next(encode(keys).hex() for keys in said if keys.node == party.name) != kept.own_keys:
        raise ProtocolRefused(f"the keys shown for {party.name} are not the ones it sent.", code="SWAPPED_KEY")
    # 3 The shares that this node holds
    peers = tuple(
        PeerKey(keys.node, keys.mask_key, keys.nonce_commitment, _held_share(channels, keys, kept)) for keys in said
    )
    # 4 The transcript
    transcript = transcript_hash(context, channels.keys, said)
    ready = Ready(context.run, context.pass_id, party.name, transcript, kept.nonce)
    new = ReadySecret(
        run=context.run,
        pass_id=context.pass_id,
        node=party.name,
        roster=context.roster,
        threshold=context.threshold,
        transcript=transcript,
        peers=peers,
        mask_private=kept.mask_private,
        seed=kept.seed,
    )
    return new, sign(party.identity, READY, ready)


def masks_when_all_ready(ready: ReadySecret, readies: Sequence[Signed]) -> Masks:
    """M: the masks of this node, given every node's signature of this node's own transcript hash.

    Raises
    ------
    ProtocolRefused
        TRANSCRIPT_MISMATCH, WRONG_ROSTER, BAD_SIGNATURE, REPLAYED or WRONG_NONCE; then nothing may be sent.
    """
    check_all_ready(ready, readies)
    return _derive_masks(ready)


def check_all_ready(ready: ReadySecret, readies: Sequence[Signed]) -> None:
    """Refuse to go on to M without every node's signature of this node's own transcript hash; raises as M does."""
    commitments = {peer.node: peer.nonce_commitment for peer in ready.peers}
    check_readies((ready.run, ready.pass_id), ready.roster, ready.transcript, commitments, readies)


def sign_complete(party: Party, ready: ReadySecret) -> Signed:
    """C: say, once all masked words of the pass are out, that they are."""
    message = Complete(ready.run, ready.pass_id, party.name, ready.transcript, complete=True)
    return sign(party.identity, COMPLETE, message)


def release_seed_shares(party: Party, ready: ReadySecret, completes: Sequence[Signed]) -> Signed:
    """U: the shares that this node holds of all nodes' self-mask seeds, given t signatures of (T, complete).

    Raises
    ------
    ProtocolRefused
        TOO_FEW_SIGNATURES, TRANSCRIPT_MISMATCH, WRONG_ROSTER, BAD_SIGNATURE or REPLAYED.
    """
    needed = threshold(len(ready.roster))
    check_completes((ready.run, ready.pass_id), ready.roster, ready.transcript, needed, completes)
    shares = tuple(HeldShare(peer.node, peer.held_share) for peer in ready.peers)
    message = SeedShares(ready.run, ready.pass_id, party.name, ready.transcript, shares)
    return sign(party.identity, SEED_SHARES, message)


def _derive_masks(ready: ReadySecret) -> Masks:
    """The streams of all pairs of this node, and its own."""
    pairs = [
        pair_stream(ready.node, peer.node, _agree(ready.mask_private, peer.mask_key), ready.transcript)
        for peer in ready.peers
        if peer.node != ready.node
    ]
    own = self_stream(ready.node, bytes.fromhex(ready.seed), ready.transcript, 1)
    return Masks((*pairs, own))


def _check_run_of_pass(context: PassContext, channels: Channels) -> None:
    """Refuse a pass of another run than the channels are of, or with another threshold than its roster has."""
    if context.threshold != threshold(len(context.roster)):
        raise ProtocolRefused(
            f"a threshold of {context.threshold} is not the {threshold(len(context.roster))} that "
            f"{len(context.roster)} nodes need.",
            code="WRONG_THRESHOLD",
        )
    if channels.run != context.of_run:
        raise ProtocolRefused("the pass belongs to another run, plan or roster.", code="TRANSCRIPT_MISMATCH")


def _share_text(share: shamir.Share) -> str:
    return share.y.to_bytes(shamir.VALUE_BYTES, "big").hex()


def _seal(channels: Channels, pass_id: str, to: str, value: str, random_bytes: RandomBytes) -> str:
    """Encrypt a share for one peer; run, pass and both names are bound to it."""
    cipher, bound = _channel(channels, pass_id, channels.node, to)
    nonce = random_bytes(_GCM_NONCE_BYTES)
    return (nonce + cipher.encrypt(nonce, bytes.fromhex(value), bound)).hex()


def _held_share(channels: Channels, keys: PassKeys, kept: PassSecret) -> str:
    """The share of a node's seed that is meant for this node; of its own seed, the one it kept."""
    if keys.node == kept.node:
        return kept.own_share
    cipher, bound = _channel(channels, keys.pass_id, keys.node, kept.node)
    try:
        sealed = bytes.fromhex(next(share.sealed for share in keys.shares if share.to == kept.node))
        value = cipher.decrypt(sealed[:_GCM_NONCE_BYTES], sealed[_GCM_NONCE_BYTES:], bound)
    except (InvalidTag, ValueError):
        value = b""
    if len(value) != shamir.VALUE_BYTES or int.from_bytes(value, "big") >= shamir.PRIME:
        raise ProtocolRefused(f"the share that {keys.node} sealed for {kept.node} does not open.", code="BAD_SHARE")
    return value.hex()


def _channel(channels: Channels, pass_id: str, sender: str, to: str) -> tuple[AESGCM, bytes]:
    """Cipher from one node to another in one pass, and the bytes it is bound to."""
    bound = framed(_SHARE, channels.run.run.encode(), pass_id.encode(), sender.encode(), to.encode())
    agreed = channels.agreed[to if sender == channels.node else sender]
    return AESGCM(derive(agreed, salt=bytes.fromhex(digest(channels.run)), info=bound)), bound


def _agree(private: str, public: str) -> bytes:
    """Agree on a secret, keys in hexadecimal; a key made so that the result is known to everybody is refused."""
    try:
        return agree(bytes.fromhex(private), bytes.fromhex(public))
    except ValueError:
        raise ProtocolRefused("an X25519 key is of small order: no secret comes of it.", code="SWAPPED_KEY") from None
