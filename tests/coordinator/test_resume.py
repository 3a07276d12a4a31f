"""A coordinator that is killed at any point and started again ends with the same bytes, and no node computes twice."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fedstats.coordinator.crash import POINTS
from fedstats.errors import Failed, NodeUnreachable
from fedstats.step import Nothing
from tests.coordinator.federation_of_nodes import (
    MODEL,
    SIZES,
    World,
    analyse,
    bytes_of,
    chunks_of,
    know_steps,
    world,
)

#: Traits of which the rows of a chunk take more room than its totals.
MANY = 100


class PowerCut(BaseException):
    """The process ends here; nothing below may catch it."""


def cut_at(point: str, occurrence: int) -> Callable[[str], None]:
    seen = []

    def at(reached: str) -> None:
        if reached == point:
            seen.append(reached)
            if len(seen) == occurrence:
                raise PowerCut

    return at


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[bytes]]:
    """Bytes of a run that nothing disturbs, by privacy setting."""
    found: dict[str, list[bytes]] = {}

    def of(privacy: str) -> list[bytes]:
        if privacy not in found:
            folder = tmp_path_factory.mktemp(privacy)
            found[privacy] = bytes_of(list(analyse(world(3, privacy).coordinate(folder), chunks_of())))
        return found[privacy]

    return of


def run_to_the_end(there: World, folder: Path, traits: int = 1) -> list[bytes]:
    federation = there.coordinate(folder)
    try:
        return bytes_of(list(analyse(federation, chunks_of(), traits)))
    finally:
        federation.run.aside.wait()  # as a session does when it is closed


@pytest.mark.parametrize("occurrence", [1, 4])
@pytest.mark.parametrize("point", POINTS)
def test_killed_coordinator_ends_with_the_same_bytes_and_nothing_is_computed_twice(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]], point: str, occurrence: int
) -> None:
    there = world()

    # There are two chunks, so there is no fourth time that rows are kept.
    occurrence = min(occurrence, 2) if point == "after:rows" else occurrence
    with pytest.raises(PowerCut):
        list(analyse(there.coordinate(tmp_path / "run", crash=cut_at(point, occurrence)), chunks_of()))
    resumed = run_to_the_end(there, tmp_path / "run")

    assert resumed == undisturbed("masked")
    assert set(there.computed.values()) == {1}
    assert not list((tmp_path / "run" / "passes").iterdir())


@pytest.mark.parametrize(
    "point", ["after:S", "mid:M", "after:M", "after:total", "before:K", "after:K", "after:receipt", "after:rows"]
)
def test_killed_coordinator_of_a_plain_run_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]], point: str
) -> None:
    there = world(privacy="plain")

    with pytest.raises(PowerCut):
        list(analyse(there.coordinate(tmp_path / "run", crash=cut_at(point, 2)), chunks_of()))

    assert run_to_the_end(there, tmp_path / "run") == undisturbed("plain")
    assert set(there.computed.values()) == {1}


def test_run_killed_at_every_point_in_turn_still_ends_with_the_same_bytes(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]]
) -> None:
    there = world()
    for point in POINTS:
        with pytest.raises(PowerCut):
            list(analyse(there.coordinate(tmp_path / "run", crash=cut_at(point, 1)), chunks_of()))

    assert run_to_the_end(there, tmp_path / "run") == undisturbed("masked")
    assert set(there.computed.values()) == {1}


@pytest.mark.parametrize("occurrence", [1, 2])
@pytest.mark.parametrize("point", ["after:total", "after:K", "after:receipt", "after:rows"])
def test_killed_run_whose_totals_are_smaller_than_its_rows_makes_the_same_rows_of_them(
    tmp_path: Path, point: str, occurrence: int
) -> None:
    undisturbed = bytes_of(list(analyse(world().coordinate(tmp_path / "whole"), chunks_of(), MANY)))
    there = world()

    with pytest.raises(PowerCut):
        list(analyse(there.coordinate(tmp_path / "run", crash=cut_at(point, occurrence)), chunks_of(), MANY))

    assert run_to_the_end(there, tmp_path / "run", MANY) == undisturbed
    assert set(there.computed.values()) == {1}
    assert not (tmp_path / "run" / "rows").exists()


@pytest.mark.parametrize("traits", [1, MANY])
def test_finished_run_that_is_resumed_asks_nothing(tmp_path: Path, traits: int) -> None:
    there = world()
    rows = run_to_the_end(there, tmp_path, traits)

    def away(node: str, method: str) -> None:
        raise NodeUnreachable("gone", node=node)

    for node in there.nodes.values():
        node.before = away

    assert run_to_the_end(there, tmp_path, traits) == rows


def test_plan_that_asks_for_something_else_on_resume_is_refused(tmp_path: Path) -> None:
    there = world()
    there.coordinate(tmp_path).sum(SIZES, MODEL, Nothing())
    other = MODEL.__class__("other", "autosome", MODEL.traits, MODEL.terms)

    with pytest.raises(Failed, match="asks for something else"):
        there.coordinate(tmp_path).sum(SIZES, other, Nothing())


@pytest.mark.parametrize("kind", ["totals", "rows"])
def test_damaged_state_is_noticed(tmp_path: Path, kind: str) -> None:
    there = world()
    run_to_the_end(there, tmp_path)
    path = sorted((tmp_path / kind).iterdir())[0]
    body = bytearray(path.read_bytes())
    body[-1] ^= 1
    path.write_bytes(bytes(body))

    with pytest.raises(Failed, match=f"{kind}/{path.name} .* is damaged"):
        run_to_the_end(there, tmp_path)


@pytest.mark.parametrize("point", ["after:S", "after:R", "after:M"])
def test_pass_that_a_node_abandoned_meanwhile_is_tried_anew(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]], point: str
) -> None:
    there = world()
    with pytest.raises(PowerCut):
        list(analyse(there.coordinate(tmp_path, crash=cut_at(point, 1)), chunks_of()))
    for name in ("N00", "N02"):
        node = there.nodes[name]
        node.abandoned.update(node.passes)
        node.passes.clear()
        node.answers = {key: answer for key, answer in node.answers.items() if key[0] in ("Propose", "Begin")}

    assert run_to_the_end(there, tmp_path) == undisturbed("masked")


@pytest.mark.parametrize("kept", [b"", b"not what was written"])
@pytest.mark.parametrize("step", ["S", "R"])
def test_messages_that_a_power_cut_damaged_are_asked_for_again(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]], step: str, kept: bytes
) -> None:
    there = world()
    with pytest.raises(PowerCut):
        list(analyse(there.coordinate(tmp_path, crash=cut_at("after:R", 2)), chunks_of()))
    damaged = next((tmp_path / "passes").glob(f"*/{step}.messages"))
    damaged.write_bytes(kept)

    assert run_to_the_end(there, tmp_path) == undisturbed("masked")
    assert set(there.computed.values()) == {1}


def full_after(writes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that takes so many more files and is full then."""
    left = [writes]
    sync = os.fsync

    def fsync(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("writes", [0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13, 17, 40])
def test_full_disk_ends_the_run_with_one_clear_error_and_space_lets_it_go_on(
    tmp_path: Path, undisturbed: Callable[[str], list[bytes]], monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    there, same = world(), undisturbed("masked")

    full_after(writes, monkeypatch)
    with pytest.raises(Failed, match="the disk is full") as caught:
        run_to_the_end(there, tmp_path / "run")
    monkeypatch.undo()
    know_steps(monkeypatch)  # undone with the disk

    assert "--resume" in caught.value.hint
    assert run_to_the_end(there, tmp_path / "run") == same
    assert set(there.computed.values()) == {1}
