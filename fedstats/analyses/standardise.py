"""Standardised columns: centred, scaled and rounded once, so that every node works on the same fixed-point data.

Everything that a linear model needs is computed from these integers, so a federated fit is exactly the pooled fit of
the rounded data. Two IEEE operations and one rounding: the same bits on every machine.
"""

from dataclasses import dataclass, fields
from typing import Annotated, ClassVar

import numpy as np

from fedstats.additive import Additive, Limits, Sum, WideSum
from fedstats.analyses.moments import MOMENTS, Scaling, scaling_follows
from fedstats.analyses.prepared import Recent, bytes_of
from fedstats.arrays import Fixed, Reals, Wide
from fedstats.cohort import Cohort
from fedstats.errors import RangeOverflow
from fedstats.kernels.exact_sums import cross_products
from fedstats.step import local_step

#: The step whose totals are the products of columns.
CROSS_PRODUCTS = "columns/cross_products@2"

#: Fraction bits of standardised columns and of sums of their products with genotypes.
COLUMN_BITS = 34
#: Singular values of a site's own columns below this share of the largest count as zero.
_RANK_TOLERANCE = 1e-9


@dataclass(frozen=True)
class Columns:
    """Standardised columns of one node; rows of people who are out are zero.

    Attributes
    ----------
    covariates, traits
        Integers at 34 fraction bits, shapes (person, covariate) and (person, trait). Where the site has effects of its
        own, residuals on them.
    local
        Orthonormal basis of the site's own columns, shape (person, local); no column without site effects.
    """

    covariates: Fixed
    traits: Fixed
    local: Reals

    @property
    def both(self) -> Fixed:
        """Covariates, then traits, shape (person, column)."""
        return np.column_stack([self.covariates, self.traits])


def standardised(cohort: Cohort, scaling: Scaling) -> Columns:
    """The columns of a cohort on the federation's scale.

    Raises
    ------
    RangeOverflow
        The sum of squares of a column exceeds what any study may have: the scaling is not that of these data.
    """
    arrays = (cohort.people, cohort.covariates, cohort.traits, cohort.site)
    return _RECENT.get(arrays, _bytes_of_scaling(scaling), lambda: _standardised(cohort, scaling))


_RECENT: Recent[Columns] = Recent()


def _bytes_of_scaling(scaling: Scaling) -> bytes:
    # Subclasses add what is asked of variants; only the scaling itself matters here.
    return bytes_of(*(getattr(scaling, entry.name) for entry in fields(Scaling)))


def _standardised(cohort: Cohort, scaling: Scaling) -> Columns:
    local = _local_basis(cohort)
    covariates = _scale(cohort, cohort.covariates, scaling.covariate_means, scaling.covariate_factors)
    traits = _scale(cohort, cohort.traits, scaling.trait_means, scaling.trait_factors)
    return Columns(_rounded(covariates, local), _rounded(traits, local), local)


def _scale(cohort: Cohort, values: Reals, means: Reals, factors: Reals) -> Reals:
    scaled = (values - means) * factors
    scaled[~cohort.people] = 0.0
    # With scales of the federation, squares sum to the number of people: this bounds every sum that follows.
    if scaled.size and not (scaled * scaled).sum(axis=0).max() <= 1.001 * Limits().people:
        raise RangeOverflow(
            "a standardised column is larger than any study allows; nothing was released",
            code="RANGE_OVERFLOW",
            hint="Means and scales sent down do not belong to these data.",
        )
    return scaled


def _rounded(scaled: Reals, local: Reals) -> Fixed:
    rounded = np.rint(np.ldexp(scaled, COLUMN_BITS))
    if local.shape[1] and scaled.shape[1]:
        rounded = np.rint(rounded - local @ (local.T @ rounded))
    return rounded.astype(np.int64)


def _local_basis(cohort: Cohort) -> Reals:
    """Orthonormal columns that span the site's own, over people who are in."""
    if not cohort.site.shape[1] or not cohort.size:
        return np.zeros((len(cohort.people), 0))
    size = np.linalg.norm(cohort.site, axis=0)
    left, values, _ = np.linalg.svd(cohort.site / np.where(size > 0, size, 1.0), full_matrices=False)
    return np.ascontiguousarray(left[:, values > _RANK_TOLERANCE * values[0]])


def _product_bound(limits: Limits) -> float:
    return 2.0 * limits.people


def _people_bound(limits: Limits) -> float:
    return 1.01 * limits.people


def _exact(*dims: str) -> WideSum:
    return WideSum(*dims, bound=_product_bound, fraction_bits=2 * COLUMN_BITS, words=2)


@dataclass(frozen=True)
class CrossProducts(Additive):
    """Products of standardised columns over people, at 68 fraction bits; coefficient 0 is the intercept.

    `between` says how far trait means of sites lie apart: the sum over sites of people times squared distance, in
    variances. Of one node it is one number, hidden in the sum; with effects of sites it is zero.
    """

    NODEWISE: ClassVar[frozenset[str]] = frozenset({"between"})

    design: Annotated[Wide, _exact("coefficient", "coefficient")]
    design_trait: Annotated[Wide, _exact("coefficient", "trait")]
    trait_squares: Annotated[Wide, _exact("trait")]
    between: Annotated[Reals, Sum("trait", bound=_people_bound)]


@local_step(CROSS_PRODUCTS, rests_on=(MOMENTS,), follows=scaling_follows)
def column_cross_products(cohort: Cohort, at: Scaling) -> CrossProducts:
    """Products of the standardised columns; with site effects the intercept is nobody's column and all zero."""
    columns = standardised(cohort, at)
    ones = np.zeros((len(cohort.people), 1), np.int64)
    if not cohort.site.shape[1]:
        ones[cohort.people] = 1 << COLUMN_BITS
    design = np.hstack([ones, columns.covariates])
    trait = columns.traits
    return CrossProducts(
        design=cross_products(design, design),
        design_trait=cross_products(design, trait),
        trait_squares=np.array(
            [cross_products(trait[:, [t]], trait[:, [t]])[0, 0] for t in range(trait.shape[1])], object
        ),
        between=_between(cohort, columns),
    )


def _between(cohort: Cohort, columns: Columns) -> Reals:
    """People times the squared distance of this node's mean of each trait, shape (trait,)."""
    if cohort.site.shape[1]:
        return np.zeros(columns.traits.shape[1])
    sums = np.ldexp(columns.traits.sum(axis=0).astype(np.float64), -COLUMN_BITS)
    return np.asarray(sums * sums / max(cohort.size, 1))
