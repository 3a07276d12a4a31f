"""A node whose state folder was put back from a backup is refused by its peers, and by itself.

Where no peer remembers, what it has forgotten is gone: the lock on its people, its budgets, and that a mask was used.
"""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedstats.errors import Failed, ProtocolRefused, Refused
from fedstats.genotypes import pack
from fedstats.ledger import verify
from fedstats.wire.messages import ComputeOrder, PassOrder
from node_agent.cli import app
from node_agent.config import read_settings
from node_agent.node import accept_peer_ledger
from tests.attacks.attacker import BLOCK as AUTOSOMES
from tests.attacks.attacker import counted, dosages_of, leaving_out, plan_of, refused
from tests.node_agent.driver import COUNTING, Driver, driven_locally, texts
from tests.node_agent.sites import REAL_POLICY, Federation, Site, make_federation, node_toml

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


# What a node that has forgotten gives away where no peer remembers


def answered(driver: Driver, run: str, *left_out: str) -> np.ndarray:
    """Pooled sums of dosages by a whole run, without some people of FI."""
    plan = leaving_out(driver, plan_of(driver, run, (COUNTING,)), *left_out)
    driver.begin(plan)
    return counted(driver, plan)


def with_peers_that_forget(federation: Federation) -> None:
    """What every operator of a peer says where nobody looked into why FI's ledger is older."""
    for name in ("EE", "SE"):
        accept_peer_ledger(read_settings(federation.site(name).config), "FI")


def total_that_is_forgotten(federation: Federation) -> np.ndarray:
    """Everybody's total by a run that FI then does not remember, for its state is put back to before."""
    with driven(federation):
        pass  # so that each has a ledger, and its own key of people
    backup_of(federation.site("FI"))
    with driven(federation) as driver:
        total = answered(driver, "run-1")
        with pytest.raises(Refused) as caught:
            answered(driver, "run-2", "FI7")
        assert caught.value.code == "TOO_CLOSE"
    put_back(federation.site("FI"))
    return total


def test_a_forgotten_lock_shows_a_person_by_difference_where_no_peer_remembers(federation: Federation):
    total = total_that_is_forgotten(federation)
    with_peers_that_forget(federation)

    with driven(federation) as driver:
        without_one = answered(driver, "run-3", "FI7")

    np.testing.assert_array_equal(total - without_one, dosages_of(federation, "FI", 7))


def test_peers_that_remember_keep_a_forgotten_lock_from_showing_anybody(federation: Federation):
    total_that_is_forgotten(federation)

    with driven(federation) as driver:
        plan = leaving_out(driver, plan_of(driver, "run-3", (COUNTING,)), "FI7")
        driver.begin(plan)
        order, blob = driver.order(plan, [AUTOSOMES])
        keys = driver.open(order, blob)
        for name in driver.names:
            with refused(driver, name, "STALE_LEDGER"):
                Driver(federation, {name: driver.lines[name]}, driver.panel).ready(order, keys)


def test_a_forgotten_budget_is_spent_again_where_no_peer_remembers(federation: Federation):
    federation.site("FI").config.write_text(node_toml("FI", REAL_POLICY + "max_queries = 1\n"))
    with driven(federation):
        pass
    backup_of(federation.site("FI"))
    with driven(federation) as driver:
        whole_run(driver, "run-1")
        more = driver.plan(run="run-2", privacy="masked")
        driver.put_blobs(more)
        with refused(driver, "FI", "POLICY_MAX_QUERIES"):
            driver.lines["FI"].call("Propose", more)
    put_back(federation.site("FI"))
    with_peers_that_forget(federation)

    with driven(federation) as driver:
        whole_run(driver, "run-2")

        # One run more than the budget has, for the first is not counted any more.
        ledger = driver.lines["FI"].agent.node.ledger
        assert ledger.rows("SELECT run FROM budget_runs") == [("run-2",)]


# A mask that is used twice: peers are not asked once a pass is ready


def ready_to_compute(federation: Federation) -> tuple[PassOrder, ComputeOrder]:
    """A pass that every node has signed, and whose words nobody has made; FI is backed up then."""
    with driven(federation) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        order, blob = driver.order(plan, [AUTOSOMES])
        readies = driver.ready(order, driver.open(order, blob))
    backup_of(federation.site("FI"))
    return order, ComputeOrder(order.run, order.pass_id, texts(readies))


def upload_of_fi(federation: Federation, order: PassOrder, ask: ComputeOrder) -> np.ndarray:
    with driven_locally(federation, ("FI",)) as driver:
        driver.lines["FI"].start(ask)
        return np.frombuffer(driver.fetch(order)["FI"], "<u8")


def loses_a_person(site: Site, person: int) -> None:
    """The custodian takes somebody's genotypes out of the data."""
    left = site.dosages.copy()
    left[:, person] = -1
    (site.folder / "genotypes.bed").write_bytes(b"\x6c\x1b\x01" + pack(left).packed.tobytes())


def dosages_in(words: np.ndarray) -> np.ndarray:
    """Dosages that a difference of counts says, shape (variant,)."""
    _, heterozygous, homozygous = words[: 3 * len(AUTOSOMES)].reshape(3, -1).astype(np.int64)
    return np.asarray(heterozygous + 2 * homozygous)


def test_a_mask_used_twice_shows_who_left_the_data_where_nobody_looks_whether_they_changed(
    federation: Federation, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("node_agent.pass_work.check_same_data", lambda *_: None)
    order, ask = ready_to_compute(federation)
    first = upload_of_fi(federation, order, ask)
    put_back(federation.site("FI"))
    loses_a_person(federation.site("FI"), 7)

    second = upload_of_fi(federation, order, ask)

    np.testing.assert_array_equal(dosages_in(first - second), dosages_of(federation, "FI", 7))


def test_a_snapshot_with_the_secrets_of_its_passes_masks_no_other_data(federation: Federation):
    order, ask = ready_to_compute(federation)
    first = upload_of_fi(federation, order, ask)
    put_back(federation.site("FI"))
    backup_of(federation.site("FI"))
    np.testing.assert_array_equal(upload_of_fi(federation, order, ask), first)
    put_back(federation.site("FI"))
    loses_a_person(federation.site("FI"), 7)

    with driven_locally(federation, ("FI",)) as driver:
        driver.lines["FI"].start(ask)
        with pytest.raises(ProtocolRefused) as caught:
            driver.fetch(order)

    entries = verify(federation.site("FI").folder / "state" / "ledger.sqlite")
    assert caught.value.code == "DATA_CHANGED"
    assert {"chunk", "computed"} & {entry.kind for entry in entries} == set()
    assert [entry.kind for entry in entries].count("refused") > 0


def test_a_backup_that_leaves_secrets_out_masks_nothing_a_second_time(federation: Federation):
    order, ask = ready_to_compute(federation)
    upload_of_fi(federation, order, ask)
    put_back(federation.site("FI"))
    shutil.rmtree(federation.site("FI").folder / "state" / "secrets")

    with driven_locally(federation, ("FI",)) as driver, refused(driver, "FI", "SECRETS_LOST"):
        driver.lines["FI"].start(ask)


def test_a_node_that_remembers_gives_the_same_masked_bytes_whatever_its_data_are_now(federation: Federation):
    order, ask = ready_to_compute(federation)
    first = upload_of_fi(federation, order, ask)
    loses_a_person(federation.site("FI"), 7)

    second = upload_of_fi(federation, order, ask)

    np.testing.assert_array_equal(second, first)
