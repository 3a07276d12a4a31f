"""Whole runs of a real coordinator against real agents in this process: what stays at the nodes between runs."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fedstats import scratch
from fedstats.client import FederationClient
from fedstats.coordinator.config import read_federation
from fedstats.errors import Failed, UsageError
from fedstats.planning import panel_files
from fedstats.sandbox.create import create
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate
from fedstats.transport.in_process import InProcessTransport
from node_agent.agent import Agent
from node_agent.config import read_settings
from node_agent.node import open_node
from node_agent.warm import load_steps

TABLES = (".gz", ".parquet")


@dataclass(frozen=True)
class Played:
    """A coordinator with its agents by name."""

    client: FederationClient
    agents: dict[str, Agent]

    def secrets(self) -> list[str]:
        """Secrets of runs and passes at all nodes."""
        folders = [agent.node.secrets.folder for agent in self.agents.values()]
        return [path.name for folder in folders for path in folder.glob("*-*")]

    def count(self, name: str, kind: str) -> int:
        """Entries of one kind in the ledger of a node."""
        return int(self.agents[name].node.ledger.rows("SELECT count(*) FROM entries WHERE kind = ?", kind)[0][0])

    def blobs(self) -> dict[str, list[str]]:
        """What each node keeps of blobs, by purpose."""
        return {
            name: [row[0] for row in agent.node.ledger.rows("SELECT purpose FROM blobs ORDER BY purpose")]
            for name, agent in self.agents.items()
        }


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    with playing(tmp_path) as found:
        yield found


@contextmanager
def playing(folder: Path) -> Iterator[Played]:
    load_steps()
    files = simulate(folder / "pooled", Recipe(sites=3, samples=900, variants=100, seed=5))
    sandbox = create(
        folder / "sandbox",
        bfile=files.prefix,
        pheno=files.phenotypes,
        covar=files.prefix.with_name("pooled.covar.tsv"),
        site_column="site",
    ).sandbox
    with ExitStack() as stack:
        agents = {}
        for name in sandbox.nodes:
            node = open_node(read_settings(sandbox.folder / name / "node.toml"))
            stack.callback(node.close)
            agents[name] = Agent(node)
        settings = read_federation(sandbox.federation_file)
        yield Played(FederationClient(settings, lambda _: InProcessTransport(agents)), agents)


def tables(out: Path) -> dict[str, bytes]:
    """Tables of a run; its log and record have times."""
    return {path.name: path.read_bytes() for path in out.parent.glob(f"{out.name}.*") if path.suffix in TABLES}


def first_people(folder: Path, each: int) -> list[tuple[str, str]]:
    """Identifiers of the first people of every site."""
    lists = [(path / "genotypes.fam").read_text().splitlines()[:each] for path in folder.iterdir() if path.is_dir()]
    return [(line.split()[0], line.split()[1]) for lines in lists for line in lines]


def interrupted(*_: Any) -> None:
    raise Failed("the analyst stopped it", code="STOPPED")


@pytest.mark.parametrize("analysis", ["freq", "gwas"])
def test_no_ledger_holds_a_refusal_of_the_first_run_of_a_federation(played: Played, tmp_path: Path, analysis: str):
    if analysis == "freq":
        played.client.freq(out=tmp_path / "run")
    else:
        played.client.gwas(["q1", "b1"], covariates=["age"], out=tmp_path / "run")

    for agent in played.agents.values():
        assert played.count(agent.name, "opened") > 0
        assert played.count(agent.name, "refused") == 0


def test_arrays_in_files_and_panels_in_stretches_give_the_same_tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def run(folder: Path) -> dict[str, bytes]:
        with playing(folder) as played:
            played.client.gwas(["q1", "b1"], covariates=["age"], maf=0.1, pass_variants=30, out=folder / "run")
            played.client.hardy(pass_variants=30, out=folder / "counts")
        return tables(folder / "run") | tables(folder / "counts")

    plain = run(tmp_path / "plain")
    monkeypatch.setattr(scratch, "HELD_BYTES", 0)
    monkeypatch.setattr(scratch, "SLICE", 7)
    monkeypatch.setattr(panel_files, "_PART_BYTES", 500)

    assert run(tmp_path / "in files") == plain
    assert {"run.variants.tsv.gz", "run.q1.parquet", "counts.hardy.tsv.gz"} <= plain.keys()


@pytest.mark.parametrize("to_disk", [True, False])
def test_a_finished_run_leaves_no_secrets_at_the_nodes(played: Played, tmp_path: Path, to_disk: bool):
    played.client.gwas("q1", covariates=["age"], out=tmp_path / "run" if to_disk else None)

    assert played.secrets() == []
    # The panel stays: every run of the federation has it.
    assert played.blobs() == {name: ["panel"] for name in played.agents}


def test_a_run_that_failed_keeps_its_secrets_for_resume(played: Played, tmp_path: Path):
    def stop(event: Any) -> None:
        if event.event == "pass" and event.data["state"] == "opened":
            interrupted()

    with pytest.raises(Failed, match="the analyst stopped it"):
        played.client.gwas("q1", out=tmp_path / "run", events=stop)

    assert len(played.secrets()) >= len(played.agents)
    played.client.gwas("q1", out=tmp_path / "run", resume=True)
    assert played.secrets() == []


def test_a_finished_run_can_be_resumed_again_to_the_same_files(played: Played, tmp_path: Path):
    table = tmp_path / "run.q1.tsv.gz"
    played.client.gwas("q1", out=tmp_path / "run")
    before = table.read_bytes()
    table.unlink()

    played.client.gwas("q1", out=tmp_path / "run", resume=True)

    assert table.read_bytes() == before


def test_a_run_takes_the_people_of_an_earlier_one(played: Played, tmp_path: Path):
    keep = first_people(tmp_path / "sandbox", 150)
    played.client.gwas("q1", keep=keep, out=tmp_path / "first")
    known = played.client.freq(keep=keep).to_polars()

    as_first = played.client.freq(people_as=str(tmp_path / "first")).to_polars()
    everybody = played.client.freq().to_polars()

    assert as_first.equals(known)
    assert as_first["OBS_CT"].max() <= 2 * 450 < everybody["OBS_CT"].max()


def test_people_of_a_run_can_be_left_out_further(played: Played, tmp_path: Path):
    keep = first_people(tmp_path / "sandbox", 150)
    played.client.gwas("q1", keep=keep, out=tmp_path / "first")

    fewer = played.client.freq(people_as=str(tmp_path / "first"), remove=keep[:20]).to_polars()

    assert fewer.equals(played.client.freq(keep=keep[20:]).to_polars())


def test_a_run_that_no_node_knows_is_named(played: Played):
    with pytest.raises(UsageError, match=r"the run 0{16}\.\.\. did not begin at this node") as caught:
        played.client.freq(people_as="0" * 64)

    assert caught.value.code == "UNKNOWN_RUN"


def test_people_as_needs_the_record_of_a_run(played: Played, tmp_path: Path):
    with pytest.raises(UsageError, match=r"there is no record of a finished run in none\.run\.json"):
        played.client.freq(people_as=str(tmp_path / "none"))
