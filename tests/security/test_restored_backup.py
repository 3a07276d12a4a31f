"""A node whose state folder was put back from a backup is refused by its peers, and by itself."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedstats.errors import Failed, ProtocolRefused
from fedstats.ledger import verify
from node_agent.cli import app
from node_agent.config import read_settings
from node_agent.node import accept_peer_ledger
from tests.node_agent.driver import Driver, driven_locally
from tests.node_agent.sites import Federation, Site, make_federation

BLOCK = [np.arange(0, 12)]


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return make_federation(tmp_path)


@contextmanager
def driven(federation: Federation) -> Iterator[Driver]:
    with driven_locally(federation) as driver:
        yield driver


def whole_run(driver: Driver, run: str):
    plan = driver.plan(run=run, privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    driver.whole_pass(plan, order, blob)
    return plan


def backup_of(site: Site) -> Path:
    return Path(shutil.copytree(site.folder / "state", site.folder / "backup"))


def put_back(site: Site) -> None:
    shutil.rmtree(site.folder / "state")
    (site.folder / "backup").rename(site.folder / "state")


def restored_between_runs(federation: Federation, later: tuple[str, ...] = ("run-2", "run-2b")) -> None:
    """FI's state is put back to where it was before some later runs."""
    with driven(federation) as driver:
        whole_run(driver, "run-1")
    backup_of(federation.site("FI"))
    with driven(federation) as driver:
        for run in later:
            whole_run(driver, run)
    put_back(federation.site("FI"))


def keys_of_a_new_run(driver: Driver, run: str = "run-3"):
    plan = driver.plan(run=run, privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    return plan, order, blob, driver.open(order, blob)


@pytest.mark.parametrize("name", ["EE", "SE"])
def test_peers_refuse_a_node_whose_ledger_is_older_than_they_remember(federation: Federation, name: str):
    restored_between_runs(federation)
    with driven(federation) as driver:
        _, order, _, keys = keys_of_a_new_run(driver)
        asked = Driver(federation, {name: driver.lines[name]}, driver.panel)

        with pytest.raises(ProtocolRefused, match=rf"ledger of FI is older .* where {name} was shown") as caught:
            asked.ready(order, keys)

    assert caught.value.code == "STALE_LEDGER"
    assert "fedstats-node accept-ledger FI" in caught.value.hint
    assert verify(federation.site(name).folder / "state" / "ledger.sqlite")[-1].kind == "refused"


def test_peers_refuse_another_ledger_of_the_same_length(federation: Federation):
    restored_between_runs(federation, ("run-2",))
    with driven(federation) as driver:
        _, order, _, keys = keys_of_a_new_run(driver)
        asked = Driver(federation, {"EE": driver.lines["EE"]}, driver.panel)

        with pytest.raises(ProtocolRefused, match=r"entry \d+ is not the one that it showed before") as caught:
            asked.ready(order, keys)

    assert caught.value.code == "STALE_LEDGER"


def test_a_node_that_was_put_back_refuses_by_itself(federation: Federation):
    restored_between_runs(federation)
    with driven(federation) as driver:
        _, order, _, keys = keys_of_a_new_run(driver)
        asked = Driver(federation, {"FI": driver.lines["FI"]}, driver.panel)

        with pytest.raises(ProtocolRefused, match=r"ledger of FI is older .* it lacks entry \d+, which EE was shown"):
            asked.ready(order, keys)


def test_a_node_that_was_put_back_within_a_run_is_noticed(federation: Federation):
    with driven(federation) as driver:
        plan = driver.plan(privacy="masked")
        driver.begin(plan)
        run_keys = driver.run_keys
    backup_of(federation.site("FI"))
    with driven(federation) as driver:
        driver.run_keys = run_keys
        driver.whole_pass(plan, *driver.order(plan, BLOCK))
    put_back(federation.site("FI"))

    with driven(federation) as driver:
        order, blob = driver.order(plan, BLOCK, call=1)
        keys = driver.open(order, blob)
        with pytest.raises(ProtocolRefused) as caught:
            Driver(federation, {"FI": driver.lines["FI"]}, driver.panel).ready(order, keys)

    assert caught.value.code == "STALE_LEDGER"


def test_passes_may_overtake_one_another(federation: Federation):
    with driven(federation) as driver:
        plan = driver.plan(privacy="masked")
        driver.begin(plan)
        passes = [driver.order(plan, BLOCK, call=call) for call in range(3)]
        keys = [driver.open(order, blob) for order, blob in passes]

        readies = [driver.ready(order, said) for (order, _), said in reversed(list(zip(passes, keys, strict=True)))]

    assert [set(found) for found in readies] == [set(driver.names)] * 3


def test_custodians_of_the_peers_can_accept_the_older_ledger(federation: Federation):
    restored_between_runs(federation)
    for name in ("EE", "SE"):
        config = str(federation.site(name).config)
        assert CliRunner().invoke(app, ["accept-ledger", "FI", "--config", config]).exit_code == 0

    with driven(federation) as driver:
        whole_run(driver, "run-3")

    entries = verify(federation.site("EE").folder / "state" / "ledger.sqlite")
    assert '{"node":"FI"}' in [entry.body for entry in entries if entry.kind == "peer_ledger_accepted"]


def test_a_ledger_is_accepted_only_while_the_agent_is_stopped(federation: Federation):
    with driven(federation), pytest.raises(Failed, match="another agent runs with this state folder; stop it first"):
        accept_peer_ledger(read_settings(federation.site("EE").config), "FI")
