"""Newton steps for many small problems at once: pack and unpack information matrices, factor, solve, damp.

All arrays run over problems first (usually variants); matrices are at most a few dozen wide, so that the loops of
the factorisation run over coefficients and every operation in them is a vector over problems.
"""

from dataclasses import dataclass

import numpy as np

from fedstats.arrays import Bools, Indices, Reals

#: A pivot of the correlation-scaled information under this is zero: squared, it is the smallest share of a column's
#: information that the other columns may leave. Doubles carry 16 digits, sums of a study perhaps 12 of them.
SMALLEST_PIVOT = 1e-10

#: Largest move of one coefficient per unit of dosage in a step. A step of 2 crosses all of the steep part of the
#: logistic curve, so that a start far out comes back, and no step lands where all weights vanish.
LARGEST_EFFECT_STEP = 2.0

#: Largest move of the covariates' coefficients in a step, Euclidean, in standard deviations.
LARGEST_COVARIATE_STEP = 1.0


@dataclass(frozen=True)
class NewtonSteps:
    """What one evaluation says of each problem.

    Attributes
    ----------
    step
        information^-1 score, shape (problem, coefficient); zero where not solved.
    decrement
        score' information^-1 score, shape (problem,): squared distance to the maximum in standard errors.
    variance
        Last diagonal element of information^-1, shape (problem,); NaN where not solved.
    solved
        Whether the information is positive definite, shape (problem,).
    """

    step: Reals
    decrement: Reals
    variance: Reals
    solved: Bools


def pair_indices(size: int) -> tuple[Indices, Indices]:
    """Row and column of each entry of a packed symmetric matrix: upper triangle, row by row."""
    rows, columns = np.triu_indices(size)
    return rows, columns


def unpack(packed: Reals, size: int) -> Reals:
    """Symmetric matrices, shape (..., size, size), from packed upper triangles, shape (..., pair)."""
    rows, columns = pair_indices(size)
    full = np.zeros((*packed.shape[:-1], size, size))
    full[..., rows, columns] = packed
    full[..., columns, rows] = packed
    return full


def border(inner: Reals, cross: Reals, corner: Reals) -> Reals:
    """Matrices with one more row and column: shape (problem, size + 1, size + 1).

    Parameters
    ----------
    inner, cross, corner
        Shapes (problem, size, size) or (size, size), (problem, size), (problem,).
    """
    problems, size = cross.shape
    full = np.empty((problems, size + 1, size + 1))
    full[:, :size, :size] = inner
    full[:, :size, size] = cross
    full[:, size, :size] = cross
    full[:, size, size] = corner
    return full


def newton_steps(score: Reals, information: Reals) -> NewtonSteps:
    """Newton's step of every problem, by Cholesky of the correlation-scaled information.

    Parameters
    ----------
    score
        Gradients of the log-likelihood, shape (problem, coefficient).
    information
        Negative Hessians, shape (problem, coefficient, coefficient).
    """
    diagonal = np.einsum("jaa->ja", information)
    positive = (diagonal > 0).all(axis=1)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    scaled = information * scale[:, :, None] * scale[:, None, :]
    factor, solved = _cholesky(scaled)
    solved = solved & positive
    half = _forward(factor, score * scale)
    step = _backward(factor, half) * scale
    variance = (scale[:, -1] / factor[:, -1, -1]) ** 2
    return NewtonSteps(
        step=np.where(solved[:, None], step, 0.0),
        decrement=np.where(solved, (half**2).sum(axis=1), np.inf),
        variance=np.where(solved, variance, np.nan),
        solved=solved,
    )


