"""The key holder as a process of its own: through gRPC and mutual TLS, killed at every point, drained by SIGTERM."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from pathlib import Path

import grpc
import numpy as np
import pytest

from fedstats.errors import NodeUnreachable, Refused
from fedstats.identity.keys import Leaf, generate_leaf
from fedstats.identity.signing import Signed, sign
from fedstats.ledger import verified, verify
from fedstats.sandbox.ports import free_ports
from fedstats.serving.orders import request_digest
from fedstats.transport.health import is_serving
from fedstats.transport.key_holder import key_holder_line
from fedstats.transport.patient import PatientTransport
from fedstats.transport.pinning import Caller, Peer
from fedstats.wire.envelope import ERROR_KEY, PIECE_BYTES, error_from_bytes, pieces, to_wire
from fedstats.wire.generated.fedstats.v1 import key_holder_pb2, key_holder_pb2_grpc, node_pb2
from fedstats.wire.key_holder_messages import layout_of
from key_holder import serving as serving_of_key_holders
from key_holder.agent import HANDLERS, STREAMS, Agent
from key_holder.config import read_settings
from key_holder.holder import open_holder
from key_holder.policy import Policy
from key_holder.records import check_openings
from key_holder.serving import start_server
from tests.key_holder.line import Line
from tests.key_holder.vault import BLOCKS, RUN, Vault, make_vault, order_for, product_of, sums, words_of_nodes
from tests.processes import children_of

ROOT = Path(__file__).resolve().parents[2]
READY_SECONDS = 60


def vault_with_port(folder: Path) -> tuple[Vault, str]:
    (port,) = free_ports(1)
    address = f"127.0.0.1:{port}"
    return make_vault(folder / "VAULT", listen=address), address


@contextmanager
def serving(vault: Vault, address: str, crash: str = "") -> Iterator[subprocess.Popen]:
    """A key holder as a process, once it says that it is ready, or has ended."""
    with (vault.folder / "agent.out").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "key_holder", "serve", "--config", str(vault.config)],
            cwd=ROOT,
            env={**os.environ, "FEDSTATS_TEST_CRASH": crash},
            stdout=output,
            stderr=output,
        )
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not is_serving(vault, vault.card, address) and process.poll() is None:
            assert time.monotonic() < deadline, (vault.folder / "agent.out").read_text()
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def dialled(vault: Vault, address: str, *, leaf: Leaf | None = None, wait_seconds: float = 0) -> Iterator[Line]:
    own = leaf or vault.leaf
    caller = Caller(own, None)
    line = key_holder_line(caller, Peer("VAULT", address, vault.card, vault.card.identity, "keyholder"))
    transport = PatientTransport(line, wait_seconds)
    yield Line(transport, "VAULT", vault.card.identity, vault.coordinator)
    transport.close()


def entries_of(vault: Vault) -> list[str]:
    with verified(vault.ledger) as chain:
        check_openings(vault.ledger, chain)
        entries = list(chain)
    return [entry.kind for entry in entries]


@pytest.mark.processes
def test_sums_come_back_through_mutual_tls(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    words = words_of_nodes()
    product = product_of(vault.public, words)
    with serving(vault, address), dialled(vault, address) as holder:
        opened = holder.open(order_for(vault, product), product)
        holder.finish(RUN)

    np.testing.assert_array_equal(opened, sums(words))
    assert entries_of(vault) == ["ordered", "opened", "finished"]


@pytest.mark.processes
def test_a_product_and_words_of_several_pieces_come_whole(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    words = words_of_nodes()
    # The same ciphertexts again and again: long, and quickly made.
    times = 5000
    product = product_of(vault.public, words) * times
    due = np.tile(sums(words), times)
    order = order_for(vault, product, layout=layout_of(BLOCKS * times), words=len(due))
    assert min(len(product), 8 * len(due)) > PIECE_BYTES
    with serving(vault, address), dialled(vault, address) as holder:
        opened = holder.open(order, product)

    np.testing.assert_array_equal(opened, due)


@pytest.mark.processes
def test_what_crosses_the_wire_is_counted(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    with serving(vault, address), dialled(vault, address) as holder:
        holder.open(order_for(vault, product), product)
        traffic = holder.transport.traffic

    assert traffic.bytes_sent["VAULT"] > len(product)
    assert traffic.bytes_received["VAULT"] > 8 * sum(map(len, BLOCKS))


@pytest.mark.processes
def test_a_refusal_crosses_the_wire_with_its_code_and_the_name_of_the_key_holder(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    denied = pytest.raises(Refused, match="words without masks")
    with serving(vault, address), dialled(vault, address) as holder, denied as caught:
        holder.open(order_for(vault, product, masked=False), product)

    assert (caught.value.code, caught.value.node) == ("POLICY_ALLOW_UNMASKED", "VAULT")
    assert entries_of(vault) == ["refused"]


@pytest.mark.processes
def test_more_bytes_than_announced_end_the_call(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    denied = pytest.raises(Refused, match="not the announced one")
    with serving(vault, address), dialled(vault, address) as holder, denied as caught:
        holder.open(order_for(vault, product), product + bytes(128))

    assert caught.value.code == "DAMAGED_BLOB"
    assert entries_of(vault) == ["refused"]
    assert list((vault.folder / "state" / "products").iterdir()) == []


def parcels_of(order: Signed, *pieces: node_pb2.Piece) -> list[node_pb2.Parcel]:
    return [node_pb2.Parcel(order=to_wire(order)), *(node_pb2.Parcel(piece=piece) for piece in pieces)]


def refusal_of(stub: key_holder_pb2_grpc.KeyHolderStub, parcels: Iterable[node_pb2.Parcel]) -> str:
    """The code with which an upload ends."""
    with pytest.raises(grpc.RpcError) as caught:
        stub.Put(iter(parcels), timeout=60)
    document = dict(caught.value.trailing_metadata())[ERROR_KEY]  # type: ignore[attr-defined]  # calls are errors
    return error_from_bytes(document).code


@pytest.mark.processes
def test_a_product_that_is_damaged_on_the_line_is_refused_and_the_ledger_says_so(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    order = sign(vault.coordinator, "DecryptOrder", order_for(vault, product))
    elsewhere, another = next(pieces([product], 1)), node_pb2.Piece(data=product, crc32=0)
    with serving(vault, address), connected(vault, address) as stub:
        codes = [refusal_of(stub, parcels) for parcels in ([], parcels_of(order, elsewhere)[1:])]
        codes += [refusal_of(stub, parcels_of(order, piece)) for piece in (elsewhere, another)]

    said = [json.loads(entry.body) for entry in verify(vault.ledger)]
    assert codes == ["MALFORMED", "MALFORMED", "DAMAGED_PIECE", "DAMAGED_PIECE"]
    assert [body["code"] for body in said] == codes
    assert [body["request"] for body in said] == ["", "", request_digest(order), request_digest(order)]


@contextmanager
def connected(vault: Vault, address: str) -> Iterator[key_holder_pb2_grpc.KeyHolderStub]:
    """Calls that send whatever is put into them."""
    trusted, own = vault.card.certificate.encode("ascii"), vault.leaf
    credentials = grpc.ssl_channel_credentials(trusted, own.private_pem, own.certificate_pem)
    with grpc.secure_channel(address, credentials, (("grpc.ssl_target_name_override", "VAULT"),)) as channel:
        yield key_holder_pb2_grpc.KeyHolderStub(channel)


@contextmanager
def in_this_process(vault: Vault) -> Iterator[str]:
    """A key holder's service in this process; its address."""
    holder = open_holder(read_settings(vault.config))
    server = asyncio.run(start_server(Agent(holder)))
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        asyncio.run(server.stop(0))
        holder.close()


