"""Agents and coordinators that are killed: the run goes on, ends with the same bytes, and computes nothing twice.

Bytes are those of the result tables. What nodes computed is read from their ledgers, whose chains must be whole.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fedstats.coordinator.crash import POINTS
from fedstats.errors import NodeLost
from fedstats.privacy.pass_state import PassState
from fedstats.results.associations import Associations
from fedstats.sandbox import pooled, processes
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.simulation import SimulatedFiles
from tests.end_to_end.support import (
    COVARIATES,
    IMPATIENT,
    KILLED,
    LAST_CHUNK,
    TRAIT,
    Blocks,
    Ledgers,
    all_up,
    gwas,
    gwas_command,
    mortal,
    sandbox_of,
    simulated,
    tables,
)

#: Largest difference from the pooled analysis, in standard errors, that a plain float64 oracle allows.
POOLED = 1e-8


@dataclass(frozen=True)
class Undisturbed:
    """A run that nothing disturbed: its tables, and what each node computed for it."""

    tables: dict[str, bytes]
    blocks: Blocks

    @property
    def passes(self) -> list[tuple[str, int]]:
        """Places of all passes: scope and call."""
        return sorted({(scope, call) for scope, call, _ in self.blocks})

    @property
    def before_last_chunk(self) -> int:
        """Number of passes that are not of the last chunk."""
        return sum(scope != LAST_CHUNK for scope, _ in self.passes)


def undisturbed_run(sandbox: Sandbox, out: Path) -> Undisturbed:
    ledgers = Ledgers(sandbox)
    gwas(sandbox, out)
    blocks = [ledgers.computed(node) for node in sandbox.nodes]
    assert all(found == blocks[0] for found in blocks)
    assert set(blocks[0].values()) == {1}
    return Undisturbed(tables(out), blocks[0])


@pytest.fixture(scope="module")
def running_trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sandbox, Undisturbed]]:
    """Three agents, and their run when nothing disturbs it."""
    folder = tmp_path_factory.mktemp("trio")
    sandbox = sandbox_of(simulated(folder / "study", 3), folder / "sandbox")
    try:
        processes.start(sandbox)
        yield sandbox, undisturbed_run(sandbox, folder / "undisturbed")
    finally:
        processes.stop(sandbox)


@dataclass(frozen=True)
class Trio:
    """Three agents that run, and marks in their ledgers."""

    sandbox: Sandbox
    undisturbed: Undisturbed
    ledgers: Ledgers

    def assert_same_bytes_and_nothing_twice(self, out: Path) -> None:
        assert tables(out) == self.undisturbed.tables
        for node in self.sandbox.nodes:
            assert self.ledgers.computed(node) == self.undisturbed.blocks


@pytest.fixture
def trio(running_trio: tuple[Sandbox, Undisturbed]) -> Trio:
    sandbox, undisturbed = running_trio
    all_up(sandbox)
    ledgers = Ledgers(sandbox)
    ledgers.mark()
    return Trio(sandbox, undisturbed, ledgers)


def test_the_study_has_passes_of_two_blocks_and_more_chunks_than_are_in_flight(trio: Trio) -> None:
    blocks = trio.undisturbed.blocks

    assert {scope for scope, _, _ in blocks} == {"whole", "0", "1", "2", LAST_CHUNK}
    assert ("0", 0, 1) in blocks


# The first pass of the run, then one of several that are under way at a time.
@pytest.mark.parametrize(
    "points",
    [
        ("before:S", "after:S@4"),
        ("before:R", "after:R@4"),
        ("before:M", "mid:M", "after:M@2"),
        ("before:C", "after:C@4"),
        ("before:U", "after:U@4"),
        ("before:K", "after:K@4"),
        ("before:receipt", "after:receipt@4"),
    ],
    ids=lambda points: points[0].removeprefix("before:"),
)
def test_agent_killed_before_and_after_each_step_and_started_again_changes_no_byte(
    trio: Trio, out: Path, points: tuple[str, ...]
) -> None:
    with mortal(trio.sandbox, "EE", *points):
        gwas(trio.sandbox, out)

    trio.assert_same_bytes_and_nothing_twice(out)


def test_agents_killed_in_turn_by_the_signal_change_no_byte(trio: Trio, out: Path) -> None:
    """SIGKILL from outside, at whatever they are doing, one agent after the other as passes open."""
    victims = iter(list(trio.sandbox.nodes))
    opened = 0

    def strike(event: object) -> None:
        nonlocal opened
        opened += getattr(event, "data", {}).get("state") == "opened"
        if opened % 3 == 2 and (victim := next(victims, None)) is not None:
            opened += 1
            processes.kill(trio.sandbox, victim)
            processes.start_one(trio.sandbox, victim)

    gwas(trio.sandbox, out, events=strike)

    assert next(victims, None) is None
    trio.assert_same_bytes_and_nothing_twice(out)


# Once in the first pass, once among several that are under way; every point is there.
@pytest.mark.parametrize(("first", "second"), list(zip(POINTS[::2], POINTS[1::2], strict=True)))
def test_coordinator_killed_at_any_point_and_resumed_ends_with_the_same_bytes(
    trio: Trio, out: Path, first: str, second: str
) -> None:
    killed = gwas_command(trio.sandbox, out, crash=f"coordinator:{first}")
    again = gwas_command(trio.sandbox, out, "--resume", crash=f"coordinator:{second}@2")
    left = tables(out)
    gwas(trio.sandbox, out, resume=True)

    assert (killed.returncode, again.returncode) == (KILLED, KILLED), killed.stderr + again.stderr
    assert left == {}
    trio.assert_same_bytes_and_nothing_twice(out)


def test_node_that_does_not_come_back_ends_the_run_with_4_and_finished_passes_written(trio: Trio, out: Path) -> None:
    # All other passes are open by then, so the first chunk was finished.
    with mortal(trio.sandbox, "NO", f"before:S@{trio.undisturbed.before_last_chunk + 1}", back=False):
        lost = gwas_command(trio.sandbox, out, wait=IMPATIENT)
    partial = tables(out)

    assert lost.returncode == 4
    assert "NO: answered before" in lost.stderr
    assert "--resume" in lost.stderr
    assert "Traceback" not in lost.stderr
    assert set(partial) == {f".{TRAIT}.partial.tsv.gz", f".{TRAIT}.partial.parquet"}
    rows = pl.read_csv(partial[f".{TRAIT}.partial.tsv.gz"], separator="\t", infer_schema=False)
    whole = pl.read_csv(trio.undisturbed.tables[f".{TRAIT}.tsv.gz"], separator="\t", infer_schema=False)
    assert 0 < len(rows) < len(whole)
    assert rows.equals(whole[: len(rows)])

    all_up(trio.sandbox)
    resumed = gwas_command(trio.sandbox, out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert tables(out) == trio.undisturbed.tables


def test_three_nodes_wait_for_one_lost_after_its_upload_and_keep_its_words(trio: Trio, out: Path) -> None:
    # U is asked once all words and every C are there; what is on its way when a node dies may be lost with it.
    with mortal(trio.sandbox, "FI", "before:U@3", back=False), pytest.raises(NodeLost, match="FI: answered before"):
        gwas(trio.sandbox, out, wait=IMPATIENT)
    all_up(trio.sandbox)
    gwas(trio.sandbox, out, resume=True)

    trio.assert_same_bytes_and_nothing_twice(out)


@dataclass(frozen=True)
class Quartet:
    """Four agents, of which one agreed beforehand that runs may go on without it."""

    sandbox: Sandbox
    files: SimulatedFiles
    undisturbed: Undisturbed
    ledgers: Ledgers


#: The node that agreed.
WILLING = "SE"
#: The floor of the overlap lock in a sandbox, and two more.
FAR_ENOUGH = 12


@pytest.fixture(scope="module")
def running_quartet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Quartet]:
    folder = tmp_path_factory.mktemp("quartet")
    files = simulated(folder / "study", 4, samples=2_400)  # columns of three cohorts that share people need so many
    sandbox = sandbox_of(files, folder / "sandbox", continue_without_me=(WILLING,))
    try:
        processes.start(sandbox)
        yield Quartet(sandbox, files, undisturbed_run(sandbox, folder / "undisturbed"), Ledgers(sandbox))
    finally:
        processes.stop(sandbox)


@pytest.fixture
def quartet(running_quartet: Quartet) -> Quartet:
    all_up(running_quartet.sandbox)
    running_quartet.ledgers.mark()
    return running_quartet


def left_out(quartet: Quartet, number: int, folder: Path) -> tuple[Path, set[int]]:
    """A list of some people of every site to leave out, and their rows: who is left is asked with these nodes only.

    They are as many as cohorts must differ by, or nodes would refuse whoever is left as too close.
    """
    sites = pl.read_csv(quartet.files.covariates, separator="\t")["site"].to_numpy()
    some = slice(number * FAR_ENOUGH, (number + 1) * FAR_ENOUGH)
    rows = {int(row) for site in quartet.sandbox.nodes for row in np.flatnonzero(sites == site)[some]}
    lines = quartet.files.prefix.with_suffix(".fam").read_text().splitlines()
    path = folder / "remove.txt"
    path.write_text("".join(" ".join(lines[row].split()[:2]) + "\n" for row in rows))
    return path, rows


def test_four_nodes_open_a_pass_without_one_that_was_lost_after_its_upload(quartet: Quartet, out: Path) -> None:
    # The last pass of the run: every other one needs the words of all.
    with mortal(quartet.sandbox, "EE", f"before:U@{len(quartet.undisturbed.passes)}", back=False):
        gwas(quartet.sandbox, out, wait=IMPATIENT)

    assert processes.process_of(quartet.sandbox, "EE") is None
    assert tables(out) == quartet.undisturbed.tables
    opened = {node: count_opened(quartet.ledgers, node) for node in quartet.sandbox.nodes}
    assert opened["EE"] < len(quartet.undisturbed.passes)
    for node in quartet.sandbox.nodes:
        assert quartet.ledgers.computed(node) == quartet.undisturbed.blocks


def count_opened(ledgers: Ledgers, node: str) -> int:
    return sum(state == PassState.OPENED for state in ledgers.states(node).values())


def test_run_goes_on_without_a_node_that_agreed_to_that_and_says_so(quartet: Quartet, out: Path) -> None:
    remove, removed = left_out(quartet, 0, out.parent)
    point = f"before:S@{quartet.undisturbed.before_last_chunk + 1}"
    with mortal(quartet.sandbox, WILLING, point, back=False):
        done = gwas_command(quartet.sandbox, out, "--remove", str(remove), wait=IMPATIENT)

    assert done.returncode == 0, done.stderr
    result = Associations.read(out.with_name(f"{out.name}.{TRAIT}.parquet"))
    record = json.loads(out.with_name(f"{out.name}.run.json").read_text())
    assert set(result["NODES"]) == {3}
    assert record["nodes"] == [node for node in quartet.sandbox.nodes if node != WILLING]
    assert f"LOST {WILLING}" in record["banners"][0]
    assert f"LOST {WILLING}" in out.with_name(f"{out.name}.log").read_text()
    assert_is_pooled_analysis(result, quartet.files, removed)


def assert_is_pooled_analysis(result: Associations, files: SimulatedFiles, removed: set[int]) -> None:
    """Every estimate is that of the people of the other sites in one place, computed by code of its own."""
    data = pooled.read_pooled(files.prefix, files.phenotypes, files.covariates, TRAIT, list(COVARIATES))
    sites = pl.read_csv(files.covariates, separator="\t")["site"].to_numpy()
    keep = (sites[data.rows] != WILLING) & ~np.isin(data.rows, list(removed))
    data = replace(data, rows=data.rows[keep], design=data.design[keep], trait=data.trait[keep])
    estimated = result["STATUS"] == "OK"
    difference = np.abs(result["BETA"] - pooled.linear_betas(data)) / result["SE"]

    assert estimated.mean() > 0.5
    assert set(result["OBS_CT"][estimated]) == {keep.sum()}
    assert difference[estimated].max() < POOLED


def test_run_of_which_nothing_was_opened_begins_again_on_the_others(quartet: Quartet, out: Path) -> None:
    remove, _ = left_out(quartet, 1, out.parent)
    with mortal(quartet.sandbox, "EE", "before:S", back=False):
        done = gwas_command(quartet.sandbox, out, "--remove", str(remove), wait=IMPATIENT)

    assert done.returncode == 0, done.stderr
    assert set(Associations.read(out.with_name(f"{out.name}.{TRAIT}.parquet"))["NODES"]) == {3}


def test_run_of_four_stops_at_the_loss_of_a_node_that_did_not_agree(quartet: Quartet, out: Path) -> None:
    point = f"before:S@{quartet.undisturbed.before_last_chunk + 1}"
    with mortal(quartet.sandbox, "EE", point, back=False), pytest.raises(NodeLost) as lost:
        gwas(quartet.sandbox, out, wait=IMPATIENT)

    assert lost.value.exit_code == 4
    assert "--resume" in str(lost.value)
