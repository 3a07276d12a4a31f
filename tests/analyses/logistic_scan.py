"""How the tests of the logistic GWAS run it: real data as studies, result tables in panel order, dense columns."""

from dataclasses import replace
from functools import cache

import numpy as np

from fedstats.analyses.logistic_gwas import logistic_gwas
from fedstats.analyses.statuses import MISSING, STATUSES, TESTS
from fedstats.arrays import Indices
from fedstats.local import LocalSums
from fedstats.rows import Rows
from fedstats.study import KINDS, Chunk, Floors, Model, Study, Term, Trait
from tests import real_data

COVARIATES = ("age", "sex", "PC1", "PC2", "PC3", "PC4")
VALIDATION = Floors(
    min_people=1, min_arm=1, min_level=1, min_nodes=1, min_mac=0, min_carrier_nodes=0, min_missing=1,
    min_missing_nodes=1, parameters_per_person=1.0, validation=True,
)  # fmt: skip


def study_of(*traits: str, covariates: tuple[str, ...] = COVARIATES, **choices: object) -> Study:
    """A validation study of traits of the real data: one model a kind, people with all of the traits."""
    found = tuple(Trait(name, "binary", "01") for name in traits)
    terms = tuple(Term(name, name) for name in covariates)
    models = tuple(Model(f"{'-'.join(traits)}.{kind}", kind, found, terms) for kind in KINDS)
    start = Study("gwas/logistic", models, nodes=("A", "B", "C"), missing="drop", floors=VALIDATION)
    return replace(start, **choices)  # type: ignore[arg-type]  # fields by name


class Admitting(LocalSums):
    """Sites that check parameters as nodes do, before they compute."""

    floors: Floors = VALIDATION

    def _total(self, step, model, parameters, block):
        step.admissible(parameters, self.floors)
        return super()._total(step, model, parameters, block)


def tables_of(federation: LocalSums, study: Study, chunks: tuple[Chunk, ...]) -> dict[str, dict[str, np.ndarray]]:
    """Result tables by trait in panel order, codes as their names."""
    used = tuple(model for model in study.models if model.kind in {chunk.kind for chunk in chunks})
    parts = [part for part in logistic_gwas(federation, replace(study, models=used), chunks) if isinstance(part, Rows)]
    return {trait: _joined([part.tables[trait] for part in parts]) for trait in parts[0].tables}


def _joined(parts: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    table = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    order = np.argsort(table["variant"])
    names = {"STATUS": STATUSES, "TEST": TESTS, "MISSING": MISSING}
    return {n: np.array(names[n])[v[order]] if n in names else v[order] for n, v in table.items()}


@cache
def scan(trait: str, site_column: str | None = None, **choices: object) -> dict[str, np.ndarray]:
    """The table of one trait over all variants of the real data; by site, or everybody in one cohort."""
    federation = Admitting(real_data.federation(site_column).sites)
    return tables_of(federation, study_of(trait, **choices), real_data.all_chunks())[trait]


def odds_and_errors(reference: str) -> tuple[np.ndarray, np.ndarray]:
    """Log odds ratios and standard errors of a PLINK 2 table, NaN where it has none."""
    table = real_data.reference(reference)
    odds, errors = (np.where(table[name] == "NA", "nan", table[name]) for name in ("OR", "LOG(OR)_SE"))
    return np.log(odds.astype(float)), errors.astype(float)


def dense(trait: str, variants: Indices) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariates with an intercept, dosages (variant, person; -1 missing) and trait of the people of a scan."""
    data = real_data.dataset()
    values = np.column_stack([data.columns[name].numbers for name in (trait, *COVARIATES)])
    rows = ~np.isnan(values).any(axis=1)
    covariates = np.column_stack([np.ones(rows.sum()), values[rows, 1:]])
    return covariates, data.genotypes.block(variants).dosages()[:, rows], values[rows, 0]