def bordered_steps(inner: Reals, cross: Reals, corner: Reals, score: Reals) -> NewtonSteps:
    """Newton's step of problems whose matrices differ in their last row and column alone: `inner` is factored once.

    Parameters
    ----------
    inner, cross, corner
        Shapes (size, size), (problem, size), (problem,), as for `border`.
    score
        Gradients, shape (problem, size + 1).
    """
    diagonal = np.diagonal(inner)
    scale = 1 / np.sqrt(np.where(diagonal > 0, diagonal, 1.0))
    factors, sound = _cholesky((inner * np.outer(scale, scale))[None])
    lower = factors[0]
    last_scale = 1 / np.sqrt(np.where(corner > 0, corner, 1.0))
    half = _solved_below(lower, (score[:, :-1] * scale).T)
    row = _solved_below(lower, (cross * scale).T * last_scale)
    pivot = 1.0 - (row**2).sum(axis=0)
    solved = (pivot > SMALLEST_PIVOT) & (corner > 0) & sound[0] & (diagonal > 0).all()
    root = np.sqrt(np.where(solved, pivot, 1.0))
    last = (score[:, -1] * last_scale - (row * half).sum(axis=0)) / root
    of_inner = _solved_above(lower, half - row * (last / root))
    step = np.column_stack([of_inner.T * scale, last / root * last_scale])
    return NewtonSteps(
        step=np.where(solved[:, None], step, 0.0),
        decrement=np.where(solved, (half**2).sum(axis=0) + last**2, np.inf),
        variance=np.where(solved, (last_scale / root) ** 2, np.nan),
        solved=solved,
    )


def _solved_below(lower: Reals, right: Reals) -> Reals:
    """Solutions x of L x = right, shape (coefficient, problem)."""
    found = np.empty_like(right)
    for row in range(len(right)):
        found[row] = (right[row] - lower[row, :row] @ found[:row]) / lower[row, row]
    return found


def _solved_above(lower: Reals, right: Reals) -> Reals:
    """Solutions x of L' x = right, shape (coefficient, problem)."""
    found = np.empty_like(right)
    for row in reversed(range(len(right))):
        found[row] = (right[row] - lower[row + 1 :, row] @ found[row + 1 :]) / lower[row, row]
    return found


def _cholesky(matrices: Reals) -> tuple[Reals, Bools]:
    """Lower factors of matrices with unit diagonal, and which of them are positive definite.

    A pivot that is too small is replaced by one, so that the others can go on.
    """
    size = matrices.shape[-1]
    factor = np.zeros_like(matrices)
    solved = np.ones(len(matrices), np.bool_)
    for column in range(size):
        above = factor[:, column, :column]
        pivot = matrices[:, column, column] - (above**2).sum(axis=1)
        sound = pivot > SMALLEST_PIVOT
        solved &= sound
        root = np.sqrt(np.where(sound, pivot, 1.0))
        below = matrices[:, column + 1 :, column] - np.einsum("jab,jb->ja", factor[:, column + 1 :, :column], above)
        factor[:, column, column] = root
        factor[:, column + 1 :, column] = below / root[:, None]
    return factor, solved


def _forward(factor: Reals, right: Reals) -> Reals:
    """Solution x of L x = right."""
    found = np.zeros_like(right)
    for row in range(right.shape[1]):
        known = np.einsum("ja,ja->j", factor[:, row, :row], found[:, :row])
        found[:, row] = (right[:, row] - known) / factor[:, row, row]
    return found


def _backward(factor: Reals, right: Reals) -> Reals:
    """Solution x of L' x = right."""
    found = np.zeros_like(right)
    for row in reversed(range(right.shape[1])):
        known = np.einsum("ja,ja->j", factor[:, row + 1 :, row], found[:, row + 1 :])
        found[:, row] = (right[:, row] - known) / factor[:, row, row]
    return found


def damped(step: Reals) -> Reals:
    """Steps shortened so that neither the last coefficient nor the covariates' leave the region where Newton works.

    The first coefficient is the intercept, which follows the others, and is not limited.
    """
    effect = np.abs(step[:, -1]) / LARGEST_EFFECT_STEP
    covariates = np.sqrt((step[:, 1:-1] ** 2).sum(axis=1)) / LARGEST_COVARIATE_STEP
    shorten = 1 / np.maximum(1.0, np.maximum(effect, covariates))
    return np.asarray(step * shorten[:, None])
