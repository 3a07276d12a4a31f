"""One pass: its steps S R M C U with all nodes in parallel; where nothing is masked only S and M.

The signed messages of S, R and C are kept before the next step begins, each node's words in a file of their own.
So a coordinator that starts again goes on at the step at which it ended, and a node that is lost after its upload is
not needed again, as long as enough others are there.
A pass that cannot get all words is given up: abandoned at every node that can be reached, and never opened.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fedstats.coordinator.checkpoint import PassFolder, Place
from fedstats.coordinator.encrypted import opened_words
from fedstats.coordinator.nodes import Blob, blob_of
from fedstats.coordinator.parallel import from_all, from_enough
from fedstats.coordinator.receipts import ABANDONED, abandon_everywhere
from fedstats.coordinator.run import Run
from fedstats.coordinator.splitting import PassWork
from fedstats.documents import decode, document, encode
from fedstats.errors import FedstatsError, ProtocolRefused, Stopped
from fedstats.identity.signing import Signed
from fedstats.privacy.masking import Masks
from fedstats.privacy.masking_coordinator import (
    check_enough_complete,
    nonces_when_all_ready,
    self_masks,
    transcript_of,
)
from fedstats.privacy.messages import PassContext
from fedstats.results.files import AtomicFile, write_failure
from fedstats.wire.messages import (
    AbandonOrder,
    Accepted,
    CommitOrder,
    ComputeOrder,
    PassOrder,
    ReadyOrder,
    SignedText,
    UnmaskOrder,
    pass_id,
)
from fedstats.wire.passes import encrypted_bytes, pass_context, plain_transcript, to_be_certified, upload_bytes
from fedstats.wire.signed_text import from_text, to_text

#: What a node answers to any step of a pass that was abandoned there.
ABANDONED_CODE = "ABANDONED"

#: Failures of this machine's disk: the pass stays as it is, and is gone on with once there is space.
LOCAL_CODES = frozenset({"DISK_FULL", "CANNOT_WRITE"})

Messages = dict[str, Signed]
"""One signed message a node, by name."""


@document
@dataclass(frozen=True)
class KeptMessages:
    """The messages of one step as they are kept."""

    by_node: dict[str, SignedText]


@dataclass(frozen=True)
class Opened:
    """A pass whose words are all in and which enough nodes opened.

    Attributes
    ----------
    transcript
        What check words are made from.
    words
        File of each node's words, by node, in roster order.
    masks
        What takes the self masks off the sum; None where nothing is masked.
    opened
        File of the words that the key holder opened; None unless under paillier.
    """

    order: PassOrder
    transcript: str
    words: dict[str, Path]
    masks: Masks | None
    opened: Path | None = None


@dataclass(frozen=True)
class _Agreement:
    """What S and R came to; without messages under plain."""

    transcript: str
    keys: Messages
    readies: Messages


@dataclass(frozen=True)
class _Pass:
    """A pass under way."""

    run: Run
    order: PassOrder
    context: PassContext
    folder: PassFolder
    work: PassWork[Any, Any]
    asks: Blob
    #: Signatures that the words of a node are out, as far as they came behind them.
    completes: Messages = field(default_factory=dict)

    def kept(self, step: str, ask: Callable[[], Messages]) -> Messages:
        """The messages of a step: those that were kept, or else the answers that `ask` brings, kept."""
        body = self.folder.messages(step)
        if body is not None:
            return {name: from_text(text) for name, text in decode(KeptMessages, body).by_node.items()}
        found = self.asked(step, ask)
        texts = {name: to_text(signed) for name, signed in found.items()}
        # Once shares of seeds may be asked for, the pass may be open: that must be known whatever happens.
        self.folder.keep_messages(step, encode(KeptMessages(texts)), synced=step == "C")
        self.run.crash(f"after:{step}")
        return found

    def asked(self, step: str, ask: Callable[[], Messages]) -> Messages:
        """The answers that `ask` brings."""
        self.run.go_on()
        self.run.crash(f"before:{step}")
        return ask()


def open_pass(run: Run, work: PassWork[Any, Any], place: Place) -> Opened:
    """Bring a pass to where its total can be read.

    Raises
    ------
    NodeLost
        A node is needed and stays away. The pass is given up where not all words were in.
    FedstatsError
        A node's refusal or failure; the pass is given up.
    """
    one = _begun(run, work, place)
    try:
        return _opened(one)
    except ProtocolRefused as refusal:
        # A node that was told, in a run with other nodes, that this one is over: nothing was opened, so try anew.
        if refusal.code != ABANDONED_CODE or one.folder.messages("C") is not None:
            raise
    if run.checkpoint.attempt(place) == one.order.attempt:
        _give_up(one)
    return _opened(_begun(run, work, place))


def _begun(run: Run, work: PassWork[Any, Any], place: Place) -> _Pass:
    """The present attempt at a pass."""
    attempt = run.checkpoint.attempt(place)
    order = _order(run, work, place, attempt)
    folder = run.checkpoint.pass_folder(place, attempt)
    if to_be_certified(run.plan, order.step):
        folder.mark_steering()
    return _Pass(run, order, pass_context(run.plan, order), folder, work, blob_of(order.run, "asks", work.blob))


def _opened(one: _Pass) -> Opened:
    try:
        agreed = _agree(one)
        words = _upload(one, agreed)
    except Stopped:
        raise
    except FedstatsError as error:
        if error.node or error.code not in LOCAL_CODES:
            _give_up(one)
        raise
    run, order = one.run, one.order
    encrypted = run.plan.privacy == "paillier"
    opened = opened_words(run, order, one.folder, words, one.work.widths) if encrypted else None
    return Opened(order, agreed.transcript, words, _unmask(one, agreed) if run.masked else None, opened)


def _order(run: Run, work: PassWork[Any, Any], place: Place, attempt: int) -> PassOrder:
    plan = run.plan
    return PassOrder(
        run=plan.run,
        plan=plan.digest,
        scope=place.scope,
        call=place.call,
        attempt=attempt,
        pass_id=pass_id(plan.run, place.scope, place.call, attempt),
        step=work.step.name,
        model=work.model.id,
        asks=work.blob_digest,
        layout=work.layout,
        words=work.words,
        upload_bytes=_upload_bytes(run, work),
        salt=run.salt,
    )


def _upload_bytes(run: Run, work: PassWork[Any, Any]) -> int:
    if run.key_holder is None:
        return upload_bytes(work.words)
    return encrypted_bytes(run.key_holder.modulus, work.widths)


def _agree(one: _Pass) -> _Agreement:
    """S and R: the transcript, and every node's signature of it; under plain nobody signs."""
    run, context = one.run, one.context
    keys = one.kept("S", lambda: from_all(run.names, lambda node: _open_at(one, node)))
    if not run.masked:
        return _Agreement(plain_transcript(context), {}, {})
    transcript = transcript_of(context, run.run_keys, list(keys.values()))
    order = ReadyOrder(run.plan.run, one.order.pass_id, {node: to_text(signed) for node, signed in keys.items()})
    readies = one.kept("R", lambda: from_all(run.names, lambda node: run.nodes.ask_signed(node, "Ready", order)))
    nonces_when_all_ready(context, transcript, list(keys.values()), list(readies.values()))
    return _Agreement(transcript, keys, readies)


