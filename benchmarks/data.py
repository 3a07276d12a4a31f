"""The data of a benchmark: simulated once a size, with a table of forty covariates, split into sandboxes."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox, open_sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate

FOLDER = Path(__file__).parent / "data"
SEED = 1

#: The simulator's own numeric covariates; further ones are normal and mean nothing.
SIMULATED = ("age", "sex", "PC1", "PC2", "PC3", "PC4")
MOST_COVARIATES = 40
NODES = (3, 5, 8, 15)


@dataclass(frozen=True)
class Size:
    """A data set: how many people, variants, traits, and the share of calls that are missing."""

    people: int
    variants: int
    missing: float = 0.005
    traits: int = 2

    @property
    def name(self) -> str:
        """Name of its folder."""
        return f"{self.people}x{self.variants}.t{self.traits}.m{self.missing:g}"

    @property
    def prefix(self) -> Path:
        """Prefix of the pooled fileset."""
        return FOLDER / self.name / "pooled"

    @property
    def covariate_table(self) -> Path:
        """Forty covariates, and a column nodesN of places for N nodes."""
        return FOLDER / self.name / "covariates.tsv"

    def __str__(self) -> str:
        return f"{self.people:,} x {self.variants:,}"


def covariates(number: int) -> tuple[str, ...]:
    """The first covariates of the table."""
    return (*SIMULATED, *(f"C{i + 1}" for i in range(MOST_COVARIATES - len(SIMULATED))))[:number]


def pooled(size: Size) -> Path:
    """Prefix of the pooled fileset, simulated if it is not there yet."""
    done = size.prefix.parent / "done"
    if not done.exists():
        shutil.rmtree(size.prefix.parent, ignore_errors=True)
        recipe = Recipe(
            samples=size.people, variants=size.variants, missing_rate=size.missing, traits=size.traits, seed=SEED
        )
        files = simulate(size.prefix, recipe)
        _write_covariates(files.covariates, size.covariate_table)
        done.touch()
    return size.prefix


def _write_covariates(simulated: Path, out: Path) -> None:
    table = pl.read_csv(simulated, separator="\t", infer_schema=False)
    rng = np.random.default_rng(SEED)
    more = covariates(MOST_COVARIATES)[len(SIMULATED) :]
    columns = [pl.Series(name, [f"{x:.6f}" for x in rng.normal(size=len(table))]) for name in more]
    for number in NODES:
        places = rng.permutation(np.arange(len(table)) % number)
        columns.append(pl.Series(f"nodes{number}", [f"N{place + 1:02d}" for place in places]))
    table.with_columns(columns).write_csv(out, separator="\t")


def sandbox(size: Size, nodes: int = 3) -> Sandbox:
    """A fresh sandbox of the data set: ledgers and spools of earlier runs would count against later ones."""
    prefix = pooled(size)
    folder = prefix.parent / f"nodes{nodes}"
    shutil.rmtree(folder, ignore_errors=True)
    pheno = prefix.with_name("pooled.pheno.tsv")
    create(folder, bfile=prefix, pheno=pheno, covar=size.covariate_table, site_column=f"nodes{nodes}")
    return open_sandbox(folder)
