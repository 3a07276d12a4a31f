"""Moments of raw covariates and traits as exact integers, and the means and scales that follow from them.

One round: people, sums, and sums of squares. Means and scales are exactly rounded, so that they do not depend
on how people are spread over nodes. Cross-products follow from standardised columns (`standardise`).
"""

from dataclasses import dataclass, fields
from fractions import Fraction
from math import sqrt
from typing import Annotated

import numpy as np

from fedstats.additive import Additive, Count, Limits, WideSum
from fedstats.arrays import Bools, Counts, Reals, Wide
from fedstats.certified import Certified, require_same, uncertified
from fedstats.cohort import Cohort
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.kernels.exact_sums import RAW_BITS, RAW_LIMIT, sum_of_squares, sum_of_values
from fedstats.step import Along, Nothing, local_step
from fedstats.study import Block, Model

#: The step whose totals give means and scales.
MOMENTS = "columns/moments@1"

#: Variance below which a column counts as constant: products are rounded to 64 fraction bits.
_SMALLEST_VARIANCE = Fraction(1, 1 << 58)


def _sum_bound(limits: Limits) -> float:
    return limits.people * RAW_LIMIT


def _square_bound(limits: Limits) -> float:
    return limits.people * RAW_LIMIT * RAW_LIMIT


_Sums = WideSum("covariate", bound=_sum_bound, fraction_bits=RAW_BITS, words=3)
_Squares = WideSum("covariate", bound=_square_bound, fraction_bits=RAW_BITS, words=4)
_TraitSums = WideSum("trait", bound=_sum_bound, fraction_bits=RAW_BITS, words=3)
_TraitSquares = WideSum("trait", bound=_square_bound, fraction_bits=RAW_BITS, words=4)


@dataclass(frozen=True)
class Moments(Additive):
    """People, sums and sums of squares of raw columns, at 64 fraction bits."""

    people: Annotated[Counts, Count("one")]
    covariate_sums: Annotated[Wide, _Sums]
    covariate_squares: Annotated[Wide, _Squares]
    trait_sums: Annotated[Wide, _TraitSums]
    trait_squares: Annotated[Wide, _TraitSquares]


@local_step(MOMENTS)
def column_moments(cohort: Cohort, at: Nothing) -> Moments:  # noqa: ARG001  # every step takes parameters
    """Moments of the people who are in."""
    rows = cohort.people
    return Moments(
        people=np.array([cohort.size]),
        covariate_sums=sum_of_values(cohort.covariates[rows]),
        covariate_squares=sum_of_squares(cohort.covariates[rows]),
        trait_sums=sum_of_values(cohort.traits[rows]),
        trait_squares=sum_of_squares(cohort.traits[rows]),
    )


@dataclass(frozen=True)
class Description:
    """What the moments of a model say, as real numbers.

    Attributes
    ----------
    people
        Number of people.
    covariate_means, covariate_scales
        Mean and standard deviation (divided by people) of each term, shape (covariate,).
    trait_means, trait_scales
        The same of each trait, shape (trait,).
    """

    people: int
    covariate_means: Reals
    covariate_scales: Reals
    trait_means: Reals
    trait_scales: Reals

    def cases(self, model: Model) -> Counts:
        """Number of people with trait 1, shape (trait,); of meaning for binary traits only."""
        return np.rint(self.trait_means[: len(model.traits)] * self.people).astype(np.int64)


def describe(federation: Federation, model: Model) -> Description:
    """Means and scales of a model over the federation.

    Raises
    ------
    UsageError
        A covariate or trait is constant; all such columns are named.
    """
    return description(model, federation.sum(column_moments, model, Nothing()))


def description(model: Model, total: Moments) -> Description:
    """What the moments of a model say; raises as `describe` does."""
    people = int(total.people[0])
    if people == 0:
        raise UsageError(
            f"nobody at any node has every trait and covariate of model {model.id!r}",
            code="NO_PEOPLE",
            hint="Look at `fedstats nodes` for columns with many missing values.",
        )
    covariate_means, covariate_variances = _mean_and_variance(total.covariate_sums, total.covariate_squares, people)
    trait_means, trait_variances = _mean_and_variance(total.trait_sums, total.trait_squares, people)
    _refuse_constant(model, covariate_variances, trait_variances)
    return Description(
        people,
        covariate_means,
        _roots(covariate_variances),
        trait_means,
        _roots(trait_variances),
    )


@dataclass(frozen=True)
class Scaling:
    """Parameters by which columns are standardised: (value - mean) * factor."""

    covariate_means: Annotated[Reals, Along("covariate")]
    covariate_factors: Annotated[Reals, Along("covariate")]
    trait_means: Annotated[Reals, Along("trait")]
    trait_factors: Annotated[Reals, Along("trait")]


def scaling(model: Model, described: Description) -> Scaling:
    """How columns are centred and scaled: indicators and binary traits are centred only."""
    indicators = np.array([term.indicator for term in model.terms], np.bool_)
    binary = np.array([trait.kind == "binary" for trait in model.traits], np.bool_)
    return Scaling(
        covariate_means=described.covariate_means,
        covariate_factors=_factors(described.covariate_scales, indicators),
        trait_means=described.trait_means,
        trait_factors=_factors(described.trait_scales, binary),
    )


def certified_description(model: Model, certified: Certified) -> Description:
    """Means and scales by the certified moments of a model."""
    return certified.once(MOMENTS, lambda: description(model, _certified_moments(certified)))


def _certified_moments(certified: Certified) -> Moments:
    found = certified.sums(MOMENTS)
    if not found:
        raise uncertified(MOMENTS)
    total: Moments = found[-1][1]
    return total


def scaling_follows(at: Scaling, model: Model, _block: Block | None, certified: Certified) -> None:
    """Refuse means and scales that are not, to the bit, those of the certified moments."""
    following = certified.once("scaling", lambda: scaling(model, certified_description(model, certified)))
    for entry in fields(Scaling):
        require_same(getattr(at, entry.name), getattr(following, entry.name), "means and scales of columns")


def _factors(scales: Reals, centred_only: Bools) -> Reals:
    return np.where(centred_only, 1.0, 1.0 / scales)


def _mean_and_variance(sums: Wide, squares: Wide, people: int) -> tuple[Reals, list[Fraction]]:
    unit = 1 << RAW_BITS
    means = [Fraction(int(s), people * unit) for s in sums]
    variances = [Fraction(int(q), people * unit) - mean * mean for q, mean in zip(squares, means, strict=True)]
    return np.array([float(mean) for mean in means], np.float64), variances


def _roots(variances: list[Fraction]) -> Reals:
    return np.array([sqrt(float(variance)) for variance in variances], np.float64)


def _refuse_constant(model: Model, covariates: list[Fraction], traits: list[Fraction]) -> None:
    names = [*(term.name for term in model.terms), *(trait.name for trait in model.traits)]
    variances = [*covariates, *traits]
    constant = [name for name, variance in zip(names, variances, strict=True) if variance < _SMALLEST_VARIANCE]
    if constant:
        raise UsageError(
            f"the same value for all people of the federation: {', '.join(map(repr, constant))}",
            code="CONSTANT_COLUMN",
            hint="Leave the column out. If its values differ by less than one part in a billion, rescale it.",
        )
