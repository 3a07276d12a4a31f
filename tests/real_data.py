"""The real genotypes that tests read, as small and plain as can be; the product's own readers have their own tests."""

import csv
import gzip
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from fedstats.arrays import Bools, Indices
from fedstats.dataset import Column, Dataset
from fedstats.genotypes import PackedBlock
from fedstats.local import LocalSite, LocalSums
from fedstats.study import KINDS, Chunk, chunks

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "hapmap3"


def needs_real_data() -> pytest.MarkDecorator:
    """Skip where the data folder is absent: it is not part of the project."""
    return pytest.mark.skipif(not FOLDER.exists(), reason="the folder of reference data is not here")


class Bed:
    """Genotypes of a .bed file by its own order of variants."""

    def __init__(self, path: Path, people: int) -> None:
        self.people = people
        self.packed = np.memmap(path, np.uint8, "r", offset=3).reshape(-1, -(-people // 4))

    def block(self, variants: Indices) -> PackedBlock:
        return PackedBlock(self.packed, variants, np.zeros(len(variants), np.bool_), self.people)


@cache
def panel() -> dict[str, np.ndarray]:
    lines = [line.split() for line in (FOLDER / "hm3.bim").read_text().splitlines()]
    chromosome, ids, alt, ref = (np.array([line[i] for line in lines]) for i in (0, 1, 4, 5))
    kind = np.array([{"23": 1, "24": 2, "26": 3}.get(c, 0) for c in chromosome])
    return {"CHROM": chromosome, "ID": ids, "ALT": alt, "REF": ref, "KIND": kind}


@cache
def dataset() -> Dataset:
    fam = [line.split() for line in (FOLDER / "hm3.fam").read_text().splitlines()]
    individuals = [line[1] for line in fam]
    columns = {**_table(FOLDER / "covar_pc.tsv", individuals), **_table(FOLDER / "pheno.tsv", individuals)}
    sex = np.array([int(line[4]) for line in fam], np.int8)
    columns["sex"] = Column("sex", sex.astype(float), sex.astype(str))
    return Dataset(
        np.array([line[0] for line in fam]), np.array(individuals), sex, columns, Bed(FOLDER / "hm3.bed", len(fam))
    )


def _table(path: Path, individuals: list[str]) -> dict[str, Column]:
    rows = {row["IID"]: row for row in csv.DictReader(path.read_text().splitlines(), delimiter="\t")}
    names = [name for name in next(iter(rows.values())) if name not in ("FID", "IID", "#FID", "#IID")]
    return {name: _column(name, [rows[i][name] for i in individuals]) for name in names}


def _column(name: str, texts: list[str]) -> Column:
    values = ["" if text == "NA" else text for text in texts]
    try:
        numbers = np.array([float(value) if value else np.nan for value in values])
    except ValueError:
        return Column(name, None, np.array(values))
    return Column(name, numbers, np.array(values))


def members(site: str, column: str = "site3") -> Bools:
    return np.asarray(dataset().columns[column].text == site)


def federation(column: str | None = "site3") -> LocalSums:
    """The people as sites by a column; one site of everybody without."""
    if column is None:
        return LocalSums([LocalSite(dataset(), np.ones(dataset().people, np.bool_))])
    return LocalSums([LocalSite(dataset(), members(s, column)) for s in np.unique(dataset().columns[column].text)])


def all_chunks(chosen: Indices | None = None) -> tuple[Chunk, ...]:
    kinds = panel()["KIND"]
    return chunks(kinds, np.arange(len(kinds)) if chosen is None else chosen)


@cache
def reference(name: str) -> dict[str, np.ndarray]:
    """A PLINK 2 table of the reference folder as columns of text, by the header's names without '#'."""
    with gzip.open(FOLDER / "ref" / f"{name}.gz", "rt") as file:
        rows = list(csv.reader(file, delimiter="\t"))
    return {h.lstrip("#"): np.array([row[i] for row in rows[1:]]) for i, h in enumerate(rows[0])}


assert KINDS == ("autosome", "x", "y", "mt")
