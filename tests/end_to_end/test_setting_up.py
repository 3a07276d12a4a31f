"""A federation that is set up by the commands of custodians and coordinator alone works, and refuses what it should."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

import fedstats as package
from fedstats.cli.main import app as coordinator
from fedstats.frontend.backend import Event
from fedstats.frontend.local_backend import LocalFederation
from fedstats.identity.roster import read_roster
from fedstats.planning.panel_files import read_panel
from fedstats.sandbox import pooled, processes
from fedstats.sandbox.folder import Sandbox
from fedstats.sandbox.ports import free_ports
from fedstats.simulate.simulation import SimulatedFiles
from fedstats.simulate.split import split_by_site
from fedstats.study import Floors
from node_agent.cli import app as custodian
from node_agent.datasets.load import DatasetFiles, load_dataset
from tests.end_to_end.error_sites import Ended, edit, fedstats, fedstats_node
from tests.end_to_end.support import simulated

NODES = ("FI", "EE", "NO")
COVARIATES = ["age", "sex"]
POLICY = 'analyses = ["gwas/linear"]'

#: Largest difference, in standard errors, from least squares in float64: fixed-point steps are far smaller.
IN_STANDARD_ERRORS = 1e-8


@dataclass(frozen=True)
class SetUp:
    """The coordinator's folder with the nodes' folders in it, and the pooled data they were made from."""

    box: Sandbox
    files: SimulatedFiles

    @property
    def folder(self) -> Path:
        return self.box.folder


def ran(app: typer.Typer, *words: str | Path) -> str:
    """What a command printed; it ends with 0."""
    ended = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


def make_cards(folder: Path) -> list[Path]:
    """Everybody's keys where they stay, and a card of each in the folder of whoever needs it."""
    ran(coordinator, "init", folder, "--name", "ANALYST")
    for name in NODES:
        ran(custodian, "init", folder / name)
        ran(custodian, "card", folder / name / "node.toml")
        ran(custodian, "trust", folder / "ANALYST.card", "--folder", folder / name)
    return [*(folder / name / f"{name}.card" for name in NODES), folder / "ANALYST.card"]


def fill_in(folder: Path, addresses: dict[str, str]) -> None:
    """What people write by hand: addresses, the analyses that are allowed, where the coordinator finds whom."""
    for name, address in addresses.items():
        edit(folder / name / "node.toml", ("127.0.0.1:7401", address), ("# analyses = []", POLICY))
    tables = "\n\n".join(f'[[node]]\nname = "{name}"\naddress = "{address}"' for name, address in addresses.items())
    text = (folder / "federation.toml").read_text()
    before, rest = text.split("[[node]]")
    after = rest.split("[coordinator]")[1]
    whole = f"{before}{tables}\n\n[coordinator]{after}"
    (folder / "federation.toml").write_text(whole.replace('"my-federation"', '"baltic"'))


