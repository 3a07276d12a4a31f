"""Fifteen agents on one machine, each with people assigned at random, give the answer of three and of one cohort."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import fedstats
from fedstats.frontend.analyst import Analyst
from fedstats.frontend.local_backend import LocalFederation
from fedstats.planning.panel_files import read_panel
from fedstats.results.associations import Associations
from fedstats.sandbox import processes
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.simulation import SimulatedFiles
from fedstats.study import Floors
from node_agent.datasets.load import DatasetFiles, load_dataset
from tests.end_to_end.support import sandbox_of, simulated

TRAITS = ["q1", "b1"]
COVARIATES = ["age", "sex", "PC1", "PC2"]
NODES = 15

#: Tolerance against one cohort in one process, in standard errors: fixed-point rounding at every node.
ONE_COHORT = 1e-9

Results = Mapping[str, Associations]


@dataclass(frozen=True)
class Study:
    """One study split in two ways, with the results of its agents."""

    files: SimulatedFiles
    many: Sandbox
    of_many: Results
    of_three: Results


def run(federation: Analyst) -> Results:
    return federation.gwas(TRAITS, covariates=COVARIATES, chr="1-4,X")


def with_places(files: SimulatedFiles) -> Path:
    """The covariate table with one more column: one of fifteen places for each person, at random."""
    table = pl.read_csv(files.covariates, separator="\t", infer_schema=False)
    places = np.random.default_rng(15).permutation(np.arange(len(table)) % NODES)
    path = files.prefix.with_name("places.tsv")
    table.with_columns(place=pl.Series([f"N{place:02d}" for place in places])).write_csv(path, separator="\t")
    return path


def results_of_agents(sandbox: Sandbox) -> Results:
    try:
        processes.start(sandbox)
        with fedstats.connect(sandbox.federation_file) as federation:
            return run(federation)
    finally:
        processes.stop(sandbox)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Study]:
    folder = tmp_path_factory.mktemp("many")
    files = simulated(folder / "study", 3, samples=3_000, variants=500)
    three = sandbox_of(files, folder / "three")
    many = sandbox_of(files, folder / "many", covar=with_places(files), site_column="place")
    return Study(files, many, results_of_agents(many), results_of_agents(three))


def one_cohort(study: Study) -> Results:
    files = DatasetFiles(study.files.bed, study.files.phenotypes, study.files.covariates)
    panel = read_panel(study.files.prefix.with_suffix(".bim"))
    return run(LocalFederation({"all": load_dataset(files, panel).dataset}, panel))


def same_cohorts(study: Study) -> Results:
    """The cohorts of the fifteen nodes in this process, under the floors of the agents' policy."""
    panel = read_panel(study.files.prefix.with_suffix(".bim"))
    cohorts = {}
    for node in study.many.nodes:
        folder = study.many.node_folder(node)
        files = DatasetFiles(*(folder / name for name in ("genotypes.bed", "phenotypes.tsv", "covariates.tsv")))
        cohorts[node] = load_dataset(files, panel).dataset
    return run(LocalFederation(cohorts, panel, floors=Floors()))


def furthest(one: Associations, other: Associations) -> float:
    """Largest difference of two results' estimates in standard errors, over rows that both estimated."""
    assert one["ID"].tolist() == other["ID"].tolist()
    both = (one["STATUS"] == "OK") & (other["STATUS"] == "OK")
    assert both.mean() > 0.5
    return float(np.max(np.abs(one["BETA"] - other["BETA"])[both] / other["SE"][both]))


@pytest.mark.parametrize("trait", TRAITS)
def test_fifteen_agents_finish_with_everybody_in_every_row(study: Study, trait: str) -> None:
    result = study.of_many[trait]

    assert set(result["NODES"]) == {NODES}
    assert set(result["OBS_CT"][result["STATUS"] == "OK"]) == {3_000}


@pytest.mark.parametrize("trait", TRAITS)
def test_fifteen_agents_give_the_bits_of_their_cohorts_in_one_process(study: Study, trait: str) -> None:
    assert study.of_many[trait].to_arrow().equals(same_cohorts(study)[trait].to_arrow())


@pytest.mark.parametrize("trait", TRAITS)
def test_fifteen_agents_give_the_answer_of_three(study: Study, trait: str) -> None:
    assert furthest(study.of_many[trait], study.of_three[trait]) < ONE_COHORT


@pytest.mark.parametrize("trait", TRAITS)
def test_fifteen_agents_give_the_answer_of_one_cohort(study: Study, trait: str) -> None:
    assert furthest(study.of_many[trait], one_cohort(study)[trait]) < ONE_COHORT
