"""A transport that waits for nodes: retries with full jitter until `--wait` is over, counts traffic, can be stopped.

Every call of the protocol may be repeated: a node answers a repeated order with the bytes of its first answer.
So a lost answer is asked for again, and a broken byte run goes on where it stopped.
"""

import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from fedstats.arrays import Bytes
from fedstats.errors import Failed, NodeLost, NodeUnreachable, Stopped
from fedstats.identity.signing import Signed
from fedstats.transport.base import Method, OrderAt, StreamMethod, Transport
from fedstats.transport.traffic import Traffic

T = TypeVar("T")

#: A retry waits a random time of at most this; before it grows from half a second, twofold each time.
LONGEST_PAUSE_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.5
SHORTEST_PAUSE_SECONDS = 0.05

#: Codes of NodeUnreachable that waiting does not cure.
FINAL_CODES = frozenset(
    {"CERTIFICATE_EXPIRED", "CERTIFICATE_NOT_YET_VALID", "FOREIGN_CERTIFICATE", "NO_CARD", "CARD_NOT_IN_ROSTER"}
)

#: Code of NodeUnreachable where a node is connected and answers pings, but sends no bytes yet.
SLOW = "SLOW"

#: Told when a node's state changes: node, "waiting", "back" or "slow", and the last error.
OnState = Callable[[str, str, NodeUnreachable | None], None]


def no_state(node: str, state: str, error: NodeUnreachable | None) -> None:
    """Tell nobody."""


@dataclass
class Clock:
    """Time and waiting; tests bring their own."""

    now: Callable[[], float] = time.monotonic
    random: Callable[[], float] = field(default_factory=lambda: random.SystemRandom().random)

    def wait(self, stop: threading.Event, seconds: float) -> None:
        """Wait, or until stopped."""
        stop.wait(seconds)


