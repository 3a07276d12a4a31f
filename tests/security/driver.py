"""One function that plays every party of a masked pass in one process, with a hook wherever somebody could lie.

The messages and checks are the real ones; there is no network. Every secret goes through its stored form between two
steps, as if each node were killed and started again after each of them.
"""

import hashlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from fedstats.documents import decode, encode
from fedstats.identity.keys import Identity, generate_identity
from fedstats.identity.roster import Roster, RosterContent, RosterCoordinator, RosterNode, sign_roster, threshold
from fedstats.identity.signing import Signed, sign_bytes
from fedstats.privacy import masking_coordinator as coordinator
from fedstats.privacy import masking_node as node
from fedstats.privacy.masking import Masks
from fedstats.privacy.messages import Member, PassContext, PassSecret, ReadySecret, RunSecret
from fedstats.privacy.pass_state import PassEvent, PassState, advance
from fedstats.privacy.primitives.stream import Ring
from fedstats.privacy.transcript import with_check_word, without_check_word

S = TypeVar("S")
Signs = list[Signed]

#: Names whose order is not the roster's: signs of pair masks go by name, check words by place in the roster.
NAMES = (
    *("FI", "EE", "SE", "NO", "DK", "IS", "LV", "LT", "PL", "DE"),
    *("NL", "BE", "FR", "ES", "PT", "IT", "AT", "CH", "CZ", "SK"),
)


def drawn(label: str) -> Callable[[int], bytes]:
    """Random bytes that are the same in every run of a test: SHAKE-256 of a label and a counter."""
    counter = 0

    def random_bytes(n_bytes: int) -> bytes:
        nonlocal counter
        counter += 1
        return hashlib.shake_256(f"{label}/{counter}".encode()).digest(n_bytes)

    return random_bytes


@dataclass(frozen=True)
class Federation:
    """Nodes with their identities, the roster they signed, and the coordinator's identity."""

    parties: Mapping[str, node.Party]
    members: tuple[Member, ...]
    roster: Roster
    desk: Identity


def federation_of(n_nodes: int, *, allow_two: bool = False) -> Federation:
    """A federation of the first `n_nodes` names."""
    identities = {name: generate_identity() for name in NAMES[:n_nodes]}
    desk = generate_identity()
    content = RosterContent(
        "test",
        tuple(RosterNode(name, identity.public_hex, 100) for name, identity in identities.items()),
        (RosterCoordinator("desk", desk.public_hex),),
    )
    roster = sign_roster(content, [*identities.values(), desk])
    parties = {name: node.Party(name, one, roster, allow_two) for name, one in identities.items()}
    members = tuple(Member(name, one.public_hex) for name, one in identities.items())
    return Federation(parties, members, roster, desk)


def context_of(federation: Federation, *, pass_id: str = "pass-1", run: str = "run-1") -> PassContext:
    """What every honest node takes a pass to be."""

    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    return PassContext(
        run=run,
        pass_id=pass_id,
        plan_digest=digest("plan"),
        roster=federation.members,
        threshold=threshold(len(federation.members)),
        step="gwas/linear/scan@1",
        schema_digest=digest("schema"),
        codec="fixed/34,words/1",
        privacy="masked",
        parameters_digest=digest("parameters"),
        totals_digest=digest("totals"),
        layout_digest=digest("layout"),
    )


@dataclass
class Hooks:
    """What the coordinator, or whoever sits on the line, shows to each node instead of what was said.

    Each of the list hooks gets the name of the node that is about to read, and the messages for it.
    """

    context: Callable[[str, PassContext], PassContext] = lambda _, context: context
    run_keys: Callable[[str, Signs], Signs] = lambda _, messages: messages
    pass_keys: Callable[[str, Signs], Signs] = lambda _, messages: messages
    readies: Callable[[str, Signs], Signs] = lambda _, messages: messages
    completes: Callable[[str, Signs], Signs] = lambda _, messages: messages
    upload: Callable[[str, Ring], Ring] = lambda _, words: words
    #: Nodes that skip the check before M, as a broken build would.
    careless: Collection[str] = ()
    lost_after_upload: Collection[str] = ()


@dataclass
class Played:
    """All that was said and kept in a pass, as far as it got."""

    run_keys: Signs = field(default_factory=list)
    pass_keys: Signs = field(default_factory=list)
    readies: Signs = field(default_factory=list)
    completes: Signs = field(default_factory=list)
    seed_shares: Signs = field(default_factory=list)
    run_secrets: dict[str, RunSecret] = field(default_factory=dict)
    pass_secrets: dict[str, PassSecret] = field(default_factory=dict)
    ready_secrets: dict[str, ReadySecret] = field(default_factory=dict)
    masks: dict[str, Masks] = field(default_factory=dict)
    uploads: dict[str, Ring] = field(default_factory=dict)
    states: dict[str, PassState] = field(default_factory=dict)
    transcript: str = ""
    total: Ring = field(default_factory=lambda: np.zeros(0, dtype=np.uint64))