@pytest.fixture(scope="module")
def set_up(tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    """Set up by commands; no agent is started."""
    folder = tmp_path_factory.mktemp("set-up")
    files = simulated(folder / "study", 3, samples=900, variants=500)
    split_by_site(files.prefix, files.phenotypes, files.covariates, "site", folder)
    shutil.copy(files.prefix.with_suffix(".bim"), folder / "panel.bim")
    cards = make_cards(folder)
    roster = folder / "roster.toml"
    ran(coordinator, "roster", "draft", "--federation", "baltic", "--out", roster, *cards)
    ran(coordinator, "roster", "sign", roster)
    for name in NODES:  # from one to the next
        ran(custodian, "sign", shutil.copy(roster, folder / name))
        shutil.copy(folder / name / "roster.toml", roster)
    for name in NODES:
        shutil.copy(roster, folder / name)
    addresses = {name: f"127.0.0.1:{port}" for name, port in zip(NODES, free_ports(len(NODES)), strict=True)}
    fill_in(folder, addresses)
    return SetUp(Sandbox(folder, addresses), files)


@pytest.fixture(scope="module")
def running(set_up: SetUp) -> Iterator[SetUp]:
    try:
        processes.start(set_up.box)
        yield set_up
    finally:
        processes.stop(set_up.box)


@pytest.fixture
def copy(set_up: SetUp, tmp_path: Path) -> Path:
    """The same files once more, to be broken; no agent runs there."""
    return Path(shutil.copytree(set_up.folder, tmp_path / "copy", ignore=shutil.ignore_patterns("agent.*")))


def refused(ended: Ended, program: str, *said: str) -> None:
    assert ended.code == 2, ended.output + ended.errors
    assert [text for text in said if text not in ended.errors] == [], ended.errors
    assert ended.errors.startswith(f"{program}: ")
    assert "Traceback" not in ended.errors


def test_everybody_has_signed_a_roster_that_is_no_sandbox(set_up: SetUp) -> None:
    content = read_roster(set_up.folder / "roster.toml").content

    assert not content.sandbox
    assert [(node.name, node.min_people) for node in content.nodes] == [(name, 100) for name in NODES]
    assert ran(coordinator, "roster", "show", set_up.folder / "roster.toml").splitlines()[-1] == "signed by all"


def test_a_masked_gwas_has_the_bits_of_one_process_and_the_estimates_of_pooled_data(running: SetUp) -> None:
    plans: list[Event] = []
    with package.connect(running.box.federation_file) as federation:
        result = federation.gwas("q1", covariates=COVARIATES, events=plans.append)

    panel = read_panel(running.folder / "panel.bim")
    cohorts = {}
    for name in NODES:
        paths = (running.folder / name / file for file in ("genotypes.bed", "phenotypes.tsv", "covariates.tsv"))
        cohorts[name] = load_dataset(DatasetFiles(*paths), panel).dataset
    local = LocalFederation(cohorts, panel, floors=Floors()).gwas("q1", covariates=COVARIATES)
    assert result.to_arrow().equals(local.to_arrow())
    files = running.files
    data = pooled.read_pooled(files.prefix, files.phenotypes, files.covariates, "q1", COVARIATES)
    estimated = result["STATUS"] == "OK"
    difference = np.abs(result["BETA"] - pooled.linear_betas(data)) / result["SE"]
    assert estimated.mean() > 0.5
    assert difference[estimated].max() < IN_STANDARD_ERRORS
    assert set(result["OBS_CT"][estimated]) == {900}
    assert set(result["NODES"]) == {3}


def test_what_the_skeleton_does_not_allow_is_refused(running: SetUp, tmp_path: Path) -> None:
    ended = fedstats("freq", "--federation", running.box.federation_file, "--out", "run", cwd=tmp_path)

    assert ended.code == 3
    assert "policy rule analyses: 'freq' is not among gwas/linear" in ended.errors


def test_nobody_works_with_a_roster_that_a_node_has_not_signed(copy: Path) -> None:
    roster = copy / "roster.toml"
    text = roster.read_text()
    identity = read_roster(roster).node("NO").identity
    unsigned = [part for part in text.split("\n\n") if not part.startswith(f'[[signature]]\nidentity = "{identity}"')]
    roster.write_text("\n\n".join(unsigned).rstrip() + "\n")
    shutil.copy(roster, copy / "FI")

    refused(fedstats_node("serve", "--config", "FI/node.toml", cwd=copy), "fedstats-node", "node NO has not signed it")
    refused(fedstats("nodes", "--federation", "federation.toml", cwd=copy), "fedstats", "node NO has not signed it")
    assert ran(coordinator, "roster", "show", roster).splitlines()[-1] == "still to sign: NO"


def test_nobody_works_with_or_signs_a_roster_that_was_changed(copy: Path) -> None:
    edit(copy / "roster.toml", ("min_people = 100", "min_people = 1"))
    shutil.copy(copy / "roster.toml", copy / "FI")
    before = (copy / "FI" / "roster.toml").read_bytes()
    said = "the signature of node FI does not fit the content"

    refused(fedstats_node("serve", "--config", "FI/node.toml", cwd=copy), "fedstats-node", said)
    refused(fedstats("nodes", "--federation", "federation.toml", cwd=copy), "fedstats", said)
    refused(fedstats_node("sign", "FI/roster.toml", cwd=copy), "fedstats-node", said)
    assert (copy / "FI" / "roster.toml").read_bytes() == before
