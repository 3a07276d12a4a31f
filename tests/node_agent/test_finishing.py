"""The end of a run at a node: what is deleted, what is refused, and what happens to runs that nobody finished."""

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from fedstats.documents import decode
from fedstats.errors import ProtocolRefused
from fedstats.wire.messages import Accepted, FinishOrder
from node_agent.finishing import clear_what_is_over, end_forgotten
from node_agent.node import Node
from node_agent.run_records import KEPT
from tests.node_agent.driver import Driver, driven_locally
from tests.node_agent.sites import make_federation

BLOCK = [np.arange(0, 12)]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with driven_locally(make_federation(tmp_path)) as found:
        yield found


def node_of(driver: Driver, name: str = "FI") -> Node:
    return driver.lines[name].agent.node


def kept(driver: Driver, name: str = "FI") -> dict[str, list[str]]:
    """What lies in the folders of a node besides the marks for backup programs."""
    state = driver.federation.site(name).folder / "state"
    marks = {"CACHEDIR.TAG", ".nobackup"}
    return {
        folder: sorted(path.name for path in (state / folder).iterdir() if path.name not in marks)
        for folder in ("secrets", "spool", "blobs")
    }


def finish(driver: Driver, run: str = "run-1") -> list[Accepted]:
    return [decode(Accepted, line.call("Finish", FinishOrder(run)).body) for line in driver.lines.values()]


def begun(driver: Driver, run: str = "run-1", privacy: str = "masked"):
    plan = driver.plan(run=run, privacy=privacy)
    driver.begin(plan)
    return plan, *driver.order(plan, BLOCK)


@pytest.mark.parametrize("privacy", ["masked", "plain"])
def test_a_finished_run_leaves_no_secret_word_or_blob(driver: Driver, privacy: str):
    plan, order, blob = begun(driver, privacy=privacy)
    driver.whole_pass(plan, order, blob)
    before = kept(driver)

    answers = finish(driver)

    assert len(before["secrets"]) == (1 if privacy == "masked" else 0)
    assert len(before["blobs"]) == 3  # panel, variants, asks
    assert kept(driver) == {"secrets": [], "spool": [], "blobs": []}
    assert {answer.state for answer in answers} == {"finished"}


def test_finishing_again_gets_the_same_bytes(driver: Driver):
    begun(driver)

    first, again = (driver.lines["FI"].call("Finish", FinishOrder("run-1")) for _ in range(2))

    assert first == again


def test_a_run_that_did_not_begin_cannot_be_finished(driver: Driver):
    with pytest.raises(ProtocolRefused, match="did not begin here"):
        finish(driver, "run-9")


def test_a_finished_run_refuses_new_passes_and_blobs(driver: Driver):
    plan, order, blob = begun(driver)
    driver.whole_pass(plan, order, blob)
    later, _ = driver.order(plan, BLOCK, call=1)
    finish(driver)

    with pytest.raises(ProtocolRefused, match=r"the run is finished; start a new run\. Nothing was sent") as at_put:
        driver.open(later, blob)
    with pytest.raises(ProtocolRefused) as at_open:
        driver.lines["FI"].call("Open", later)

    assert at_put.value.code == at_open.value.code == "RUN_FINISHED"


def test_passes_under_way_end_with_their_run(driver: Driver):
    plan, order, blob = begun(driver)
    keys = driver.open(order, blob)
    uploaded, _ = driver.order(plan, BLOCK, call=1)
    driver.compute(uploaded, driver.ready(uploaded, driver.open(uploaded, blob)))
    driver.fetch(uploaded)
    completes = driver.commit(uploaded)

    finish(driver)

    assert kept(driver) == {"secrets": [], "spool": [], "blobs": []}
    assert node_of(driver).channels.get(plan.run, lambda: None) is None
    assert node_of(driver).agreed.get(uploaded.pass_id, lambda: None) is None
    for method in (
        lambda: driver.ready(order, keys),
        lambda: driver.fetch(uploaded),
        lambda: driver.unmask(uploaded, completes),
    ):
        with pytest.raises(ProtocolRefused):
            method()
    # Others may have opened the second pass, so its people count as answered with this roster.
    assert node_of(driver).records.lock(node_of(driver).records.passed(uploaded.pass_id).cohort, "genotypes")


def test_blobs_that_another_run_was_given_stay(driver: Driver):
    plan, order, blob = begun(driver, "run-1")
    second = replace(driver, run_keys={})
    other, other_order, _ = begun(second, "run-2")
    driver.whole_pass(plan, order, blob)
    finish(driver, "run-1")

    second.whole_pass(other, other_order, blob)

    assert len(kept(driver)["blobs"]) == 3


