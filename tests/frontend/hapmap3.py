"""HapMap 3 as three sites in memory, and plink2's answers on the pooled data."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from fedstats.dataset import Column, Dataset
from fedstats.frontend.local_backend import LocalFederation
from fedstats.genotypes import PackedBlock, pack
from fedstats.planning.panel import Panel
from fedstats.planning.panel_files import read_panel
from node_agent.datasets.load import DatasetFiles, load_dataset

HAPMAP3 = Path(__file__).resolve().parents[3] / "shared" / "data" / "hapmap3"
needs_data = pytest.mark.skipif(not HAPMAP3.is_dir(), reason="the shared data folder is not on this machine")


@dataclass(frozen=True)
class SomePeople:
    """Genotypes of some people of a file, packed anew."""

    pooled: Dataset
    rows: np.ndarray

    def block(self, variants: np.ndarray) -> PackedBlock:
        return pack(self.pooled.genotypes.block(variants).dosages()[:, self.rows])


@cache
def pooled() -> tuple[Dataset, Panel]:
    """The whole data set."""
    panel = read_panel(HAPMAP3 / "hm3.bim")
    files = DatasetFiles(HAPMAP3 / "hm3.bed", HAPMAP3 / "pheno.tsv", HAPMAP3 / "covar_pc.tsv")
    return load_dataset(files, panel).dataset, panel


def part(whole: Dataset, rows: np.ndarray) -> Dataset:
    """A data set of some of the people."""
    columns = {
        name: Column(name, None if column.numbers is None else column.numbers[rows], column.text[rows])
        for name, column in whole.columns.items()
    }
    return replace(
        whole,
        family_ids=whole.family_ids[rows],
        individual_ids=whole.individual_ids[rows],
        sex=whole.sex[rows],
        columns=columns,
        genotypes=SomePeople(whole, rows),
    )


@cache
def sites_abc() -> dict[str, Dataset]:
    """Sites A, B and C of column site3, by name."""
    whole, _ = pooled()
    sites = whole.columns["site3"].text
    return {name: part(whole, np.flatnonzero(sites == name)) for name in "ABC"}


@cache
def three_sites() -> LocalFederation:
    """A federation of them."""
    return LocalFederation(sites_abc(), pooled()[1])


def plink2(name: str) -> pl.DataFrame:
    """A reference table of plink2 on the pooled data."""
    return pl.read_csv(HAPMAP3 / "ref" / f"{name}.gz", separator="\t", null_values="NA", infer_schema_length=None)