@dataclass
class PatientTransport:
    """Speaks through `line`, again and again while a node is away.

    Attributes
    ----------
    wait_seconds
        How long a node may be away before NodeLost (it had answered before) or NodeUnreachable is raised.
    """

    line: Transport
    wait_seconds: float
    traffic: Traffic = field(default_factory=Traffic)
    on_state: OnState = no_state
    clock: Clock = field(default_factory=Clock)
    stop: threading.Event = field(default_factory=threading.Event)
    _answered: set[str] = field(default_factory=set)
    _away_since: dict[str, float] = field(default_factory=dict)

    def call(self, node: str, method: Method, order: Signed) -> Signed:
        """The node's signed answer, as soon as it gives one."""
        answer = self._until_answered(node, lambda: self.line.call(node, method, order))
        self.traffic.add(node, sent=_size(order), received=_size(answer), calls=1)
        return answer

    def call_once(self, node: str, method: Method, order: Signed) -> Signed:
        """One attempt: for what may as well be lost, such as an abandonment at a node that is away."""
        answer = self.line.call(node, method, order)
        self.traffic.add(node, sent=_size(order), received=_size(answer), calls=1)
        return answer

    def put(self, node: str, order: Signed, data: Bytes, then: Signed | None = None) -> Signed:
        """Send a byte run, and perhaps an order that needs it, until the node has them."""
        answer = self._until_answered(node, lambda: self.line.put(node, order, data, then))
        sent = _size(order) + len(data) + (0 if then is None else _size(then))
        self.traffic.add(node, sent=sent, received=_size(answer), calls=1)
        return answer

    def fetch(self, node: str, order_at: OrderAt, length: int) -> Iterator[bytes | Signed]:
        """Pieces of a byte run of `length` bytes; after a break it goes on where it stopped.

        A document behind the bytes comes last; where the line broke just before it, it does not come.
        """
        attempt = _Attempt(self, node)
        offset = 0
        while offset < length:
            self.go_on(node)
            method, order = order_at(offset)
            try:
                for piece in self.line.fetch(node, method, order, offset):
                    if isinstance(piece, Signed):
                        self.traffic.add(node, received=_size(piece))
                        yield piece
                        continue
                    offset += len(piece)
                    attempt.succeeded()
                    self.traffic.add(node, received=len(piece))
                    yield piece
                if offset < length:
                    raise NodeUnreachable("the bytes ended early", code="ENDED_EARLY", node=node)
            except NodeUnreachable as error:
                if offset == length:
                    return
                if error.code == SLOW:
                    # Pings are answered (else the connection would be gone): it computes, and is asked again.
                    self.on_state(node, "slow", error)
                    attempt.succeeded()
                else:
                    attempt.failed(error)
            finally:
                self.traffic.add(node, sent=_size(order), calls=1)
        if offset != length:
            raise Failed(f"{offset} bytes came where {length} are due", code="WRONG_LENGTH", node=node)

    def fetch_whole(self, node: str, method: StreamMethod, order: Signed) -> bytes:
        """A byte run that cannot be asked for from an offset; after a break it starts again."""
        data = self._until_answered(node, lambda: b"".join(only_bytes(self.line.fetch(node, method, order, 0))))
        self.traffic.add(node, sent=_size(order), received=len(data), calls=1)
        return data

    def close(self) -> None:
        """Stop waiting and close the line."""
        self.stop.set()
        self.line.close()

    def go_on(self, node: str = "") -> None:
        """Raise Stopped where the run is being stopped; `call_once` goes through all the same, to say goodbye."""
        if self.stop.is_set():
            raise Stopped("the run was stopped", code="STOPPED", node=node)

    def _until_answered(self, node: str, ask: Callable[[], T]) -> T:
        attempt = _Attempt(self, node)
        while True:
            self.go_on(node)
            try:
                answer = ask()
            except NodeUnreachable as error:
                attempt.failed(error)
            else:
                attempt.succeeded()
                return answer

    def known_to_answer(self, nodes: Iterable[str]) -> None:
        """Note nodes that answered before, through another transport or in an earlier part of the run."""
        self._answered.update(nodes)

    def away_seconds(self, node: str, error: NodeUnreachable) -> float:
        """Note a failure; for how long the node has been away. All calls to a node give up at the same moment."""
        now = self.clock.now()
        since = self._away_since.setdefault(node, now)
        if since == now:
            self.on_state(node, "waiting", error)
        return now - since

    def note_back(self, node: str) -> None:
        """Note an answer."""
        self._answered.add(node)
        if self._away_since.pop(node, None) is not None:
            self.on_state(node, "back", None)

    def lost(self, node: str, error: NodeUnreachable) -> NodeUnreachable:
        """What to raise when waiting is over."""
        if error.code in FINAL_CODES or node not in self._answered:
            return error
        return NodeLost(
            f"answered before and has been away for {self.wait_seconds:g} s (--wait): {error.message}",
            code="NODE_LOST",
            hint="Start the agent of this node again and run the same command with --resume.",
            node=node,
        )


@dataclass
class _Attempt:
    """The patience of one call: how often it failed in a row."""

    owner: PatientTransport
    node: str
    failures: int = 0

    def succeeded(self) -> None:
        self.failures = 0
        self.owner.note_back(self.node)

    def failed(self, error: NodeUnreachable) -> None:
        """Wait before the next attempt, or raise when waiting is over."""
        owner = self.owner
        owner.go_on(self.node)
        left = owner.wait_seconds - owner.away_seconds(self.node, error)
        if error.code in FINAL_CODES or left <= 0:
            raise owner.lost(self.node, error) from error
        longest = min(LONGEST_PAUSE_SECONDS, FIRST_PAUSE_SECONDS * 2.0 ** min(self.failures, 10))
        self.failures += 1
        # Full jitter, but never so short that a node that starts is flooded, nor longer than what is left.
        pause = min(max(SHORTEST_PAUSE_SECONDS, longest * owner.clock.random()), left)
        owner.clock.wait(owner.stop, pause)


def only_bytes(pieces: Iterable[bytes | Signed]) -> Iterator[bytes]:
    """A byte run without what comes behind it."""
    return (piece for piece in pieces if not isinstance(piece, Signed))


def _size(signed: Signed) -> int:
    return len(signed.body) + len(signed.signature) + len(signed.kind) + len(signed.signer)
