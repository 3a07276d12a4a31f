"""Small data sets in memory for tests of analyses, and how tests run an analysis and read its tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

import fedstats.analyses  # noqa: F401  # fills the table of analyses
from fedstats.analyses.statuses import MISSING, STATUSES, TESTS
from fedstats.analysis import ANALYSES
from fedstats.arrays import Indices
from fedstats.dataset import Column, Dataset
from fedstats.genotypes import PackedBlock, pack
from fedstats.local import LocalSite, LocalSums
from fedstats.rows import Note, Rows
from fedstats.study import KINDS, Chunk, Floors, Model, Study, Term, Trait, VariantKind

#: Floors of none: for small data and for PLINK's answers on monomorphic variants.
NO_FLOORS = Floors(min_mac=0, min_carrier_nodes=0, min_missing=1, min_missing_nodes=1, validation=True)


@dataclass(frozen=True)
class InMemory:
    """Blocks of an array of dosages, shape (variant, person)."""

    dosages: np.ndarray

    def block(self, variants: Indices) -> PackedBlock:
        return pack(self.dosages[variants].astype(np.int8))


def dataset(dosages: np.ndarray, columns: Mapping[str, np.ndarray], sex: np.ndarray | None = None) -> Dataset:
    """People numbered from 0 with these columns."""
    people = dosages.shape[1]
    names = np.array([f"i{number}" for number in range(people)])
    made = {name: Column(name, values.astype(np.float64), values.astype(str)) for name, values in columns.items()}
    return Dataset(names, names, np.ones(people, np.int8) if sex is None else sex, made, InMemory(dosages))


def federation(data: Dataset, site: np.ndarray) -> LocalSums:
    """The people of a data set at the sites that `site` numbers, shape (person,)."""
    return LocalSums([LocalSite(data, site == number) for number in np.unique(site)])


def linear_study(
    traits: Sequence[str],
    covariates: Sequence[str] = (),
    *,
    kinds: Sequence[VariantKind] = ("autosome",),
    nodes: int = 3,
    floors: Floors = NO_FLOORS,
    missing: str = "mean",
    site_effects: bool = False,
    local: Sequence[str] = (),
    binary: Sequence[str] = (),
) -> Study:
    """A study of one model a kind; on X, sex is a covariate."""
    found = tuple(Trait(t, "binary", "01") if t in binary else Trait(t, "quantitative") for t in traits)

    def model(kind: VariantKind) -> Model:
        names = dict.fromkeys([*covariates, *(["sex"] if kind == "x" else [])])
        terms = tuple(Term(name, name) for name in names)
        return Model(f"{kind}-{'-'.join(traits)}", kind, found, terms, tuple(Term(n, n) for n in local), site_effects)

    names = tuple(f"node{number}" for number in range(nodes))
    return Study("gwas/linear", tuple(map(model, kinds)), names, missing, floors=floors)  # type: ignore[arg-type]  # one of three


def one_chunk(variants: int, kind: VariantKind = "autosome") -> tuple[Chunk, ...]:
    """All variants as one chunk."""
    assert kind in KINDS
    return (Chunk(0, kind, np.arange(variants)),)


def run(of: LocalSums, study: Study, chunks: Sequence[Chunk]) -> tuple[dict[str, dict[str, np.ndarray]], list[Note]]:
    """Tables by name with codes spelt out, in the order of the chunks, and the notes."""
    parts: dict[str, list[Mapping[str, np.ndarray]]] = {}
    notes: list[Note] = []
    for found in ANALYSES[study.analysis](of, study, chunks):
        if isinstance(found, Note):
            notes.append(found)
            continue
        for name, table in found.tables.items():
            parts.setdefault(name, []).append(table)
    return {name: _joined(tables) for name, tables in parts.items()}, notes


def rows_of(of: LocalSums, study: Study, chunks: Sequence[Chunk]) -> list[Rows]:
    """Rows as the analysis yields them."""
    return [found for found in ANALYSES[study.analysis](of, study, chunks) if isinstance(found, Rows)]


def _joined(parts: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    names = {"STATUS": STATUSES, "TEST": TESTS, "MISSING": MISSING}
    return {name: np.array(names[name])[values] if name in names else values for name, values in table.items()}