def _open_at(one: _Pass, node: str) -> Signed:
    """S at one node: what is asked, then the order; an earlier attempt is abandoned there first."""
    run, order = one.run, one.order
    if order.attempt:
        earlier = pass_id(order.run, order.scope, order.call, order.attempt - 1)
        run.nodes.ask(node, "Abandon", AbandonOrder(order.run, earlier, ABANDONED), Accepted)
    if run.nodes.was_put(node, one.asks):
        try:
            return run.nodes.ask_signed(node, "Open", order)
        except ProtocolRefused as refusal:
            if refusal.code != "NO_BLOB":
                raise
    return run.nodes.put_and_ask(node, one.asks, order)


def _upload(one: _Pass, agreed: _Agreement) -> dict[str, Path]:
    """M: every node's words, whole, in a file of their own."""
    run, order = one.run, one.order
    compute = ComputeOrder(order.run, order.pass_id, {node: to_text(signed) for node, signed in agreed.readies.items()})
    missing = [node for node in run.names if not one.folder.words_file(node).exists()]
    # Beside the words, the messages so far are synced: with both, a node that is lost from here on is not needed again.
    work = {"": one.folder.sync} | {node: partial(_fetch_from, one, node, compute) for node in missing}
    if missing:
        run.go_on()
        run.crash("before:M")
    from_all(work, lambda name: work[name]())
    if missing:
        run.crash("after:M")
    return {node: one.folder.words_file(node) for node in run.names}


def _fetch_from(one: _Pass, node: str, compute: ComputeOrder) -> None:
    """Words of one node; the file has its name once they are on the disk, and they come again where it is lost."""
    run, order = one.run, one.order
    path = one.folder.words_file(node)
    # A name of its own: a thread of a run that failed may still be writing when the run is gone on with.
    own = path.with_suffix(f".{secrets.token_hex(4)}")
    file = AtomicFile(own)
    try:
        for piece in run.nodes.compute_words(node, compute, order.upload_bytes):
            if isinstance(piece, Signed):
                one.completes[node] = piece
            else:
                file.write(piece)
        file.seal()
        file.publish()
        own.replace(path)
    except OSError as error:
        file.abort()
        raise write_failure(path, file.written, error) from error
    except BaseException:
        file.abort()
        raise
    run.crash("mid:M")


def _unmask(one: _Pass, agreed: _Agreement) -> Masks:
    """C and U, with as many nodes as it takes: the self masks of all nodes."""
    run, order, enough = one.run, one.order, one.context.threshold
    commit = CommitOrder(order.run, order.pass_id)

    def commit_at(node: str) -> Signed:
        return run.nodes.ask_signed(node, "Commit", commit)

    def completes_of_enough() -> Messages:
        there = dict(one.completes)
        others = [node for node in run.names if node not in there]
        return there | from_enough(others, commit_at, enough - len(there))

    completes = one.kept("C", completes_of_enough)
    check_enough_complete(one.context, agreed.transcript, list(completes.values()))
    unmask = UnmaskOrder(order.run, order.pass_id, {node: to_text(signed) for node, signed in completes.items()})

    def unmask_at(node: str) -> Signed:
        if node not in completes:  # it came late to C, and may help all the same
            commit_at(node)
        return run.nodes.ask_signed(node, "Unmask", unmask)

    # Not kept: the total follows at once and is, and nodes give these answers again.
    shares = one.asked("U", lambda: from_enough(run.names, unmask_at, enough))
    run.crash("after:U")
    return self_masks(one.context, agreed.transcript, list(agreed.keys.values()), list(shares.values()))


def _give_up(one: _Pass) -> None:
    """Abandon a pass that lacks words: recorded first, so that it is never continued, then told to whom it can be."""
    one.run.checkpoint.next_attempt(one.folder.place)
    abandon_everywhere(one.run, one.order.pass_id)
    one.folder.remove()