@pytest.mark.parametrize(("days", "ended"), [(-1, ""), (1, "forgotten")])
def test_a_run_that_nobody_finished_ends_after_thirty_quiet_days(driver: Driver, days: int, ended: str):
    assert timedelta(days=30) == KEPT
    plan, order, blob = begun(driver)
    driver.whole_pass(plan, order, blob)
    node = node_of(driver)

    end_forgotten(node, datetime.now(UTC) + KEPT + timedelta(days=days))

    assert node.runs.ended("run-1") == ended
    assert bool(kept(driver)["secrets"]) is not bool(ended)
    if ended:
        later, _ = driver.order(plan, BLOCK, call=1)
        with pytest.raises(ProtocolRefused, match=r"asked for nothing for 30 days") as caught:
            driver.lines["FI"].call("Open", later)
        assert caught.value.code == "RUN_FINISHED"


def test_what_a_crash_has_left_of_finished_work_is_deleted_at_the_next_start(driver: Driver):
    _, order, blob = begun(driver)
    driver.open(order, blob)
    node = node_of(driver)
    live = kept(driver)["secrets"]
    for name in ("run-ab", "pass-cd", ".pass-ef.part"):
        (node.secrets.folder / name).write_text("{}")
    (node.spool.folder / "ab.words").write_bytes(b"12345678")

    clear_what_is_over(node)

    assert kept(driver)["secrets"] == live
    assert kept(driver)["spool"] == []


def test_blobs_of_a_run_that_never_began_are_deleted_as_those_of_forgotten_runs_are(driver: Driver):
    """Lists of people are among them, with identifiers in clear."""
    line, node = driver.lines["FI"], node_of(driver)
    before = kept(driver)["blobs"]
    digest = line.put("run-9", "people", b'{"keep":null,"remove":[["FI7","FI7"]]}')
    assert kept(driver)["blobs"] == sorted([*before, digest])

    end_forgotten(node, datetime.now(UTC) + KEPT + timedelta(days=1))

    assert digest not in kept(driver)["blobs"]
    assert not node.ledger.rows("SELECT 1 FROM entries WHERE kind = 'forgotten'")


def test_what_a_run_needs_stays_as_long_as_the_run_though_its_planning_is_forgotten(driver: Driver):
    plan, *_ = begun(driver)
    node = node_of(driver)
    # As where the panel was put for an earlier session, under another name than the run's.
    node.ledger.write("UPDATE run_activity SET at = '2026-01-01' WHERE run <> ?", plan.run)
    later = datetime.now(UTC) + KEPT + timedelta(days=1)
    node.runs.touch(plan.run, later)

    end_forgotten(node, later)

    assert node.records.has_blob(plan.panel)
    assert node.records.has_blob(plan.variants)


def test_what_a_crash_has_left_of_a_blob_is_deleted_at_the_next_start(driver: Driver):
    node = node_of(driver)
    (node.blobs.folder / "ab.0f.part").write_bytes(b"half")

    node.blobs.sweep(0.0)

    assert not [path for path in node.blobs.folder.iterdir() if path.suffix == ".part"]


def test_another_coordinator_may_not_ask_in_a_run(driver: Driver):
    plan, order, blob = begun(driver)
    node = node_of(driver)
    node.ledger.write("UPDATE run_coordinators SET signer = ?", "0" * 64)
    driver.lines["FI"].put("run-9", "asks", blob)

    for method, asked in (("Open", order), ("Finish", FinishOrder(plan.run))):
        with pytest.raises(ProtocolRefused, match="begun by another coordinator") as caught:
            driver.lines["FI"].call(method, asked)
        assert caught.value.code == "WRONG_SIGNER"


def test_what_a_proposal_needs_stays_when_the_run_that_brought_it_ends(driver: Driver):
    first, *_ = begun(driver)
    second = replace(first, run="run-2")
    driver.lines["FI"].call("Propose", second)

    driver.lines["FI"].call("Finish", FinishOrder(first.run))

    node = node_of(driver)
    assert node.records.has_blob(second.panel)
    assert node.records.has_blob(second.variants)


def test_a_blob_that_comes_in_while_an_agent_clears_up_is_kept(driver: Driver, monkeypatch: pytest.MonkeyPatch):
    """An agent that was started again answers before it has cleared up what a crash left."""
    line, blobs = driver.lines["FI"], node_of(driver).blobs
    stray = blobs.folder / f"{'0' * 64}.abcd.part"
    stray.write_bytes(b"half")
    fsync = os.fsync

    def in_the_middle(descriptor: int) -> None:
        blobs.sweep(time.time())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", in_the_middle)
    digest = line.put("run-9", "people", b'{"keep":null,"remove":[]}')

    assert (blobs.folder / digest).read_bytes() == b'{"keep":null,"remove":[]}'
    assert not stray.exists()
