"""The real data of the logistic tests: HapMap3 as data sets in memory, whole or by site, and reference tables."""

import csv
import gzip
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fedstats.arrays import Indices
from fedstats.dataset import Column, Dataset
from fedstats.genotypes import PackedBlock
from fedstats.local import LocalSite, LocalSums
from fedstats.study import Floors, Model, Study, Term, Trait, VariantKind

HAPMAP3 = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "hapmap3"
COVARIATES = ("age", "sex", "PC1", "PC2", "PC3", "PC4")
VALIDATION = Floors(
    min_people=1, min_arm=1, min_level=1, min_nodes=1, min_mac=1, min_carrier_nodes=1, min_missing=1,
    min_missing_nodes=1, parameters_per_person=1.0, validation=True,
)  # fmt: skip

needs_hapmap3 = pytest.mark.skipif(not HAPMAP3.exists(), reason="the HapMap3 data folder is not here")


@dataclass(frozen=True)
class Packed:
    """Genotypes of some people of a .bed file in memory."""

    packed: np.ndarray
    people: int

    def block(self, variants: Indices) -> PackedBlock:
        return PackedBlock(self.packed, variants, np.zeros(len(variants), np.bool_), self.people)


def _table(name: str) -> list[dict[str, str]]:
    opened = gzip.open if name.endswith(".gz") else open
    with opened(HAPMAP3 / name, "rt") as file:
        return list(csv.DictReader(file, delimiter="\t"))


@cache
def variants() -> tuple[tuple[str, ...], ...]:
    """Columns of the .bim file, by variant."""
    return tuple(tuple(line.split()) for line in (HAPMAP3 / "hm3.bim").read_text().splitlines())


@cache
def codes() -> np.ndarray:
    """Two-bit codes of all calls, shape (variant, person)."""
    raw = np.fromfile(HAPMAP3 / "hm3.bed", np.uint8)[3:].reshape(len(variants()), -1)
    return np.stack([(raw >> shift) & 3 for shift in (0, 2, 4, 6)], -1).reshape(len(raw), -1)[:, : len(_people())]


def dosages() -> np.ndarray:
    """Dosage of A1, -1 where missing, shape (variant, person)."""
    return np.array([2, -1, 1, 0], np.int8)[codes()]


@cache
def _people() -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(line.split()) for line in (HAPMAP3 / "hm3.fam").read_text().splitlines())


@cache
def column(name: str) -> np.ndarray:
    """A column of the phenotype or covariate table as text, in the order of the .fam file."""
    for table in ("pheno.tsv", "covar_pc.tsv"):
        rows = _table(table)
        if name in rows[0]:
            value = {row["IID"]: row[name] for row in rows}
            return np.array([value[person[1]] for person in _people()])
    raise KeyError(name)


def numbers(name: str) -> np.ndarray:
    """A column as numbers, NaN where missing."""
    return np.array([np.nan if text == "NA" else float(text) for text in column(name)])


def dataset(rows: np.ndarray) -> Dataset:
    """The data set of some people, by position in the .fam file."""
    chosen = codes()[:, rows]
    padded = np.full((len(chosen), -(-len(rows) // 4) * 4), 3, np.uint8)
    padded[:, : len(rows)] = chosen
    quads = padded.reshape(len(chosen), -1, 4)
    packed = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    names = ("bt1", "bt2", *COVARIATES)
    people = np.array(_people())[rows]
    return Dataset(
        family_ids=people[:, 0],
        individual_ids=people[:, 1],
        sex=people[:, 4].astype(np.int8),
        columns={name: Column(name, numbers(name)[rows], column(name)[rows]) for name in names},
        genotypes=Packed(packed, len(rows)),
    )


def site_rows(site: str) -> np.ndarray:
    """Positions of the people of a site: A, B or C."""
    return np.flatnonzero(column("site3") == site)


@cache
def whole() -> LocalSums:
    """Everybody in one cohort."""
    return _federation((np.arange(len(_people())),))


@cache
def three_sites() -> LocalSums:
    """The same people at three sites."""
    return _federation(tuple(site_rows(site) for site in "ABC"))


@cache
def site_c() -> LocalSums:
    """The people of site C alone."""
    return _federation((site_rows("C"),))


def _federation(groups: tuple[np.ndarray, ...]) -> LocalSums:
    return LocalSums([LocalSite(dataset(rows), np.ones(len(rows), np.bool_)) for rows in groups])


def model(kind: VariantKind = "autosome", *traits: str) -> Model:
    """The design of the reference files: age, sex, PC1 to PC4."""
    binary = tuple(Trait(name, "binary", "01") for name in traits or ("bt1",))
    return Model(f"{'-'.join(traits) or 'bt1'}.{kind}", kind, binary, tuple(Term(name, name) for name in COVARIATES))


def study(*models: Model, missing: str = "drop", test: str = "wald") -> Study:
    """A validation study, in which variants are left out for nothing but their own statistics."""
    return Study("gwas/logistic", models, nodes=("A", "B", "C"), missing=missing, test=test, floors=VALIDATION)  # type: ignore[arg-type]  # literals by value


def reference(name: str) -> list[dict[str, str]]:
    """Rows of a reference table, in panel order."""
    return _table(f"ref/{name}.gz")


def complete(trait: str) -> np.ndarray:
    """Who has the trait and every covariate, shape (person,)."""
    return ~np.isnan(np.column_stack([numbers(name) for name in (trait, *COVARIATES)])).any(axis=1)
