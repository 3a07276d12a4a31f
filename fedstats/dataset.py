"""A data set in memory: who is in it, the columns of its tables, and where genotypes come from.

Formats end here. A reader of any format makes a `Dataset`; from it and a model follows the cohort of a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Indices, Reals
from fedstats.cohort import VALUE_CLASSES, VALUE_KNOWN, Cohort
from fedstats.errors import UsageError
from fedstats.genotypes import GenotypeSource
from fedstats.study import Model, Term, Trait


@dataclass(frozen=True)
class Column:
    """One column of a table, aligned with the people of the genotype file.

    Attributes
    ----------
    name
        As in the header.
    numbers
        Values, NaN where missing, shape (person,); None where the column holds text.
    text
        Values as written, "" where missing, shape (person,); set for text columns and usable as categories for all.
    """

    name: str
    numbers: Reals | None
    text: npt.NDArray[np.str_]

    @property
    def missing(self) -> Bools:
        """Who has no value, shape (person,)."""
        return np.isnan(self.numbers) if self.numbers is not None else self.text == ""


@dataclass(frozen=True)
class Dataset:
    """People, columns and genotypes of one node.

    Attributes
    ----------
    family_ids, individual_ids
        As in the genotype file, shape (person,).
    sex
        0 unknown, 1 male, 2 female, shape (person,): from the covariate table where it has one, else the .fam file.
    columns
        Phenotypes and covariates by name.
    genotypes
        Blocks by panel index.
    """

    family_ids: npt.NDArray[np.str_]
    individual_ids: npt.NDArray[np.str_]
    sex: npt.NDArray[np.int8]
    columns: Mapping[str, Column]
    genotypes: GenotypeSource

    @property
    def people(self) -> int:
        """Number of people in the genotype file."""
        return len(self.individual_ids)


@dataclass(frozen=True)
class People:
    """Which people a run may use, besides those with complete data: the analyst's own lists."""

    keep: frozenset[tuple[str, str]] | None = None
    remove: frozenset[tuple[str, str]] = frozenset()

    def allowed(self, dataset: Dataset) -> Bools:
        """Who is on the lists, shape (person,); an entry with an empty family id matches on the individual alone."""
        pairs = list(zip(dataset.family_ids.tolist(), dataset.individual_ids.tolist(), strict=True))
        kept = np.ones(len(pairs), np.bool_) if self.keep is None else _on_list(pairs, self.keep)
        return kept & ~_on_list(pairs, self.remove)


def _on_list(pairs: Sequence[tuple[str, str]], listed: frozenset[tuple[str, str]]) -> Bools:
    return np.array([pair in listed or ("", pair[1]) in listed for pair in pairs], np.bool_)


def trait_values(column: Column, trait: Trait) -> Reals:
    """Values of a trait, NaN where missing; binary traits as 0 and 1 whatever their coding."""
    values = _numbers(column).copy()
    if trait.missing_code == "-9" or trait.coding != "none":
        values[values == -9] = np.nan
    if trait.coding == "12":
        values[values == 0] = np.nan  # as in PLINK: beside 1 and 2, 0 is missing
        return values - 1
    return values


def term_values(dataset: Dataset, term: Term) -> Reals:
    """Values of one design column, NaN where missing; indicators as 0 and 1."""
    if term.column == "sex" and not term.level:
        return np.where(dataset.sex == 0, np.nan, dataset.sex.astype(np.float64))
    column = dataset.columns[term.column]
    if not term.level:
        return _numbers(column)
    return np.where(column.missing, np.nan, (column.text == term.level).astype(np.float64))


def _numbers(column: Column) -> Reals:
    if column.numbers is None:
        raise UsageError(
            f"column {column.name!r} holds text where numbers are needed",
            code="NOT_NUMERIC",
            hint=f"Pass --categorical {column.name} to use its levels as indicators.",
        )
    return column.numbers


def cohort_of(dataset: Dataset, model: Model, allowed: Bools) -> Cohort:
    """The cohort of a model: allowed people with every trait, term and, where it matters, sex known."""
    if model.accounting:
        return accounting_cohort(dataset, model, allowed)
    traits = _stack([trait_values(dataset.columns[t.name], t) for t in model.traits], dataset.people)
    covariates = _stack([term_values(dataset, term) for term in model.terms], dataset.people)
    local = _stack([term_values(dataset, term) for term in model.local_terms], dataset.people)
    site = np.column_stack([np.ones(dataset.people), local]) if model.site_effects else np.zeros((dataset.people, 0))
    common = _stack([trait_values(dataset.columns[t.name], t) for t in model.common], dataset.people)
    complete = ~np.isnan(np.column_stack([traits, covariates, local, common])).any(axis=1)
    everyone = Cohort(
        people=np.ones(dataset.people, np.bool_),
        covariates=covariates,
        traits=traits,
        site=site,
        male=dataset.sex == 1,
    )
    return everyone.restrict(allowed & complete & _of_kind(dataset, model))


def accounting_cohort(dataset: Dataset, model: Model, allowed: Bools) -> Cohort:
    """Everyone who is allowed, with who lacks what instead of values.

    `traits` holds the class of each value as `VALUE_CLASSES` has it, plus `VALUE_KNOWN` where it is not missing as
    the trait is coded; `covariates` is 1 where a term is missing.
    """
    columns = [dataset.columns[trait.name] for trait in model.traits]
    known = [~np.isnan(trait_values(column, trait)) for column, trait in zip(columns, model.traits, strict=True)]
    classes = [_value_classes(_numbers(column)) + VALUE_KNOWN * who for column, who in zip(columns, known, strict=True)]
    absent = [np.isnan(term_values(dataset, term)).astype(np.float64) for term in model.terms]
    everyone = Cohort(
        people=np.ones(dataset.people, np.bool_),
        covariates=_stack(absent, dataset.people),
        traits=_stack(classes, dataset.people),
        site=np.zeros((dataset.people, 0)),
        male=dataset.sex == 1,
    )
    return everyone.restrict(allowed)


def _value_classes(numbers: Reals) -> Reals:
    known = {-9.0: "minus_nine", 0.0: "zero", 1.0: "one", 2.0: "two"}
    classes = np.where(np.isnan(numbers), VALUE_CLASSES["missing"], VALUE_CLASSES["other"]).astype(np.float64)
    for value, name in known.items():
        classes[numbers == value] = VALUE_CLASSES[name]
    return classes


def _of_kind(dataset: Dataset, model: Model) -> Bools:
    if model.kind == "y":
        return np.asarray(dataset.sex == 1)
    if model.sex_known or (model.kind == "x" and model.traits):
        return np.asarray(dataset.sex != 0)
    return np.ones(dataset.people, np.bool_)


def _stack(columns: Sequence[Reals], people: int) -> Reals:
    return np.column_stack(columns) if columns else np.zeros((people, 0))


def with_block(cohort: Cohort, dataset: Dataset, variants: Indices) -> Cohort:
    """The cohort with the genotypes of some panel variants at hand."""
    return replace(cohort, genotypes=dataset.genotypes.block(variants))
