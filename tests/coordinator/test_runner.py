"""Sums through passes are the sums of the data, whatever the privacy setting, the split, or the number of nodes."""

import time
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from fedstats.errors import MaskMismatch, ProtocolRefused, RangeOverflow
from fedstats.federation import Federation
from fedstats.local import LocalSite, LocalSums
from fedstats.rows import Rows
from fedstats.step import Nothing
from fedstats.study import Chunk
from fedstats.wire.contribution import open_contribution
from tests.coordinator.federation_of_nodes import (
    BLOCK,
    MODEL,
    SCORES,
    SIZES,
    Weights,
    analyse,
    bytes_of,
    chunks_of,
    world,
)


def pooled(nodes: dict) -> list:
    sites = [LocalSite(node.dataset, np.ones(node.dataset.people, np.bool_)) for node in nodes.values()]
    return list(analyse(LocalSums(sites), chunks_of()))


@pytest.mark.parametrize("privacy", ["plain", "masked"])
@pytest.mark.parametrize("chunks_in_flight", [1, 3])
def test_rows_are_the_bits_of_the_local_federation(tmp_path: Path, privacy: str, chunks_in_flight: int) -> None:
    there = world(3, privacy, chunks_in_flight=chunks_in_flight)

    rows = list(analyse(there.coordinate(tmp_path), chunks_of()))

    assert [row.tables["t"]["variant"].tolist() for row in rows] == [c.variants.tolist() for c in chunks_of()]
    assert bytes_of(rows) == bytes_of(pooled(there.nodes))


def test_fifteen_nodes_give_the_bits_of_the_local_federation(tmp_path: Path) -> None:
    there = world(15)

    assert bytes_of(list(analyse(there.coordinate(tmp_path), chunks_of()))) == bytes_of(pooled(there.nodes))


def test_counts_are_those_of_all_people(tmp_path: Path) -> None:
    there = world(4)
    federation = there.coordinate(tmp_path)

    sizes = federation.sum(SIZES, MODEL, Nothing())
    ((_, scores),) = federation.each(SCORES, MODEL, [(BLOCK, Weights(np.ones(len(BLOCK))))])

    assert sizes.people.tolist() == [sum(node.dataset.people for node in there.nodes.values())]
    called = sum((node.dataset.genotypes.dosages >= 0).sum(axis=1) for node in there.nodes.values())
    assert_array_equal(scores.called, called)


def test_every_node_has_a_receipt_for_every_pass(tmp_path: Path) -> None:
    there = world()

    list(analyse(there.coordinate(tmp_path), chunks_of()))

    held = [one for node in there.nodes.values() for one in node.passes.values()]
    assert held
    assert all(one.receipted for one in held)
    assert not list((tmp_path / "passes").iterdir())


def test_words_changed_on_their_way_are_noticed_and_nothing_is_kept(tmp_path: Path) -> None:
    there = world()
    honest = there.nodes["N01"].fetch

    def changed(method: str, order: object) -> object:
        offset, runs = honest(method, order)
        data = bytearray(b"".join(runs))
        data[-1] ^= 1
        return offset, [bytes(data)]

    there.nodes["N01"].fetch = changed  # type: ignore[method-assign]  # a node that lies

    with pytest.raises(MaskMismatch, match="did not cancel"):
        list(analyse(there.coordinate(tmp_path), chunks_of()))
    assert not (tmp_path / "totals").exists()


def test_total_over_its_bound_is_refused_and_nothing_is_kept(tmp_path: Path) -> None:
    there = world(privacy="plain")
    honest = there.nodes["N01"]._release
    there.nodes["N01"]._release = lambda *given: honest(*given) + np.uint64(1 << 61)  # type: ignore[method-assign]

    with pytest.raises(RangeOverflow, match="exceeds its bound"):
        list(analyse(there.coordinate(tmp_path), chunks_of()))
    assert not (tmp_path / "totals").exists()


def test_every_pass_is_told_when_it_is_asked_and_when_it_is_open(tmp_path: Path) -> None:
    heard = []
    there = world()
    federation = there.coordinate(tmp_path, emit=lambda event, data: heard.append((event, data)))

    list(federation.each(SCORES, MODEL, [(BLOCK, Weights(np.ones(len(BLOCK))))]))

    assert [(event, data["state"], data["variants"]) for event, data in heard] == [
        ("pass", "asked", 8),
        ("pass", "opened", 8),
    ]
    assert federation.run.progress.passes == 1


def test_a_run_that_fails_ends_what_it_does_beside_first(tmp_path: Path) -> None:
    """Else whoever goes on with it would find its files go."""
    there = world()
    federation = there.coordinate(tmp_path)
    done: list[str] = []

    def slow() -> None:
        time.sleep(0.2)
        done.append("a receipt")

    def fail(handle: Federation, chunk: Chunk) -> Rows:  # as map calls it
        federation.run.aside.do(slow)
        raise RangeOverflow("over its bound", code="RANGE_OVERFLOW")

    with pytest.raises(RangeOverflow):
        list(federation.map(fail, chunks_of()[:1]))

    assert done == ["a receipt"]


def test_traffic_counts_every_word_that_a_node_sent(tmp_path: Path) -> None:
    there = world()
    federation = there.coordinate(tmp_path)

    federation.sum(SIZES, MODEL, Nothing())

    traffic = federation.run.nodes.transport.traffic
    # 2 words of the release and its check word, 8 bytes each, on top of at least 4 signatures
    assert all(traffic.bytes_received[name] > 3 * 8 + 4 * 64 for name in there.nodes)
    assert set(traffic.bytes_sent) == set(there.nodes)


def test_equal_asks_are_put_at_a_node_once_a_run_and_again_where_they_are_gone(tmp_path: Path) -> None:
    there = world(3)
    federation = there.coordinate(tmp_path)
    puts: list[str] = []
    for node in there.nodes.values():
        node.before = lambda name, method: puts.append(name) if method == "Put" else None

    first = federation.sum(SIZES, MODEL, Nothing())
    second = federation.sum(SIZES, MODEL, Nothing())
    assert sorted(puts) == sorted(there.nodes)

    one = next(iter(there.nodes))
    there.nodes[one].blobs.clear()
    third = federation.sum(SIZES, MODEL, Nothing())
    assert sorted(puts) == sorted([*there.nodes, one])
    assert first.people == second.people == third.people


@pytest.mark.parametrize("length", [0, 15, 17, 24])
def test_words_of_another_length_than_the_pass_are_refused(length: int) -> None:
    with pytest.raises(ProtocolRefused, match="where 16 are due"):
        open_contribution(np.zeros(length, np.uint8), 2)
