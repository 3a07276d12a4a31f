"""Ports for agents: free, never given out twice, and one clear error where another program took one meanwhile."""

import os
import socket

import pytest

from fedstats.errors import Failed
from fedstats.sandbox import ports, processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.sandbox.ports import free_ports
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate


def test_no_port_is_given_out_twice(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ports, "PORTS", ports.PORTS[:600])
    found = [port for _ in range(100) for port in free_ports(2)]

    assert len(set(found)) == 200


def test_a_port_on_which_somebody_listens_is_not_given_out(monkeypatch: pytest.MonkeyPatch):
    one, other = free_ports(2)
    monkeypatch.setattr(ports, "PORTS", range(one, one + 1))
    monkeypatch.setattr(ports, "_GIVEN_OUT", set())
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", one))
        taken.listen()
        with pytest.raises(Failed, match="no 1 free ports") as caught:
            free_ports(1)

    assert caught.value.code == "NO_PORTS"
    assert free_ports(1) == [one] != [other]


def test_workers_of_these_tests_share_no_port(worker_id: str):
    number = int(worker_id.removeprefix("gw").replace("master", "0"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))

    assert range(20_000 + number, 32_000, workers) == ports.PORTS


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    folder = tmp_path_factory.mktemp("ports")
    files = simulate(folder / "pooled", Recipe(sites=3, samples=300, variants=100, seed=3))
    tables = {"pheno": files.phenotypes, "covar": files.covariates}
    return create(folder / "sandbox", bfile=files.prefix, site_column="site", **tables).sandbox


@pytest.mark.processes
def test_an_agent_whose_port_is_taken_is_named_with_what_to_do(sandbox: Sandbox):
    name, address = next(iter(sandbox.nodes.items()))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(address.split(":")[1])))
        taken.listen()
        with pytest.raises(Failed, match=f"cannot listen on {address}") as caught:
            processes.start(sandbox)

    assert caught.value.code == "PORT_IN_USE"
    assert f"agent {name} ended while starting" in caught.value.message
    assert f"Something else listens at {address}" in caught.value.hint


@pytest.mark.processes
def test_an_agent_that_ends_for_another_reason_is_not_said_to_lack_its_port(sandbox: Sandbox):
    name = next(iter(sandbox.nodes))
    config = sandbox.node_folder(name) / "node.toml"
    kept = config.read_text()
    config.write_text(kept + "nonsense = 1\n")
    try:
        with pytest.raises(Failed, match="nonsense") as caught:
            processes.start(sandbox)
    finally:
        config.write_text(kept)

    assert (caught.value.code, caught.value.hint) == ("AGENT_ENDED", "")
