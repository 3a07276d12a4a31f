"""Nodes that go away: waited for, passed over where enough others remain, or named when waiting is over."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fedstats.errors import DisclosureRefused, NodeLost, NodeUnreachable
from fedstats.step import Nothing
from fedstats.study import Block
from tests.coordinator.federation_of_nodes import (
    MODEL,
    N_VARIANTS,
    SCORES,
    SIZES,
    Weights,
    analyse,
    bytes_of,
    chunks_of,
    world,
)
from tests.coordinator.honest_node import HonestNode

METHODS = ("Put", "Open", "Ready", "Compute", "Fetch", "Commit", "Unmask", "Certify", "Receipt")


def expected(folder: Path, n_nodes: int = 3) -> list[bytes]:
    return bytes_of(list(analyse(world(n_nodes).coordinate(folder), chunks_of())))


def fails_times(method: str, times: int) -> Callable[[str, str], None]:
    """Away for the first calls of one method."""
    left = [times]

    def hook(node: str, called: str) -> None:
        if called == method and left[0]:
            left[0] -= 1
            raise NodeUnreachable("restarting", node=node)

    return hook


def gone_from(method: str) -> Callable[[str, str], None]:
    """Away for good from the first call of a method on."""
    gone = []

    def hook(node: str, called: str) -> None:
        if called == method:
            gone.append(called)
        if gone:
            raise NodeUnreachable("gone", node=node)

    return hook


def break_first_words(node: HonestNode) -> None:
    """Have the words of the first pass break off half-way, so that the rest is fetched."""
    broken, after = fails_times("Compute", 1), node.after

    def both(name: str, method: str) -> None:
        broken(name, method)
        after(name, method)

    node.after = both


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("method", METHODS)
def test_node_that_restarts_at_any_step_changes_no_byte(tmp_path: Path, method: str, when: str) -> None:
    there = world()
    setattr(there.nodes["N01"], when, fails_times(method, 2))
    if method == "Fetch":
        break_first_words(there.nodes["N01"])

    rows = list(analyse(there.coordinate(tmp_path / "run"), chunks_of()))

    assert bytes_of(rows) == expected(tmp_path / "undisturbed")
    assert set(there.computed.values()) == {1}


@pytest.mark.parametrize("method", ["Commit", "Unmask"])
def test_node_lost_after_its_upload_is_not_needed_to_open_the_pass_of_four(tmp_path: Path, method: str) -> None:
    there = world(4)
    there.nodes["N02"].before = gone_from(method)
    federation = there.coordinate(tmp_path)

    total = federation.sum(SIZES, MODEL, Nothing())

    assert total.people[0] == sum(node.dataset.people for node in there.nodes.values())


@pytest.mark.parametrize("method", ["Commit", "Unmask"])
def test_three_nodes_wait_for_one_lost_after_its_upload_and_keep_the_pass(tmp_path: Path, method: str) -> None:
    there = world(3)
    there.nodes["N02"].before = gone_from(method)

    with pytest.raises(NodeLost, match="N02: answered before"):
        there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())
    there.nodes["N02"].before = lambda node, called: None
    total = there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())

    assert total.people[0] == sum(node.dataset.people for node in there.nodes.values())
    assert set(there.computed.values()) == {1}


@pytest.mark.parametrize("method", ["Put", "Open", "Ready", "Compute", "Fetch"])
def test_pass_of_a_node_lost_before_its_upload_is_abandoned_and_tried_anew_when_it_is_back(
    tmp_path: Path, method: str
) -> None:
    there = world(3)
    there.nodes["N02"].before = gone_from(method)
    if method == "Fetch":
        break_first_words(there.nodes["N02"])

    with pytest.raises(NodeLost):
        there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())
    given_up = there.nodes["N00"].abandoned.copy()
    there.nodes["N02"].before = lambda node, called: None
    total = there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())

    assert len(given_up) == 1
    assert given_up <= there.nodes["N02"].abandoned  # told when it was back, before the new attempt
    assert total.people[0] == sum(node.dataset.people for node in there.nodes.values())


@pytest.mark.parametrize("behind", [0, 1, 3, 4])
def test_a_node_whose_signature_came_behind_its_words_is_not_asked_for_it(tmp_path: Path, behind: int) -> None:
    there = world(4)
    called: list[str] = []
    for number, node in enumerate(there.nodes.values()):
        node.completes_behind_words = number < behind
        node.before = lambda name, method: called.append(name) if method == "Commit" else None

    total = there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())

    assert total.people[0] == sum(node.dataset.people for node in there.nodes.values())
    assert not set(called) & set(list(there.nodes)[:behind])
    assert len(set(called)) >= 3 - behind  # three of four are enough


def test_finished_chunks_are_yielded_before_the_loss_is_raised(tmp_path: Path) -> None:
    there = world(3)
    rows = analyse(there.coordinate(tmp_path), chunks_of())

    first = next(rows)
    there.nodes["N01"].before = gone_from("Put")
    with pytest.raises(NodeLost):
        list(rows)

    assert first.tables["t"]["variant"].tolist() == [0, 1, 2, 3]
    there.nodes["N01"].before = lambda node, called: None
    assert bytes_of(list(analyse(there.coordinate(tmp_path), chunks_of()))) == expected(tmp_path / "undisturbed")


def test_refusal_of_a_node_ends_the_run_and_abandons_the_pass_everywhere(tmp_path: Path) -> None:
    there = world(3, chunks_in_flight=2)

    def refuse(node: str, method: str) -> None:
        if method == "Compute":
            raise DisclosureRefused("too few people", code="MIN_PEOPLE", node=node)

    there.nodes["N01"].before = refuse

    with pytest.raises(DisclosureRefused, match="N01: too few people"):
        there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())
    assert all(len(node.abandoned) == 1 for node in there.nodes.values())


def test_receipt_that_could_not_be_sent_is_sent_when_the_run_is_resumed(tmp_path: Path) -> None:
    there = world(4)
    there.nodes["N02"].before = gone_from("Receipt")
    there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())
    (held,) = there.nodes["N02"].passes.values()
    before = held.receipted

    there.nodes["N02"].before = lambda node, called: None
    there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())

    assert (before, held.receipted) == (False, True)


@pytest.mark.parametrize("method", ["Certify", "Receipt"])
def test_total_that_steers_waits_for_every_node_and_is_not_asked_again(tmp_path: Path, method: str) -> None:
    there = world(4)
    ask = [(Block(np.arange(N_VARIANTS)), Weights(np.ones(N_VARIANTS)))]
    there.nodes["N02"].before = gone_from(method)

    with pytest.raises(NodeLost, match="N02: answered before"):
        list(there.coordinate(tmp_path).each(SCORES, MODEL, ask))
    certified = {name: node.certified() for name, node in there.nodes.items()}
    there.nodes["N02"].before = lambda node, called: None
    list(there.coordinate(tmp_path).each(SCORES, MODEL, ask))

    assert certified["N02"] == 0
    assert {node.certified() for node in there.nodes.values()} == {1}
    assert set(there.computed.values()) == {1}


def test_waiting_and_return_of_a_node_are_told_once_each(tmp_path: Path) -> None:
    there = world(3)
    there.nodes["N01"].before = fails_times("Ready", 3)
    told: list[tuple[str, str]] = []
    federation = there.coordinate(tmp_path)
    federation.run.nodes.transport.on_state = lambda node, state, error: told.append((node, state))

    federation.sum(SIZES, MODEL, Nothing())

    assert told == [("N01", "waiting"), ("N01", "back")]
