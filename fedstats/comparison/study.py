"""The study that every setting runs: simulated people of one population at any number of sites, and people outside.

Two groups are at no site: those that the attack must tell from members, and those from whom the attacker knows the
population's frequencies.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fedstats.arrays import Indices, Reals
from fedstats.sandbox import pooled
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import SimulatedFiles, simulate

TRAIT, COVARIATES = "q1", ("age", "sex")
#: Widest values that the simulator draws: what `dp` is told as ranges.
RANGES = {"q1": (-6.0, 6.0), "age": (18.0, 95.0), "sex": (0.0, 1.0)}
#: People outside of the study: those to be told from members, and the attacker's own panel.
OUTSIDERS, PANEL = 300, 1_500


@dataclass(frozen=True)
class Study:
    """Files of a study, and who is where.

    Attributes
    ----------
    files
        The pooled fileset; its table of covariates has a column nodesN of sites for each number of nodes.
    members, outsiders, panel
        Rows of the fileset: people of the study, people outside, the attacker's panel.
    """

    files: SimulatedFiles
    members: Indices
    outsiders: Indices
    panel: Indices

    def at_first_node(self, nodes: int) -> Indices:
        """Rows of the people of the first of so many nodes."""
        return np.asarray(self.members[np.arange(len(self.members)) % nodes == 0])


def make_study(folder: Path, people: int, variants: int, nodes: Sequence[int], seed: int) -> Study:
    """Simulate a study with planted hits; no differences between sites, so that only membership tells people apart."""
    everybody = people + OUTSIDERS + PANEL
    recipe = Recipe(sites=1, samples=everybody, variants=variants, seed=seed, fst=0.0)
    files = simulate(folder / "data", recipe)
    order = np.random.default_rng(seed).permutation(everybody)
    members, outsiders, panel = np.split(order, [people, people + OUTSIDERS])
    _write_sites(files.covariates, members, nodes)
    return Study(files, members, outsiders, panel)


def _write_sites(covariates: Path, members: Indices, nodes: Sequence[int]) -> None:
    """A column of sites for each number of nodes; people outside have none."""
    table = pl.read_csv(covariates, separator="\t", infer_schema=False)
    for number in nodes:
        sites = np.full(len(table), "NA", object)
        sites[members] = [f"N{place % number + 1:02d}" for place in range(len(members))]
        table = table.with_columns(pl.Series(site_column(number), sites.tolist()))
    table.write_csv(covariates, separator="\t")


def site_column(nodes: int) -> str:
    """The column of sites for so many nodes."""
    return f"nodes{nodes}"


def dosages(study: Study, rows: Indices, variants: Indices) -> Reals:
    """Alternative alleles with NaN where a call is missing, shape (person, variant)."""
    people = _people(study)
    data = pooled.PooledData(people.packed[variants], people.people, rows, people.design, people.trait)
    return pooled.calls(data, 0, len(variants)).T


def _people(study: Study) -> pooled.PooledData:
    return pooled.read_pooled(
        study.files.prefix, study.files.phenotypes, study.files.covariates, TRAIT, list(COVARIATES)
    )
