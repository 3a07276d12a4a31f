"""A coordinator against real agents, one process each: what it loads, interruptions, nodes that are away.

Agents and coordinators that are killed, and nodes that are lost for good, are in tests/end_to_end/test_kills.py.
"""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fedstats.client import connect
from fedstats.documents import decode, digest
from fedstats.errors import Failed, NodeLost, NodeUnreachable, UsageError
from fedstats.frontend.backend import Event
from fedstats.sandbox import processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate
from fedstats.wire.messages import Plan

pytestmark = [pytest.mark.processes, pytest.mark.xdist_group("processes")]

TABLES = ("q1.tsv.gz", "q1.parquet")
#: A run of two chunks, so that something is finished while something is not.
ASKED: dict[str, Any] = {"covariates": ["age"], "pass_variants": 60}

#: A run does without these; each would take as long to load as a short run takes.
NOT_NEEDED = ("pandas", "polars", "scipy", "numba", "matplotlib", "structlog", "rich", "pyarrow.dataset")


def four_sites(folder: Path) -> Sandbox:
    files = simulate(folder / "pooled", Recipe(sites=4, samples=1200, variants=100, seed=5))
    return create(
        folder / "sandbox",
        bfile=files.prefix,
        pheno=files.phenotypes,
        covar=files.prefix.with_name("pooled.covar.tsv"),
        site_column="site",
    ).sandbox


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    made = four_sites(tmp_path_factory.mktemp("agents"))
    processes.start(made)
    yield made
    processes.stop(made)


@pytest.fixture
def all_up(sandbox: Sandbox) -> Sandbox:
    processes.start(sandbox)
    return sandbox


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("undisturbed") / "run"
    processes.start(sandbox)  # an earlier test may have left a node down
    gwas(sandbox, out)
    return tables(out)


def gwas(sandbox: Sandbox, out: Path, **given: Any) -> Any:
    with connect(sandbox.federation_file) as federation:
        return federation.gwas("q1", out=out, **{**ASKED, **given})


def tables(out: Path) -> dict[str, bytes]:
    return {name: out.with_name(f"{out.name}.{name}").read_bytes() for name in TABLES}


def test_command_loads_no_library_that_a_run_does_without(
    all_up: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    words = ["gwas", "--federation", all_up.federation_file, "--pheno", "q1", "--out", out]
    words += ["--covar", "age", "--pass-variants", 60]
    script = (
        "import json, sys; from fedstats.cli import main\n"
        f"sys.argv = ['fedstats', *{list(map(str, words))!r}]\n"
        "try: main.run()\n"
        f"finally: print(json.dumps([name for name in {NOT_NEEDED!r} if name in sys.modules]))"
    )

    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=120)

    assert tables(out) == undisturbed
    assert json.loads(ended.stdout.splitlines()[-1]) == []


def test_run_that_may_not_begin_anew_waits_for_its_node_and_is_resumed_with_it(
    all_up: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out, name = tmp_path / "run", list(all_up.nodes)[3]
    processes.kill(all_up, name)
    processes.start_one(all_up, name, environment={"FEDSTATS_TEST_CRASH": "before:S"})
    processes.wait_until_ready(all_up)

    # The same people were answered with all four nodes before: the three left refuse to answer without the fourth.
    with pytest.raises(NodeLost, match=f"{name}: answered before"):
        gwas(all_up, out, wait=1)
    processes.start(all_up)
    gwas(all_up, out, resume=True)

    assert tables(out) == undisturbed


def test_ctrl_c_ends_soon_leaves_nothing_half_written_and_can_be_resumed(
    all_up: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    script = (
        "import sys; from pathlib import Path; from fedstats import Failed, connect\n"
        "def hear(event):\n"
        "    if event.data.get('state') == 'opened': print('opened', flush=True)\n"
        "try:\n"
        f"    connect({str(all_up.federation_file)!r}).gwas('q1', out=Path({str(out)!r}), events=hear, **{ASKED!r})\n"
        "except Failed as error:\n"
        "    print(error.code, error.hint, flush=True); sys.exit(error.exit_code)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "opened\n"

    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=30)
    left = [path.name for path in tmp_path.iterdir() if "q1" in path.name]
    log = (tmp_path / "run.log").read_text()
    gwas(all_up, out, resume=True)

    assert process.returncode == 5
    assert "INTERRUPTED by the user.\n" in log
    assert "INTERRUPTED Repeat the command with --resume" in said
    assert left == []
    assert tables(out) == undisturbed


def test_an_interrupt_is_not_raised_into_the_midst_of_a_run(
    all_up: Sandbox, undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    """Else it could be where the main thread has just taken a lock that all others wait for."""
    out, interrupted = tmp_path / "run", []

    def hear(event: Event) -> None:
        if event.event == "plan" and not interrupted:
            signal.raise_signal(signal.SIGINT)
            interrupted.append(event)

    with pytest.raises(Failed, match="interrupted"):
        gwas(all_up, out, events=hear)
    gwas(all_up, out, resume=True)

    assert [event.event for event in interrupted] == ["plan"]
    assert tables(out) == undisturbed


def test_node_that_is_not_there_is_named_within_seconds(all_up: Sandbox, tmp_path: Path) -> None:
    name = next(iter(all_up.nodes))
    processes.kill(all_up, name)
    started = time.monotonic()

    with pytest.raises(NodeUnreachable, match=f"{name}: nobody answers at 127") as caught:
        gwas(all_up, tmp_path / "run")

    assert caught.value.exit_code == 4
    assert time.monotonic() - started < 15
    assert not [path for path in tmp_path.iterdir() if "q1" in path.name]


def test_nodes_tells_who_is_there_and_who_is_not(all_up: Sandbox) -> None:
    first, second, *_ = all_up.nodes
    processes.kill(all_up, second)

    with connect(all_up.federation_file) as federation:
        reports = {report.name: report for report in federation.nodes()}

    assert list(reports) == list(all_up.nodes)
    catalogue = reports[first].catalogue
    assert catalogue is not None
    assert catalogue.datasets[0].people % 100 == 0
    assert isinstance(reports[second].error, NodeUnreachable)


def test_other_request_is_not_resumed(all_up: Sandbox, tmp_path: Path) -> None:
    gwas(all_up, tmp_path / "run")

    with pytest.raises(UsageError, match="other values of --covar"):
        gwas(all_up, tmp_path / "run", covariates=["age", "sex"], resume=True)
    with pytest.raises(UsageError, match="nothing to resume"):
        gwas(all_up, tmp_path / "other", resume=True)


def test_a_plan_that_custodians_have_seen_is_the_one_that_is_gone_on_with(all_up: Sandbox, tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert gwas(all_up, out, plan_only=True) == {}
    body = out.with_name("run.gwas.linear.plan.json").read_bytes().strip()
    plan = decode(Plan, body)

    gwas(all_up, out, resume=True)

    assert sorted(plan.study.nodes) == sorted(all_up.nodes)
    record = json.loads(out.with_name("run.run.json").read_text())
    assert record["plans"] == {"gwas/linear": digest(plan)}
