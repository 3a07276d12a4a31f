"""Small linear algebra for many variants at once: the variant is the last axis, or an axis of length one if shared.

Correlations are examined as PLINK 2 does, in its order and with its limits.
"""

from dataclasses import dataclass

import numpy as np

from fedstats.arrays import Bools, Reals

#: PLINK 2's limits for correlations between predictors and for variance inflation factors.
MOST_CORRELATION = 0.999
MOST_INFLATION = 50.0
#: A pivot of a correlation matrix below this is none: the matrix has no inverse to double precision.
_SMALLEST_PIVOT = 1e-13


def cholesky(matrices: Reals) -> Reals:
    """Lower factors of symmetric matrices, shape (column, column, variant); NaN from a pivot that is not positive on.

    Notes
    -----
    Column by column (Golub and Van Loan, Matrix Computations, algorithm 4.2.1), all variants at a time.
    """
    lower = np.zeros_like(matrices)
    with np.errstate(invalid="ignore", divide="ignore"):
        for j in range(len(matrices)):
            pivot = matrices[j, j] - (lower[j, :j] ** 2).sum(axis=0)
            lower[j, j] = np.sqrt(np.where(pivot > _SMALLEST_PIVOT * matrices[j, j], pivot, np.nan))
            for i in range(j + 1, len(matrices)):
                lower[i, j] = (matrices[i, j] - (lower[i, :j] * lower[j, :j]).sum(axis=0)) / lower[j, j]
    return lower


def solve_lower(lower: Reals, right: Reals) -> Reals:
    """Solutions of L x = b; shapes (column, column, variant) and (column, ..., variant)."""
    shape = np.broadcast_shapes(right.shape[1:], lower.shape[2:])
    solved = np.zeros((len(right), *shape))
    for i in range(len(right)):
        known = np.zeros(shape)
        for j in range(i):
            known = known + lower[i, j] * solved[j]
        solved[i] = (right[i] - known) / lower[i, i]
    return solved


@dataclass(frozen=True)
class Correlations:
    """What is wrong with the predictors of each variant, shape (variant,) each, by PLINK 2's names."""

    corr_too_high: Bools
    vif_infinite: Bools
    vif_too_high: Bools


def correlation_matrix(products: Reals) -> tuple[Reals, Reals]:
    """Correlations from centred cross-products, and roots of their diagonal; NaN where a column is constant."""
    diagonal = np.einsum("aa...->a...", products)
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.sqrt(np.where(diagonal > 0, diagonal, np.nan))
        return products / (scale[:, None] * scale[None]), scale


def examine(correlations: Reals, with_genotype: Reals) -> Correlations:
    """Check correlations of covariates with each other and with the genotype.

    Parameters
    ----------
    correlations
        Of the covariates, shape (covariate, covariate, variant or 1).
    with_genotype
        Of the covariates with the genotype, shape (covariate, variant).
    """
    count, variants = with_genotype.shape
    # PLINK 2 looks only where there are two covariates or more; a single one is caught by RANK_DEFICIENT.
    if count < 2:
        nothing = np.zeros(variants, np.bool_)
        return Correlations(nothing, nothing, nothing)
    off_diagonal = correlations[np.tril_indices(count, -1)]
    # A covariate that is constant among the called has no correlation; PLINK 2 calls that too high as well.
    low = (np.abs(off_diagonal) <= MOST_CORRELATION).all(axis=0) & (np.abs(with_genotype) <= MOST_CORRELATION).all(
        axis=0
    )
    most, invertible = _inflation(correlations, with_genotype)
    return Correlations(np.asarray(~low), ~invertible, np.asarray(~(most <= MOST_INFLATION)))


def _inflation(correlations: Reals, with_genotype: Reals) -> tuple[Reals, Bools]:
    """Largest variance inflation factor of each variant's predictors, and whether the correlations have an inverse."""
    count = len(with_genotype)
    lower = cholesky(correlations)
    inverse_lower = solve_lower(lower, np.eye(count)[:, :, None])
    u = solve_lower(lower, with_genotype)
    free = 1 - (u**2).sum(axis=0)
    # The inverse has L^-T L^-1 r / (1 - r' R^-1 r) beside the genotype (Harville, Matrix Algebra, 8.5).
    weights = np.stack([(inverse_lower[:, a] * u).sum(axis=0) for a in range(count)])
    with np.errstate(invalid="ignore", divide="ignore"):
        of_genotype = 1 / free
        of_covariates = (inverse_lower**2).sum(axis=0) + weights**2 * of_genotype
    most = np.maximum(of_genotype, of_covariates.max(axis=0))
    return most, np.asarray((free > _SMALLEST_PIVOT) & np.isfinite(most))
