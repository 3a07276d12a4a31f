"""Columns of which no person can be far out: clipped to a declared range, mapped to [-1, 1], rounded person by person.

Noise can hide a person only where the person's part in a sum is bounded before any data are seen. So nothing here rests
on means or scales of the data: the range comes from the analyst, and values outside count as the nearest inside.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fedstats.additive import FixedSum, Limits
from fedstats.arrays import Reals
from fedstats.cohort import Cohort
from fedstats.step import Along
from fedstats.study import Model, Study, Term, Trait

#: Fraction bits of mapped columns: a 4,096th of half a range is far below any noise that hides a person.
BOUNDED_BITS = 12
#: The column `sex` holds 1 and 2 whoever declares what.
_SEX = (1.0, 2.0)
_INDICATOR = (0.0, 1.0)


def _four_people(limits: Limits) -> float:
    return 4.0 * limits.people


def bounded(*dims: str, bits: int = BOUNDED_BITS, person: float = 1.0, coarseness: float = 1.0) -> FixedSum:
    """A sum of parts of at most `person`; its bound leaves as much room again for noise."""
    return FixedSum(*dims, bound=_four_people, fraction_bits=bits, person=person, coarseness=coarseness)


@dataclass(frozen=True)
class Ranges:
    """Middle and half width of each column's range."""

    covariate_middles: Annotated[Reals, Along("covariate")]
    covariate_halves: Annotated[Reals, Along("covariate")]
    trait_middles: Annotated[Reals, Along("trait")]
    trait_halves: Annotated[Reals, Along("trait")]


def ranges_of(study: Study, model: Model) -> Ranges:
    """The ranges of a model's columns, which planning saw to it are there."""
    declared = study.ranges
    covariates = np.array([_of_term(term, declared) for term in model.terms], np.float64).reshape(-1, 2)
    traits = np.array([_of_trait(trait, declared) for trait in model.traits], np.float64).reshape(-1, 2)
    return Ranges(
        covariate_middles=covariates.mean(axis=1),
        covariate_halves=np.diff(covariates)[:, 0] / 2,
        trait_middles=traits.mean(axis=1),
        trait_halves=np.diff(traits)[:, 0] / 2,
    )


def _of_term(term: Term, declared: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    if term.indicator:
        return _INDICATOR
    return declared.get(term.column, _SEX) if term.column == "sex" else declared[term.column]


def _of_trait(trait: Trait, declared: Mapping[str, tuple[float, float]]) -> tuple[float, float]:
    # Mapped to itself, so that a binary trait stays 0 and 1.
    return declared[trait.name] if trait.kind == "quantitative" else (-1.0, 1.0)


@dataclass(frozen=True)
class BoundedColumns:
    """Mapped columns of the people who are in, at `BOUNDED_BITS` fraction bits; everybody else is zero.

    Attributes
    ----------
    design
        The intercept and the covariates, shape (person, coefficient).
    traits
        Shape (person, trait).
    """

    design: Reals
    traits: Reals


def bounded_columns(cohort: Cohort, ranges: Ranges) -> BoundedColumns:
    """The columns of a cohort in whole units, as doubles, so that products of them are exact."""
    inside = cohort.people[:, None].astype(np.float64)
    covariates = _mapped(cohort.covariates, ranges.covariate_middles, ranges.covariate_halves)
    traits = _mapped(cohort.traits, ranges.trait_middles, ranges.trait_halves)
    ones = np.full((len(inside), 1), 2.0**BOUNDED_BITS)
    return BoundedColumns(np.hstack([ones, covariates]) * inside, traits * inside)


def _mapped(values: Reals, middles: Reals, halves: Reals) -> Reals:
    within = np.clip((values - middles) / np.where(halves > 0, halves, 1.0), -1.0, 1.0)
    return np.rint(np.ldexp(within, BOUNDED_BITS))


def linear_predictor(design: Reals, effects: Reals) -> Reals:
    """Design times effects at `BOUNDED_BITS`, column by column, so that a person's value rests on that person alone."""
    found = np.zeros((len(design), *effects.shape[1:]))
    for column, effect in zip(design.T, effects, strict=True):
        found += np.multiply.outer(np.ldexp(column, -BOUNDED_BITS), effect)
    return found
