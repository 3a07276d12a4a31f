"""Waiting for nodes: how long, how often, and what is said when waiting is over."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from fedstats.errors import DisclosureRefused, Failed, NodeLost, NodeUnreachable, Stopped
from fedstats.identity.signing import Signed
from fedstats.transport.patient import Clock, PatientTransport

ORDER = Signed("Order", "aa" * 32, b"order", b"s" * 64)
ANSWER = Signed("Answer", "bb" * 32, b"answer", b"s" * 64)


class FakeClock(Clock):
    """Time passes by waiting only; every pause is as long as jitter lets it be."""

    def __init__(self) -> None:
        self.time, self.pauses = 0.0, []
        super().__init__(now=lambda: self.time, random=lambda: 1.0)

    def wait(self, stop: threading.Event, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


@dataclass
class Line:
    """Fails the first calls; streams break after each piece in `breaks`."""

    fails: int = 0
    error: NodeUnreachable = field(default_factory=lambda: NodeUnreachable("nobody answers", node="FI"))
    data: bytes = b""
    piece: int = 3
    offsets: list[int] = field(default_factory=list)
    calls: int = 0

    def call(self, node: str, method: str, order: Signed) -> Signed:
        self.calls += 1
        if self.fails:
            self.fails -= 1
            raise self.error
        return ANSWER

    def put(self, node: str, order: Signed, data: bytes, then: Signed | None = None) -> Signed:
        return self.call(node, "Put", order)

    def fetch(self, node: str, method: str, order: Signed, offset: int) -> Iterator[bytes]:
        self.offsets.append(offset)
        yield self.data[offset : offset + self.piece]
        if self.fails:
            self.fails -= 1
            raise self.error
        yield self.data[offset + self.piece :]

    def close(self) -> None:
        pass


@dataclass
class LineWithMoreBehind(Line):
    """One whose byte runs have a document behind them; the line breaks just before it as often as `fails` says."""

    def fetch(self, node: str, method: str, order: Signed, offset: int) -> Iterator[bytes | Signed]:
        self.offsets.append(offset)
        yield self.data[offset:]
        if self.fails:
            self.fails -= 1
            raise self.error
        yield ANSWER


def test_a_document_behind_a_byte_run_comes_last() -> None:
    transport, _ = patient(LineWithMoreBehind(data=b"0123456789"))

    assert list(transport.fetch("FI", order_at, 10)) == [b"0123456789", ANSWER]
    assert transport.traffic.bytes_received["FI"] > 10 + len(ANSWER.signature)


def test_bytes_that_are_whole_are_not_waited_for_again_where_the_line_breaks_before_the_document() -> None:
    line = LineWithMoreBehind(fails=1, data=b"0123456789")
    transport, clock = patient(line)

    assert list(transport.fetch("FI", order_at, 10)) == [b"0123456789"]
    assert (line.offsets, clock.pauses) == ([0], [])


def order_at(offset: int) -> tuple[str, Signed]:
    return "Fetch" if offset else "Compute", ORDER


def patient(line: Line, wait_seconds: float = 100.0) -> tuple[PatientTransport, FakeClock]:
    clock = FakeClock()
    return PatientTransport(line, wait_seconds, clock=clock), clock


def test_pauses_double_from_half_a_second_and_stay_below_thirty() -> None:
    transport, clock = patient(Line(fails=9), wait_seconds=1000)

    assert transport.call("FI", "Open", ORDER) == ANSWER
    assert clock.pauses == [0.5, 1, 2, 4, 8, 16, 30, 30, 30]


def test_last_pause_ends_when_waiting_is_over() -> None:
    transport, clock = patient(Line(fails=99), wait_seconds=10)

    with pytest.raises(NodeUnreachable):
        transport.call("FI", "Open", ORDER)
    assert clock.time == 10


def test_node_that_never_answered_is_unreachable_and_one_that_did_is_lost() -> None:
    line = Line()
    transport, _ = patient(line)
    never, _ = patient(Line(fails=99))
    transport.call("FI", "Open", ORDER)
    line.fails = 99

    with pytest.raises(NodeLost, match=r"away for 100 s \(--wait\)") as lost:
        transport.call("FI", "Open", ORDER)
    with pytest.raises(NodeUnreachable) as unreachable:
        never.call("FI", "Open", ORDER)
    assert "--resume" in lost.value.hint
    assert not isinstance(unreachable.value, NodeLost)


def test_all_calls_to_a_node_give_up_at_the_same_moment() -> None:
    transport, clock = patient(Line(fails=99), wait_seconds=10)
    with pytest.raises(NodeUnreachable):
        transport.call("FI", "Open", ORDER)
    paused = len(clock.pauses)

    with pytest.raises(NodeUnreachable):
        transport.call("FI", "Ready", ORDER)
    assert len(clock.pauses) == paused


def test_patience_is_full_again_after_an_answer() -> None:
    line = Line(fails=3)
    transport, clock = patient(line, wait_seconds=10)
    transport.call("FI", "Open", ORDER)
    line.fails, clock.pauses[:] = 3, []

    assert transport.call("FI", "Open", ORDER) == ANSWER
    assert clock.pauses == [0.5, 1, 2]


@pytest.mark.parametrize("error", [DisclosureRefused("no"), Failed("broken")])
def test_refusals_and_failures_are_not_asked_again(error: Exception) -> None:
    line = Line(fails=9, error=error)  # type: ignore[arg-type]  # any error of a node
    transport, _ = patient(line)

    with pytest.raises(type(error)):
        transport.call("FI", "Open", ORDER)
    assert line.calls == 1


def test_expired_certificate_is_not_waited_for() -> None:
    line = Line(fails=9, error=NodeUnreachable("expired", code="CERTIFICATE_EXPIRED", node="FI"))
    transport, clock = patient(line)

    with pytest.raises(NodeUnreachable, match="expired"):
        transport.call("FI", "Open", ORDER)
    assert clock.pauses == []


def test_broken_byte_run_goes_on_where_it_stopped() -> None:
    line = Line(fails=2, data=b"0123456789")
    transport, _ = patient(line)

    pieces = list(transport.fetch("FI", order_at, 10))

    assert b"".join(pieces) == b"0123456789"
    assert line.offsets == [0, 3, 6]


def test_slow_node_is_asked_again_without_counting_as_away() -> None:
    line = Line(fails=3, error=NodeUnreachable("nothing yet", code="SLOW", node="FI"), data=b"0123456789", piece=0)
    transport, clock = patient(line, wait_seconds=0)

    assert b"".join(transport.fetch("FI", order_at, 10)) == b"0123456789"
    assert clock.pauses == []


def test_byte_run_that_is_too_long_is_refused() -> None:
    transport, _ = patient(Line(data=b"0123456789"))

    with pytest.raises(Failed, match="10 bytes came where 9 are due"):
        list(transport.fetch("FI", order_at, 9))


def test_byte_run_without_offset_starts_again() -> None:
    line = Line(fails=1, data=b"0123456789")
    transport, _ = patient(line)

    assert transport.fetch_whole("FI", "Availability", ORDER) == b"0123456789"
    assert line.offsets == [0, 0]


def test_stopped_transport_ends_calls_but_still_says_goodbye() -> None:
    transport, _ = patient(Line())
    transport.close()

    with pytest.raises(Stopped):
        transport.call("FI", "Open", ORDER)
    assert transport.call_once("FI", "Abandon", ORDER) == ANSWER


def test_stop_ends_a_wait_at_once() -> None:
    transport = PatientTransport(Line(fails=10**9), 3600)
    threading.Timer(0.1, transport.close).start()

    with pytest.raises(Stopped):
        transport.call("FI", "Open", ORDER)


def test_traffic_counts_calls_and_bytes_by_node() -> None:
    transport, _ = patient(Line(data=b"0123456789"))

    transport.put("FI", ORDER, b"x" * 1000)
    list(transport.fetch("FI", order_at, 10))

    order, answer = 5 + 64 + 64 + 5, 6 + 64 + 64 + 6  # body, signature, signer and kind
    assert transport.traffic.bytes_sent["FI"] == 1000 + 2 * order
    assert transport.traffic.bytes_received["FI"] == answer + 10
    assert transport.traffic.calls["FI"] == 2
