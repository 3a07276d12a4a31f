"""Whole passes among three agents of this process, through real gRPC with mutual TLS."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from fedstats import scratch
from fedstats.errors import Failed, ProtocolRefused
from fedstats.privacy.messages import PASS_KEYS
from fedstats.wire.messages import ComputeOrder, FinishOrder, PassOrder, Plan
from tests.node_agent.driver import Driver, driven, texts
from tests.node_agent.sites import make_federation

BLOCKS = [np.arange(0, 10), np.arange(10, 25)]


@contextmanager
def begun(folder: Path, privacy: str) -> Iterator[tuple[Driver, Plan, PassOrder, bytes]]:
    """Agents that have begun a run, and the order and blob of a pass that is not opened."""
    with driven(make_federation(folder)) as driver:
        plan = driver.plan(privacy=privacy)
        driver.begin(plan)
        yield driver, plan, *driver.order(plan, BLOCKS)


def naive_counts(federation, block):
    """Called, heterozygous and homozygous people per variant over all sites, read off the dosages."""
    pooled = np.concatenate([site.dosages for site in federation.sites], axis=1)[block]
    return (pooled >= 0).sum(axis=1), (pooled == 1).sum(axis=1), (pooled == 2).sum(axis=1)


@pytest.mark.parametrize("privacy", ["plain", "masked"])
def test_total_of_a_pass_is_the_pooled_count(tmp_path: Path, privacy: str):
    with begun(tmp_path, privacy) as (driver, plan, order, blob):
        total = driver.whole_pass(plan, order, blob)

        first = 10 * 6 + 2
        for number, (block, words) in enumerate(zip(BLOCKS, (total[:first], total[first:]), strict=True)):
            counts = driver.counts(plan, order, words, block, number)
            called, het, hom = naive_counts(driver.federation, block)
            np.testing.assert_array_equal(counts.called, called)
            np.testing.assert_array_equal(counts.heterozygous, het)
            np.testing.assert_array_equal(counts.homozygous_alternative, hom)


def test_an_order_behind_its_blob_is_answered_as_one_that_comes_by_itself(tmp_path: Path):
    with begun(tmp_path, "masked") as (driver, _, order, blob):
        line = driver.lines["FI"]

        together = line.put_then(order.run, "asks", blob, order)

        assert together == line.call("Open", order)
        assert together.kind == PASS_KEYS


def test_an_order_behind_a_blob_that_is_not_the_announced_one_is_not_looked_at(tmp_path: Path):
    with begun(tmp_path, "plain") as (driver, _, order, blob):
        line = driver.lines["FI"]

        with pytest.raises(ProtocolRefused) as caught:
            line.put_then(order.run, "asks", blob[:-1], order, announced=blob)

        assert caught.value.code == "DAMAGED_BLOB"
        with pytest.raises(ProtocolRefused) as still:
            line.call("Open", order)
        assert still.value.code == "NO_BLOB"


def test_an_upload_that_finds_no_room_in_temporary_files_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with begun(tmp_path, "plain") as (driver, _, order, blob):
        monkeypatch.setattr(scratch, "HELD_BYTES", 0)
        with monkeypatch.context() as full:
            full.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115
            with pytest.raises(
                Failed, match=r"a temporary file cannot be written \(No space left on device\)"
            ) as caught:
                driver.lines["FI"].put(order.run, "asks", blob)

        assert caught.value.code == "DISK_FULL"
        assert "/" not in caught.value.message
        assert driver.lines["FI"].put(order.run, "asks", blob) == order.asks


def test_only_orders_that_need_a_blob_may_come_behind_one(tmp_path: Path):
    with begun(tmp_path, "plain") as (driver, _, order, blob):
        with pytest.raises(ProtocolRefused, match="does not go with a blob") as caught:
            driver.lines["FI"].put_then(order.run, "asks", blob, FinishOrder(order.run))

        assert caught.value.code == "MALFORMED"
        driver.lines["FI"].put(order.run, "asks", blob)
        assert driver.lines["FI"].call("Open", order).kind == "Accepted"


def test_behind_masked_words_comes_the_signature_that_they_are_complete(tmp_path: Path):
    with begun(tmp_path, "masked") as (driver, _, order, blob):
        readies = driver.ready(order, driver.open(order, blob))
        ask = ComputeOrder(order.run, order.pass_id, texts(readies))

        came = {name: line.words_and_behind(ask) for name, line in driver.lines.items()}

        assert {name: behind for name, (_, behind) in came.items()} == driver.commit(order)
        assert all(len(words) == order.upload_bytes for words, _ in came.values())


def test_nothing_comes_behind_words_that_are_not_masked(tmp_path: Path):
    with begun(tmp_path, "plain") as (driver, _, order, blob):
        driver.open(order, blob)

        words, behind = driver.lines["FI"].words_and_behind(ComputeOrder(order.run, order.pass_id, {}))

        assert (len(words), behind) == (order.upload_bytes, None)