def play_pass(
    federation: Federation,
    blocks: Mapping[str, list[Ring]],
    hooks: Hooks | None = None,
    *,
    context: PassContext | None = None,
    played: Played | None = None,
    seed: str = "",
) -> Played:
    """Play a pass of several blocks to its total, shape (word over all blocks,).

    Raises
    ------
    ProtocolRefused, MaskMismatch
        Whatever a party raises; `played` then holds what was said until then.
    """
    hooks, context = hooks or Hooks(), context or context_of(federation)
    played = Played() if played is None else played
    random = {name: drawn(f"{seed}{context.pass_id}{name}") for name in federation.parties}
    views = {name: hooks.context(name, context) for name in federation.parties}
    _say_keys(federation, views, hooks, played, random)
    _say_ready(federation, views, hooks, played)
    _upload(federation, blocks, hooks, played)
    _open(federation, context, hooks, played)
    total = coordinator.sum_uploads(list(played.uploads.values()))
    opened = coordinator.self_masks(context, played.transcript, played.pass_keys, played.seed_shares).apply(total, 0)
    played.total = _read_blocks(opened, [block.size for block in next(iter(blocks.values()))], played, len(blocks))
    return played


def _say_keys(
    federation: Federation,
    views: Mapping[str, PassContext],
    hooks: Hooks,
    played: Played,
    random: Mapping[str, node.RandomBytes],
) -> None:
    for name, party in federation.parties.items():
        run_secret, message = node.open_run(party, views[name].of_run, random[name])
        played.run_secrets[name] = restarted(run_secret)
        played.run_keys.append(message)
    for name, party in federation.parties.items():
        run_keys = hooks.run_keys(name, list(played.run_keys))
        channels = node.open_channels(party, views[name].of_run, played.run_secrets[name], run_keys)
        secret, message = node.begin_pass(party, views[name], channels, f"head-{name}", random[name])
        played.pass_secrets[name] = restarted(secret)
        played.pass_keys.append(message)
        played.states[name] = PassState.KEYED


def _say_ready(federation: Federation, views: Mapping[str, PassContext], hooks: Hooks, played: Played) -> None:
    for name, party in federation.parties.items():
        played.states[name] = advance(played.states[name], PassEvent.READY)
        run_keys = hooks.run_keys(name, list(played.run_keys))
        pass_keys = hooks.pass_keys(name, list(played.pass_keys))
        channels = node.open_channels(party, views[name].of_run, played.run_secrets[name], run_keys)
        secret, message = node.make_ready(party, views[name], channels, played.pass_secrets[name], pass_keys)
        played.ready_secrets[name] = restarted(secret)
        played.readies.append(message)


def _upload(federation: Federation, blocks: Mapping[str, list[Ring]], hooks: Hooks, played: Played) -> None:
    for index, name in enumerate(federation.parties):
        ready = played.ready_secrets[name]
        if name in hooks.careless:
            masks = node._derive_masks(ready)  # what the check before it is for: see the tests that force it
        else:
            masks = node.masks_when_all_ready(ready, hooks.readies(name, list(played.readies)))
        played.masks[name] = masks
        first_word, parts = 0, []
        for number, block in enumerate(blocks[name]):
            words = with_check_word(block, ready.transcript, number, index)
            parts.append(masks.apply(words, first_word))
            first_word += words.size
        played.states[name] = advance(played.states[name], PassEvent.UPLOAD)
        played.uploads[name] = hooks.upload(name, np.concatenate(parts))


def _open(federation: Federation, context: PassContext, hooks: Hooks, played: Played) -> None:
    # The coordinator takes the transcript of the first node: with honest nodes it is the same as its own.
    played.transcript = next(iter(played.ready_secrets.values())).transcript
    present = {name: party for name, party in federation.parties.items() if name not in hooks.lost_after_upload}
    for name, party in present.items():
        played.states[name] = advance(played.states[name], PassEvent.COMMIT)
        played.completes.append(node.sign_complete(party, played.ready_secrets[name]))
    for name, party in present.items():
        shown = hooks.completes(name, list(played.completes))
        message = node.release_seed_shares(party, played.ready_secrets[name], shown)
        played.states[name] = advance(played.states[name], PassEvent.OPEN)
        played.seed_shares.append(message)


def _read_blocks(opened: Ring, sizes: list[int], played: Played, n_nodes: int) -> Ring:
    first_word, parts = 0, []
    for number, size in enumerate(sizes):
        block = opened[first_word : first_word + size + 1]
        parts.append(without_check_word(block, played.transcript, number, n_nodes))
        first_word += size + 1
    return np.concatenate(parts)


def restarted(secret: S) -> S:
    """A secret as a node finds it after kill -9: through its stored form."""
    return decode(type(secret), encode(secret))


def forged_by(identity: Identity, signed: Signed, body: bytes) -> Signed:
    """A message whose body is `body`, with the claimed signer of `signed` but the signature of `identity`."""
    return replace(signed, body=body, signature=sign_bytes(identity, signed.kind, body))


def numbers(federation: Federation, sizes: tuple[int, ...] = (1000, 501, 2), seed: int = 1) -> dict[str, list[Ring]]:
    """Words of every node in blocks, uniform over all of the ring, so that sums wrap around."""
    random = drawn(f"numbers {seed}")
    return {
        name: [np.frombuffer(random(8 * size), dtype=np.uint64).copy() for size in sizes] for name in federation.parties
    }


def plain_total(blocks: Mapping[str, list[Ring]]) -> Ring:
    """The sum that a pass must give, by arithmetic of whole numbers in Python."""
    rows = [np.concatenate(parts).tolist() for parts in blocks.values()]
    return np.array([sum(column) % 2**64 for column in zip(*rows, strict=True)], dtype=np.uint64)
