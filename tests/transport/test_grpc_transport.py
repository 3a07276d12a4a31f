"""Calls over real TLS on loopback: what arrives, what is refused, and which exception says so."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from fedstats.documents import document
from fedstats.errors import DisclosureRefused, Failed, NodeUnreachable, ProtocolRefused
from fedstats.identity.card import make_card
from fedstats.identity.keys import Identity, Leaf, generate_identity, generate_leaf
from fedstats.identity.signing import Signed, sign
from fedstats.transport.base import Deadlines
from fedstats.transport.causes import cause_of
from fedstats.transport.grpc_transport import GrpcTransport
from fedstats.transport.patient import FINAL_CODES
from fedstats.transport.pinning import Caller, Peer
from fedstats.wire.envelope import ERROR_KEY, error_to_bytes, from_wire, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2_grpc
from tests.transport.far_away import far_away

MIB = 1 << 20
NOW = datetime(2026, 6, 1, tzinfo=UTC)


@document
@dataclass(frozen=True)
class Word:
    text: str


@dataclass
class Servicer(node_pb2_grpc.NodeServicer):
    """Echoes orders; streams `data`."""

    identity: Identity
    data: bytes = b""
    fail: Callable[[object], None] = lambda context: None
    received: list[bytes] = field(default_factory=list)

    def Describe(self, request, context):  # type: ignore[no-untyped-def]  # gRPC's signature
        self.fail(context)
        return to_wire(sign(self.identity, "Word", Word(from_wire(request).kind)))

    def Put(self, request_iterator, context):  # type: ignore[no-untyped-def]
        next(request_iterator)
        self.received.append(b"".join(parcel.piece.data for parcel in request_iterator))
        return to_wire(sign(self.identity, "Word", Word("stored")))

    def Fetch(self, request, context):  # type: ignore[no-untyped-def]
        yield from pieces([self.data])
        self.fail(context)


@dataclass
class Party:
    identity: Identity
    leaf: Leaf


def party(name: str, *, now: datetime | None = None) -> Party:
    return Party(generate_identity(), generate_leaf(name, now=now))


@dataclass
class Wired:
    node: Party
    coordinator: Party
    servicer: Servicer
    address: str

    def transport(self, **given: object) -> GrpcTransport:
        card = make_card(self.node.identity, self.node.leaf, "FI")
        own = make_card(self.coordinator.identity, self.coordinator.leaf, "C", role="coordinator")
        peer = Peer("FI", self.address, card, self.node.identity.public_hex)
        return GrpcTransport(Caller(self.coordinator.leaf, own), {"FI": peer}, **given)  # type: ignore[arg-type]


@pytest.fixture
def wired() -> Iterator[Wired]:
    node, coordinator = party("FI"), party("C")
    servicer = Servicer(node.identity)
    server = grpc.server(ThreadPoolExecutor(4))
    node_pb2_grpc.add_NodeServicer_to_server(servicer, server)
    credentials = grpc.ssl_server_credentials(
        [(node.leaf.private_pem, node.leaf.certificate_pem)],
        root_certificates=coordinator.leaf.certificate_pem,
        require_client_auth=True,
    )
    port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    yield Wired(node, coordinator, servicer, f"127.0.0.1:{port}")
    server.stop(0).wait()


def order(wired: Wired) -> Signed:
    return sign(wired.coordinator.identity, "DescribeOrder", Word("who is there?"))


def test_answer_is_the_signed_document_of_the_node(wired: Wired) -> None:
    answer = wired.transport().call("FI", "Describe", order(wired))

    assert answer == sign(wired.node.identity, "Word", Word("DescribeOrder"))


def test_a_node_far_away_answers_the_first_call(wired: Wired) -> None:
    """The handshake alone goes both ways three times: 1.2 s here, more than any line in Europe takes."""
    with far_away(wired.address, 0.2) as address:
        answer = replace(wired, address=address).transport().call("FI", "Describe", order(wired))

    assert answer == sign(wired.node.identity, "Word", Word("DescribeOrder"))


def test_byte_runs_arrive_whole_in_both_directions(wired: Wired) -> None:
    data = bytes(range(256)) * (3 * MIB // 256) + b"end"
    wired.servicer.data = data
    transport = wired.transport()

    transport.put("FI", order(wired), data)
    fetched = list(transport.fetch("FI", "Fetch", order(wired), 0))

    assert wired.servicer.received == [data]
    assert b"".join(fetched) == data
    assert len(fetched) == 4


def test_refusal_of_a_node_is_the_same_exception_here(wired: Wired) -> None:
    def refuse(context: grpc.ServicerContext) -> None:
        error = DisclosureRefused("too few people", code="MIN_PEOPLE", hint="widen the trait")
        context.set_trailing_metadata(((ERROR_KEY, error_to_bytes(error, "FI", "7")),))
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "refused")

    wired.servicer.fail = refuse

    with pytest.raises(DisclosureRefused, match="too few people") as caught:
        wired.transport().call("FI", "Describe", order(wired))
    assert (caught.value.code, caught.value.node, caught.value.hint) == ("MIN_PEOPLE", "FI", "widen the trait")


def test_error_in_the_middle_of_a_stream_keeps_what_came(wired: Wired) -> None:
    wired.servicer.data = bytes(2 * MIB)
    wired.servicer.fail = lambda context: context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
    stream = wired.transport().fetch("FI", "Fetch", order(wired), 0)

    came = [len(next(stream)), len(next(stream))]

    assert came == [MIB, MIB]
    with pytest.raises(NodeUnreachable, match="nobody answers"):
        next(stream)


def test_piece_out_of_place_is_refused(wired: Wired) -> None:
    wired.servicer.data = bytes(10)

    with pytest.raises(ProtocolRefused, match="out of place"):
        list(wired.transport().fetch("FI", "Fetch", order(wired), 5))


def test_nobody_at_the_address_is_unreachable_and_names_node_and_address(wired: Wired) -> None:
    wired.address = "127.0.0.1:1"

    with pytest.raises(NodeUnreachable, match=r"FI: nobody answers at 127\.0\.0\.1:1"):
        wired.transport().call("FI", "Describe", order(wired))


def test_a_name_that_does_not_resolve_is_said_and_is_no_foreign_certificate(wired: Wired) -> None:
    wired.address = "no such name:7401"

    with pytest.raises(
        NodeUnreachable, match="nobody answers at no such name:7401: the name does not resolve"
    ) as caught:
        wired.transport().call("FI", "Describe", order(wired))
    assert caught.value.code == "UNRESOLVED"
    assert caught.value.code not in FINAL_CODES  # a run waits for a name service that is away for a while


@pytest.mark.parametrize(
    ("details", "code", "words"),
    [
        ("ipv4:10.0.0.1:9: Failed to connect to remote host: Connection refused", "UNAVAILABLE", "connection refused"),
        ("Failed to connect to remote host: Timeout occurred: FD Shutdown", "NO_CONNECTION", "no connection in time"),
        ("Handshake read failed (Endpoint closing)", "NO_CONNECTION", "no connection in time"),
        ("Failed to connect to remote host: No route to host", "NO_ROUTE", "no way leads there"),
        ("Tls handshake failed: OPENSSL_internal:WRONG_VERSION_NUMBER", "NOT_TLS", "does not speak TLS"),
        ("Handshake read failed (recvmsg:Connection reset by peer)", "CLOSED", "the connection was closed"),
        ("Socket closed", "CLOSED", "the connection was closed"),
        ("Hostname Verification Check failed.", "FOREIGN_CERTIFICATE", ""),
        ("restarting", "UNAVAILABLE", ""),
    ],
)
def test_what_grpc_says_becomes_a_cause(details: str, code: str, words: str) -> None:
    cause = cause_of(details)

    assert cause.code == code
    assert words in cause.words
    assert bool(cause.words) == bool(words)


def test_other_certificate_than_on_the_card_is_foreign_and_names_the_node(wired: Wired) -> None:
    wired.node = Party(wired.node.identity, generate_leaf("FI"))

    with pytest.raises(NodeUnreachable, match=r"does not show the certificate of FI\.card") as caught:
        wired.transport().call("FI", "Describe", order(wired))
    assert caught.value.code == "FOREIGN_CERTIFICATE"


def test_own_certificate_that_the_node_does_not_trust_shows_as_a_hint(wired: Wired) -> None:
    wired.coordinator = party("C")

    with pytest.raises(NodeUnreachable) as caught:
        wired.transport().call("FI", "Describe", order(wired))
    assert "trusted your card" in caught.value.hint


@pytest.mark.parametrize(("own", "said"), [(True, "your own certificate is expired"), (False, "FI's certificate")])
def test_expired_certificate_is_named_before_dialling(wired: Wired, *, own: bool, said: str) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=400)
    if own:
        wired.coordinator = Party(wired.coordinator.identity, generate_leaf("C", now=long_ago))
    else:
        wired.node = Party(wired.node.identity, generate_leaf("FI", now=long_ago))
    wired.address = "127.0.0.1:1"  # were it dialled, the message would be another

    with pytest.raises(NodeUnreachable, match=said) as caught:
        wired.transport().call("FI", "Describe", order(wired))
    assert caught.value.code == "CERTIFICATE_EXPIRED"


def test_own_leaf_that_is_not_on_the_own_card_is_named_before_dialling(wired: Wired) -> None:
    transport = wired.transport()
    transport.caller = Caller(generate_leaf("C"), transport.caller.card)

    with pytest.raises(NodeUnreachable, match="your own certificate is not the one on your card"):
        transport.call("FI", "Describe", order(wired))


def test_card_of_another_identity_is_refused_before_dialling(wired: Wired) -> None:
    transport = wired.transport()
    peer = transport.peers["FI"]
    transport.peers = {"FI": Peer("FI", peer.address, peer.card, generate_identity().public_hex)}

    with pytest.raises(NodeUnreachable, match="another identity than the roster names"):
        transport.call("FI", "Describe", order(wired))


def test_node_that_hangs_counts_as_away_after_the_deadline(wired: Wired) -> None:
    over = threading.Event()
    wired.servicer.fail = lambda context: over.wait(5)
    wired.servicer.data = bytes(10)
    transport = wired.transport(deadlines=Deadlines(control_seconds=0.3, chunk_seconds=0.3))
    started = time.monotonic()

    with pytest.raises(NodeUnreachable, match="no answer in time"):
        transport.call("FI", "Describe", order(wired))
    with pytest.raises(NodeUnreachable, match="sent nothing for") as slow:
        list(transport.fetch("FI", "Fetch", order(wired), 0))

    over.set()
    assert slow.value.code == "SLOW"
    assert time.monotonic() - started < 4


def test_call_on_an_older_node_says_so(wired: Wired) -> None:
    with pytest.raises(Failed, match="another version"):
        wired.transport().call("FI", "Survey", order(wired))


def test_calls_from_many_threads_share_one_channel(wired: Wired) -> None:
    transport = wired.transport()

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: transport.call("FI", "Describe", order(wired)), range(32)))

    assert len({answer.signature for answer in answers}) == 1
    assert len(transport._channels) == 1
    transport.close()
