"""Too much, too often, or no message at all: a call ends early with a documented error, and the agent goes on."""

import gzip
import hashlib
import threading
import zlib
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import numpy as np
import pytest

from fedstats.errors import FedstatsError, NodeUnreachable
from fedstats.identity.signing import Signed, sign, sign_bytes
from fedstats.serving.orders import request_digest
from fedstats.serving.room import Room
from fedstats.serving.server import MOST_CALLS, Caller, servicer
from fedstats.transport.patient import FINAL_CODES
from fedstats.wire.blobs import PURPOSES
from fedstats.wire.envelope import to_wire
from fedstats.wire.generated.fedstats.v1 import node_pb2, node_pb2_grpc
from fedstats.wire.messages import BlobOrder, DescribeOrder
from node_agent.agent import HANDLERS, STREAMS, Agent
from node_agent.blob_folder import LARGEST_BLOB
from node_agent.node import Node
from tests.attacks.attacker import ON, attacked, entries, plan_of, refused, spent
from tests.docs.refusal_codes import documented
from tests.node_agent.driver import COUNTING, Driver, Line, driven, unwrapped
from tests.node_agent.sites import make_federation

MEBIBYTE = 1 << 20
#: More bytes than anybody has memory for.
BOUNDLESS = 1 << 62
#: Some changed plans are plans still: of another run, or made at another time.
ANSWERED = ""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Agents behind real gRPC with mutual TLS."""
    with driven(make_federation(tmp_path_factory.mktemp("served"))) as driver:
        yield driver


@pytest.fixture
def line(served: Driver) -> Line:
    return served.lines["FI"]


def greeting(driver: Driver) -> Signed:
    return sign(driver.federation.coordinator, "DescribeOrder", DescribeOrder("test", "", "nonce"))


def still_answers(driver: Driver, line: Line) -> bool:
    return line.call("Describe", greeting(driver)).kind == "Catalogue"


def stub_with(line: Line, compression: grpc.Compression) -> tuple[grpc.Channel, node_pb2_grpc.NodeStub]:
    """A second connection, which sends whatever size and compresses it."""
    leaf = line.federation.leaf
    credentials = grpc.ssl_channel_credentials(line.site.leaf_pem, leaf.private_pem, leaf.certificate_pem)
    options = (("grpc.ssl_target_name_override", line.site.name), ("grpc.max_send_message_length", -1))
    channel = grpc.secure_channel(f"127.0.0.1:{line.port}", credentials, options, compression)
    return channel, node_pb2_grpc.NodeStub(channel)


# One message


@pytest.mark.parametrize(
    ("compression", "size"), [(grpc.Compression.NoCompression, 5), (grpc.Compression.Gzip, 64)], ids=["large", "bomb"]
)
def test_a_message_that_is_too_large_ends_the_call_before_it_is_read(
    served: Driver, line: Line, compression: grpc.Compression, size: int
):
    before, budgets = entries(served, "FI"), spent_over_grpc(served)
    channel, stub = stub_with(line, compression)
    huge = replace(greeting(served), body=bytes(size * MEBIBYTE))

    with channel, pytest.raises(grpc.RpcError) as caught:
        stub.Describe(to_wire(huge), timeout=30)

    assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert (entries(served, "FI"), spent_over_grpc(served)) == (before, budgets)
    assert still_answers(served, line)


def spent_over_grpc(driver: Driver) -> list[str]:
    """Kinds of entries that a run would have made at a node."""
    return [kind for kind, _ in entries(driver, "FI") if kind in ("begun", "charged", "chunk")]


def test_a_message_within_the_limit_is_read(served: Driver, line: Line):
    channel, stub = stub_with(line, grpc.Compression.Gzip)
    large = replace(greeting(served), body=bytes(3 * MEBIBYTE))

    with channel, pytest.raises(grpc.RpcError) as caught:
        stub.Describe(to_wire(large), timeout=30)

    assert unwrapped(caught.value).code == "BAD_SIGNATURE"  # type: ignore[attr-defined]  # an error of ours


def test_a_blob_that_is_announced_too_large_is_refused_before_its_bytes(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        agent = driver.lines["FI"].agent  # type: ignore[attr-defined]  # lines without a network have one
        for purpose in PURPOSES:
            order = BlobOrder("run-1", purpose, "0" * 64, LARGEST_BLOB[purpose])
            agent.announced(sign(driver.federation.coordinator, "BlobOrder", order))

            more = replace(order, length=order.length + 1)
            with refused(driver, "FI", "MALFORMED"):
                agent.announced(sign(driver.federation.coordinator, "BlobOrder", more))


def test_more_bytes_than_announced_end_the_call(served: Driver, line: Line):
    order = sign(served.federation.coordinator, "BlobOrder", BlobOrder("run-1", "panel", "0" * 64, 10))
    taken, before = 0, len(entries(served, "FI"))

    def parcels() -> Iterator[node_pb2.Parcel]:
        nonlocal taken
        yield node_pb2.Parcel(order=to_wire(order))
        for number in range(1000):
            taken += 1
            yield node_pb2.Parcel(piece=piece_of(bytes(MEBIBYTE), number * MEBIBYTE))

    with pytest.raises(grpc.RpcError) as caught:
        line.stub.Put(parcels(), timeout=30)

    assert unwrapped(caught.value).code == "DAMAGED_BLOB"  # type: ignore[attr-defined]  # an error of ours
    assert [(kind, body["code"]) for kind, body in entries(served, "FI")[before:]] == [("refused", "DAMAGED_BLOB")]
    # What is on its way when the call ends is bounded by gRPC's windows, not by the sender.
    assert taken < 100


def piece_of(data: bytes, offset: int) -> node_pb2.Piece:
    return node_pb2.Piece(data=data, offset=offset, crc32=zlib.crc32(data))


# Damaged on the line


DAMAGED = {
    "nothing": ([], "MALFORMED"),
    "no order": ([node_pb2.Parcel(piece=piece_of(b"0123456789", 0))], "MALFORMED"),
    "another place": ([None, node_pb2.Parcel(piece=piece_of(b"0123456789", 1))], "DAMAGED_PIECE"),
    "another check": ([None, node_pb2.Parcel(piece=node_pb2.Piece(data=b"0123456789", crc32=0))], "DAMAGED_PIECE"),
    "an empty piece": ([None, node_pb2.Parcel(piece=piece_of(b"", 0))], "DAMAGED_PIECE"),
    "the order twice": ([None, None], "DAMAGED_PIECE"),
    "too few bytes": ([None, node_pb2.Parcel(piece=piece_of(b"0123", 0))], "DAMAGED_BLOB"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_an_upload_that_is_damaged_on_the_line_is_refused_and_the_ledger_says_so(served: Driver, line: Line, what: str):
    content, code = DAMAGED[what]
    announced = BlobOrder("run-1", "panel", hashlib.sha256(b"0123456789").hexdigest(), 10)
    order = sign(served.federation.coordinator, "BlobOrder", announced)
    before = len(entries(served, "FI"))

    with pytest.raises(grpc.RpcError) as caught:
        line.stub.Put(iter([one or node_pb2.Parcel(order=to_wire(order)) for one in content]), timeout=30)

    assert unwrapped(caught.value).code == code  # type: ignore[attr-defined]  # an error of ours
    request = request_digest(order) if None in content else ""
    said = [(kind, body["method"], body["code"], body["request"]) for kind, body in entries(served, "FI")[before:]]
    assert said == [("refused", "Put", code, request)]


# Many messages


def test_more_calls_at_once_than_a_node_serves_are_turned_away_and_it_goes_on(served: Driver, line: Line):
    release = threading.Event()

    def parcels() -> Iterator[node_pb2.Parcel]:
        release.wait(30)
        yield from ()

    asked = MOST_CALLS + 16
    with ThreadPoolExecutor(asked) as pool:
        calls = [pool.submit(status_of_put, line, parcels()) for _ in range(asked)]
        ended = as_completed(calls, timeout=30)
        # These end while all others are held open.
        turned_away = [next(ended).result() for _ in range(asked - MOST_CALLS)]
        release.set()
        statuses = [call.result() for call in calls]

    assert set(turned_away) == {grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert 0 < statuses.count(grpc.StatusCode.INVALID_ARGUMENT) <= MOST_CALLS
    assert set(statuses) == {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert still_answers(served, line)


def status_of_put(line: Line, parcels: Iterator[node_pb2.Parcel]) -> grpc.StatusCode:
    try:
        line.stub.Put(parcels, timeout=60)
    except grpc.RpcError as error:
        return error.code()  # type: ignore[attr-defined,no-any-return]  # calls are errors with a status
    return grpc.StatusCode.OK


def test_runs_without_end_are_refused_when_the_projects_queries_are_spent(tmp_path: Path):
    with attacked(tmp_path, ON + "max_queries = 2\n") as driver:
        for run in ("run-1", "run-2"):
            driver.begin(plan_of(driver, run, (COUNTING,)))
        third = plan_of(driver, "run-3", (COUNTING,))
        driver.put_blobs(third)

        with refused(driver, "FI", "POLICY_MAX_QUERIES"):
            driver.lines["FI"].call("Propose", third)


# What they cost where a bound is off


@dataclass(frozen=True)
class Watched(Agent):
    """An agent that says what reached it."""

    bodies: list[int] = field(default_factory=list)
    blobs: list[int] = field(default_factory=list)
    announcements: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def call(self, method: str, order: Signed) -> Signed:
        self.bodies.append(len(order.body))
        return super().call(method, order)

    def announced(self, order: Signed) -> BlobOrder:
        found = super().announced(order)
        self.announcements.release()
        return found

    def put(self, order: Signed, data: bytes) -> Signed:
        self.blobs.append(len(data))
        return super().put(order, data)


class Boundless(Watched):
    """One that lets as many bytes come as like to, whatever was announced."""

    def announced(self, order: Signed) -> BlobOrder:
        return replace(super().announced(order), length=BOUNDLESS)


@contextmanager
def served_wide(
    agent: Agent, calls: int, limits: Mapping[str, int], most: int | None, room: int = BOUNDLESS
) -> Iterator[node_pb2_grpc.NodeStub]:
    """An agent behind a server of the same methods with other limits; without TLS, which bounds nothing here."""
    server = grpc.server(ThreadPoolExecutor(calls), maximum_concurrent_rpcs=most, options=tuple(limits.items()))
    methods = servicer(node_pb2_grpc.NodeServicer, Caller(agent, Room(room)), HANDLERS, STREAMS)
    node_pb2_grpc.add_NodeServicer_to_server(methods, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    options = (("grpc.max_send_message_length", -1),)
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}", options, compression=grpc.Compression.Gzip) as channel:
            yield node_pb2_grpc.NodeStub(channel)
    finally:
        server.stop(0).wait()


@pytest.fixture
def node(tmp_path: Path) -> Iterator[tuple[Driver, Node]]:
    with attacked(tmp_path, ON) as driver:
        yield driver, driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one


@pytest.mark.parametrize(("limit", "read"), [(-1, [32 * MEBIBYTE]), (4 * MEBIBYTE, [])])
def test_a_small_message_is_unpacked_into_a_large_one_unless_its_size_is_bounded(
    node: tuple[Driver, Node], limit: int, read: list[int]
):
    driver, agent = node[0], Watched(node[1])
    bomb = to_wire(replace(greeting(driver), body=bytes(32 * MEBIBYTE)))
    assert len(gzip.compress(bomb.SerializeToString())) < MEBIBYTE // 16

    with served_wide(agent, 1, {"grpc.max_receive_message_length": limit}, 1) as stub, pytest.raises(grpc.RpcError):
        stub.Describe(bomb, timeout=30)

    assert agent.bodies == read


@pytest.mark.parametrize(("kind", "taken"), [(Boundless, 8 * MEBIBYTE), (Watched, MEBIBYTE)])
def test_more_bytes_than_announced_fill_memory_unless_they_are_counted(
    node: tuple[Driver, Node], kind: type[Watched], taken: int
):
    driver, agent = node[0], kind(node[1])
    order = sign(driver.federation.coordinator, "BlobOrder", BlobOrder("run-1", "panel", "0" * 64, 10))
    pieces = [node_pb2.Parcel(piece=piece_of(bytes(MEBIBYTE), number * MEBIBYTE)) for number in range(8)]

    with served_wide(agent, 1, {}, 1) as stub, pytest.raises(grpc.RpcError) as caught:
        stub.Put(iter([node_pb2.Parcel(order=to_wire(order)), *pieces]), timeout=30)

    assert unwrapped(caught.value).code == "DAMAGED_BLOB"  # type: ignore[attr-defined]  # an error of ours
    assert agent.blobs == [taken]


@pytest.mark.parametrize(
    ("most", "seconds", "status"),
    [(None, 1, grpc.StatusCode.DEADLINE_EXCEEDED), (2, 30, grpc.StatusCode.RESOURCE_EXHAUSTED)],
)
def test_calls_that_are_held_open_keep_others_waiting_unless_their_number_is_bounded(
    node: tuple[Driver, Node], most: int | None, seconds: float, status: grpc.StatusCode
):
    driver, agent = node[0], Watched(node[1])
    order = sign(driver.federation.coordinator, "BlobOrder", BlobOrder("run-1", "panel", "0" * 64, 10))
    release = threading.Event()

    def parcels() -> Iterator[node_pb2.Parcel]:
        yield node_pb2.Parcel(order=to_wire(order))
        release.wait(120)

    with served_wide(agent, 2, {}, most) as stub:
        held = [stub.Put.future(parcels(), timeout=120) for _ in range(2)]
        assert all(agent.announcements.acquire(timeout=60) for _ in held)
        with pytest.raises(grpc.RpcError) as caught:
            stub.Describe(to_wire(greeting(driver)), timeout=seconds)
        meanwhile = list(agent.bodies)
        release.set()
        ended = [call.exception(timeout=60) for call in held]

    assert caught.value.code() == status
    assert [error.code() for error in ended] == [grpc.StatusCode.FAILED_PRECONDITION] * 2
    assert meanwhile == []
    # Who waited in vain may still be served; who was turned away is not.
    assert most is None or agent.bodies == []


@pytest.mark.parametrize(("room", "turned_away"), [(BOUNDLESS, 0), (2 * MEBIBYTE, 1)])
def test_uploads_side_by_side_fill_memory_unless_they_are_bounded_together(
    node: tuple[Driver, Node], room: int, turned_away: int
):
    driver, agent, data = node[0], Watched(node[1]), bytes(MEBIBYTE)
    announced = BlobOrder("run-1", "panel", hashlib.sha256(data).hexdigest(), len(data))
    order = to_wire(sign(driver.federation.coordinator, "BlobOrder", announced))
    before, release = entries(driver, "FI"), threading.Event()

    def parcels() -> Iterator[node_pb2.Parcel]:
        yield node_pb2.Parcel(order=order)
        yield node_pb2.Parcel(piece=piece_of(data, 0))
        release.wait(120)

    with served_wide(agent, 4, {}, 4, room) as stub, ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(ended_of_put, stub, parcels()) for _ in range(3)]
        assert all(agent.announcements.acquire(timeout=60) for _ in calls)
        ended = as_completed(calls, timeout=60)
        first = [next(ended).result() for _ in range(turned_away)]
        release.set()
        everybody = [call.result() for call in calls]
        # There is room again, and whoever was turned away comes again.
        again = ended_of_put(stub, parcels())

    assert first == ["BUSY"] * turned_away
    assert sorted(everybody) == [""] * (3 - turned_away) + ["BUSY"] * turned_away
    assert again == ""
    assert agent.blobs == [MEBIBYTE] * (4 - turned_away)
    assert entries(driver, "FI") == before
    assert "BUSY" not in FINAL_CODES


def ended_of_put(stub: node_pb2_grpc.NodeStub, parcels: Iterator[node_pb2.Parcel]) -> str:
    """The code with which an upload ends, "" where it is taken in; whoever is turned away sees a node that is away."""
    try:
        stub.Put(parcels, timeout=120)
    except grpc.RpcError as error:
        found, busy = unwrapped(error), error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED  # type: ignore[attr-defined]
        code = found.code if isinstance(found, FedstatsError) else str(found)
        return code if isinstance(found, NodeUnreachable) == busy == (code == "BUSY") else f"{code} under another name"
    return ""


def test_two_blobs_of_the_largest_size_find_no_room_side_by_side_and_a_pass_finds_it_beside_one(
    served: Driver, line: Line
):
    largest = BlobOrder("run-1", "panel", "0" * 64, LARGEST_BLOB["panel"])
    order = to_wire(sign(served.federation.coordinator, "BlobOrder", largest))
    release = threading.Event()

    def parcels() -> Iterator[node_pb2.Parcel]:
        yield node_pb2.Parcel(order=order)
        release.wait(120)

    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(ended_of_put, line.stub, parcels()) for _ in range(2)]
        first = next(as_completed(calls, timeout=60)).result()
        line.put("run-1", "asks", bytes(MEBIBYTE))
        release.set()

    assert first == "BUSY"
    assert sorted(call.result() for call in calls) == ["BUSY", "DAMAGED_BLOB"]


def test_a_run_more_begins_where_the_project_may_have_one_more(tmp_path: Path):
    with attacked(tmp_path, ON + "max_queries = 3\n") as driver:
        before = len(entries(driver, "FI"))
        for run in ("run-1", "run-2", "run-3"):
            driver.begin(plan_of(driver, run, (COUNTING,)))

        assert spent(driver, "FI")[0] == 3
        # Each run is written down for good: a flood of them is disk.
        assert len(entries(driver, "FI")) >= before + 3 * 3


# No messages at all


def test_whatever_is_sent_gets_a_documented_error_and_nothing_is_computed(tmp_path: Path):
    rng = np.random.default_rng(1)
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.put_blobs(plan)
        good = driver.lines["FI"].signed(plan)  # type: ignore[attr-defined]  # lines without a network have it
        agent, budgets = driver.lines["FI"].agent, spent(driver, "FI")  # type: ignore[attr-defined]
        seen = {code_of(agent, *damaged(rng, good, driver)) for _ in range(500)}

        assert len(seen) > 4
        assert seen - {ANSWERED} <= documented()
        assert not {"chunk", "begun"} & {kind for kind, _ in entries(driver, "FI")}
        assert spent(driver, "FI") == budgets


def damaged(rng: np.random.Generator, good: Signed, driver: Driver) -> tuple[str, Signed]:
    """A method, and a plan that has bits changed, is cut or made up; most of them well signed."""
    method = str(rng.choice(["Propose", *sorted(HANDLERS)]))
    body = bytearray(good.body)
    match rng.integers(4):
        case 0:
            del body[rng.integers(len(body)) :]
        case 1:
            body = bytearray(rng.bytes(int(rng.integers(200))))
        case _:
            method = "Propose"
            body[rng.integers(len(body))] ^= 1 << int(rng.integers(3))
    if rng.integers(4):
        kind = str(rng.choice(["Plan", "Plan", "Plan", "BeginOrder", "PassOrder"]))
        return method, resigned(driver, kind, bytes(body))
    return method, replace(good, body=bytes(body))


def resigned(driver: Driver, kind: str, body: bytes) -> Signed:
    identity = driver.federation.coordinator
    return Signed(kind, identity.public_hex, body, sign_bytes(identity, kind, body))


def code_of(agent: object, method: str, message: Signed) -> str:
    try:
        agent.call(method, message)  # type: ignore[attr-defined]  # an agent
    except FedstatsError as error:
        return error.code
    return ANSWERED