def test_products_side_by_side_are_bounded_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    vault = make_vault(tmp_path / "VAULT")
    product = product_of(vault.public, words_of_nodes())
    order = sign(vault.coordinator, "DecryptOrder", order_for(vault, product))
    # Room for this product, and for not a byte more.
    monkeypatch.setattr(serving_of_key_holders, "ROOM_BESIDE", len(product) - Policy().max_bytes)
    release = threading.Event()

    def held() -> Iterator[node_pb2.Parcel]:
        yield from parcels_of(order)
        release.wait(60)

    with in_this_process(vault) as address, connected(vault, address) as stub, ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(refusal_of, stub, held()) for _ in range(2)]
        first = next(as_completed(calls, timeout=50)).result()
        release.set()

    assert first == "BUSY"
    assert sorted(call.result() for call in calls) == ["BUSY", "DAMAGED_BLOB"]


@pytest.mark.processes
def test_a_foreign_certificate_gets_no_connection(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    line = dialled(vault, address, leaf=generate_leaf("desk"))
    with serving(vault, address), line as stranger, pytest.raises(NodeUnreachable):
        stranger.open(order_for(vault, product), product)

    assert entries_of(vault) == []


@pytest.mark.processes
def test_a_coordinator_that_the_policy_does_not_name_gets_no_connection(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    line = dialled(vault, address, leaf=vault.other_leaf)
    with serving(vault, address), line as other, pytest.raises(NodeUnreachable):
        other.open(order_for(vault, product), product)

    assert entries_of(vault) == []


@pytest.mark.processes
@pytest.mark.parametrize(
    ("crash", "before"),
    [
        ("before:ordered", []),
        ("after:ordered", ["ordered"]),
        ("mid:opened", ["ordered"]),
        ("before:opened", ["ordered"]),
        ("after:opened", ["ordered", "opened"]),
    ],
)
def test_a_pass_goes_on_after_kill_9_and_is_opened_once(tmp_path: Path, crash: str, before: list[str]):
    vault, address = vault_with_port(tmp_path)
    words = words_of_nodes()
    product = product_of(vault.public, words)
    order = order_for(vault, product)
    with serving(vault, address, crash) as process, dialled(vault, address) as holder:
        with suppress(NodeUnreachable, grpc.RpcError):
            holder.open(order, product)
        assert process.wait(20) == 137
    assert entries_of(vault) == before

    with serving(vault, address), dialled(vault, address) as holder:
        opened = holder.open(order, product)

    np.testing.assert_array_equal(opened, sums(words))
    assert entries_of(vault) == ["ordered", "opened"]


@pytest.mark.processes
def test_other_bytes_for_a_pass_are_refused_after_kill_9(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product, other = product_of(vault.public, words_of_nodes()), product_of(vault.public, words_of_nodes(1))
    with serving(vault, address) as process, dialled(vault, address) as holder:
        holder.open(order_for(vault, product), product)
        process.send_signal(signal.SIGKILL)
        process.wait()

    with serving(vault, address), dialled(vault, address) as holder, pytest.raises(Refused) as caught:
        holder.open(order_for(vault, other), other)

    assert caught.value.code == "CONFLICT"
    assert entries_of(vault) == ["ordered", "opened", "refused"]


@pytest.mark.processes
def test_no_process_with_the_key_outlives_a_killed_key_holder(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    product = product_of(vault.public, words_of_nodes())
    with serving(vault, address) as process, dialled(vault, address) as holder:
        holder.open(order_for(vault, product), product)
        workers = children_of(process.pid)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert workers
    deadline = time.monotonic() + 20
    while any(worker.alive for worker in workers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert [worker for worker in workers if worker.alive] == []


@pytest.mark.processes
def test_sigterm_drains_and_the_logs_hold_no_value(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    words = words_of_nodes()
    product = product_of(vault.public, words)
    with serving(vault, address) as process, dialled(vault, address) as holder:
        opened = holder.open(order_for(vault, product), product)

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
    log = (vault.folder / "state" / "agent.log").read_text()
    events = [json.loads(line)["event"] for line in log.splitlines()]
    assert events == ["agent.ready", "pass.opened", "agent.draining", "agent.ended"]
    shown = log + (vault.folder / "agent.out").read_text()
    long = [str(word) for word in opened if word > 99_999]
    assert len(long) > 10
    assert [word for word in long if word in shown] == []


@pytest.mark.processes
def test_two_key_holders_cannot_share_a_state_folder(tmp_path: Path):
    vault, address = vault_with_port(tmp_path)
    with serving(vault, address):
        done = subprocess.run(
            [sys.executable, "-m", "key_holder", "serve", "--config", str(vault.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 5
    assert "another agent runs with this state folder" in done.stderr


def test_every_call_of_the_service_has_a_handler():
    methods = {method.name for method in key_holder_pb2.DESCRIPTOR.services_by_name["KeyHolder"].methods}

    assert methods == set(HANDLERS) | set(STREAMS) | {"Put"}
