"""Agents as processes of their own: killed in the middle of a pass, drained by SIGTERM, and who may connect."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from fedstats.errors import FedstatsError
from fedstats.identity.keys import generate_identity, generate_leaf
from fedstats.identity.signing import sign
from fedstats.ledger import verify
from fedstats.sandbox.ports import free_ports
from fedstats.wire.generated.fedstats.v1 import node_pb2
from fedstats.wire.messages import DescribeOrder
from node_agent.agent import HANDLERS, STREAMS
from tests.node_agent.driver import Driver, Line, driven, driven_locally, running
from tests.node_agent.sites import Federation, Site, make_federation

ROOT = Path(__file__).resolve().parents[2]
BLOCKS = [np.arange(0, 10), np.arange(10, 20), np.arange(20, 30)]
READY_SECONDS = 60


@contextmanager
def as_process(federation: Federation, site: Site, crash: str = "") -> Iterator[tuple[subprocess.Popen, Line]]:
    """An agent as a process, once it says that it is ready."""
    port = int(site.config.read_text().split("127.0.0.1:")[1].split('"')[0])
    environment = {**os.environ, "FEDSTATS_TEST_CRASH": crash}
    with (site.folder / "agent.out").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "node_agent", "serve", "--config", str(site.config)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=output,
        )
    line = Line(federation, site, port)
    try:
        wait_until_serving(process, line)
        yield process, line
    finally:
        line.channel.close()
        process.kill()
        process.wait()


def wait_until_serving(process: subprocess.Popen, line: Line) -> None:
    stub = health_pb2_grpc.HealthStub(line.channel)
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, (line.site.folder / "agent.out").read_text()
        with suppress(grpc.RpcError):
            answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=5, wait_for_ready=True)
            if answer.status == health_pb2.HealthCheckResponse.SERVING:
                return
        time.sleep(0.05)
    raise AssertionError("the agent is not ready in time")


def with_port(site: Site) -> None:
    (port,) = free_ports(1)
    site.config.write_text(site.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))


def masked_pass(driver: Driver, federation: Federation, site: Site, crash: str) -> np.ndarray:
    """A masked pass in which the agent of one site ends at a point and is started again; the total."""
    plan = driver.plan(privacy="masked")
    order, blob = driver.order(plan, BLOCKS)
    restarted = False
    while True:
        with as_process(federation, site, "" if restarted else crash) as (process, line):
            now = replace(driver, lines={**driver.lines, site.name: line})
            try:
                now.begin(plan)
                total = now.whole_pass(plan, order, blob)
            except (grpc.RpcError, FedstatsError):
                assert not restarted
                assert process.wait(20) == 137
                restarted = True
                continue
            assert restarted
            driver.transcript = now.transcript
            return total


@pytest.mark.processes
@pytest.mark.parametrize("crash", ["before:S", "after:R", "mid:M", "after:M", "after:C", "after:U"])
def test_a_pass_goes_on_after_kill_9_and_no_chunk_is_made_twice(tmp_path: Path, crash: str):
    federation = make_federation(tmp_path)
    site = federation.site("SE")
    with_port(site)
    with driven_locally(federation, ("EE", "FI")) as others:
        driver = replace(others, lines={**others.lines, "SE": None})

        total = masked_pass(driver, federation, site, crash)

        plan = driver.plan(privacy="masked")
        order, _ = driver.order(plan, BLOCKS)
        words = 10 * 6 + 2
        counts = driver.counts(plan, order, total[words : 2 * words], BLOCKS[1], 1)
    pooled = np.concatenate([one.dosages for one in federation.sites], axis=1)[BLOCKS[1]]
    np.testing.assert_array_equal(counts.called, (pooled >= 0).sum(axis=1))
    kinds = [entry.kind for entry in verify(site.folder / "state" / "ledger.sqlite")]
    assert kinds.count("chunk") == len(BLOCKS)


@pytest.mark.processes
def test_sigterm_drains_and_ends_with_0(tmp_path: Path):
    federation = make_federation(tmp_path)
    site = federation.site("FI")
    with_port(site)
    with as_process(federation, site) as (process, line):
        line.call("Describe", DescribeOrder("test", "", "nonce"))
        started = time.monotonic()

        process.send_signal(signal.SIGTERM)

        assert process.wait(30) == 0
        assert time.monotonic() - started < 30
    log = (site.folder / "state" / "agent.log").read_text()
    assert '"event": "agent.ready"' in log
    assert '"event": "agent.ended"' in log


@pytest.mark.processes
def test_a_port_in_use_is_one_clear_error(tmp_path: Path):
    federation = make_federation(tmp_path)
    site = federation.site("FI")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        site.config.write_text(site.config.read_text().replace("127.0.0.1:0", f"127.0.0.1:{port}"))

        done = subprocess.run(
            [sys.executable, "-m", "node_agent", "serve", "--config", str(site.config)],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr


# Who may connect


def test_a_foreign_certificate_gets_no_connection(tmp_path: Path):
    federation = make_federation(tmp_path)
    site = federation.site("FI")
    stranger = replace(federation, leaf=generate_leaf("coordinator"))
    with running(site) as port:
        line = Line(stranger, site, port)

        with pytest.raises(grpc.RpcError) as caught:
            line.call("Describe", DescribeOrder("test", "", "nonce"))

        line.channel.close()
    assert caught.value.code() == grpc.StatusCode.UNAVAILABLE


def test_a_refusal_crosses_the_wire_with_its_document(tmp_path: Path):
    federation = make_federation(tmp_path)
    site = federation.site("FI")
    with running(site) as port:
        line = Line(federation, site, port)
        order = sign(generate_identity(), "DescribeOrder", DescribeOrder("test", "", "nonce"))

        with pytest.raises(FedstatsError, match="may not ask here") as caught:
            line.call("Describe", order)

        line.channel.close()
    assert (caught.value.node, caught.value.code, caught.value.exit_code) == ("FI", "WRONG_SIGNER", 3)
    assert caught.value.__cause__.code() == grpc.StatusCode.PERMISSION_DENIED


def test_a_blob_that_is_not_the_announced_one_is_refused(tmp_path: Path):
    federation = make_federation(tmp_path)
    with driven(federation) as driver:
        line = driver.lines["FI"]

        with pytest.raises(FedstatsError, match="another purpose"):
            line.put("run-1", "recipes", b"bytes")


def test_every_call_of_the_service_has_a_handler():
    methods = {method.name for method in node_pb2.DESCRIPTOR.services_by_name["Node"].methods}

    assert methods == set(HANDLERS) | set(STREAMS) | {"Put"}


def test_describe_rounds_the_size_down_and_names_the_columns(tmp_path: Path):
    from fedstats.documents import decode
    from fedstats.wire.messages import Catalogue

    with driven_locally(make_federation(tmp_path, people=160)) as driver:
        answer = driver.lines["FI"].call("Describe", DescribeOrder("test", "", "nonce"))

    found = decode(Catalogue, answer.body)
    (dataset,) = found.datasets
    assert (dataset.people, dataset.traits, dataset.covariates) == (100, ("q1",), ("age",))
    assert (found.node, found.nonce, found.policy["min_people"]) == ("FI", "nonce", "50")
