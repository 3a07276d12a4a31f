"""Principal components of all people together, from a sample of common variants."""

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices, Reals
from fedstats.genotypes import PackedBlock

ROUNDS = 4
EXTRA = 6
BLOCK = 256


def joint_components(
    packed: npt.NDArray[np.uint8], rows: Indices, people: int, number: int, rng: np.random.Generator
) -> Reals:
    """Left singular vectors of the standardised genotypes of some variants, shape (person, component).

    A randomised subspace iteration [1]_ that reads the variants in blocks; signs are such that the largest entry of
    each component is positive.

    Parameters
    ----------
    packed
        Calls, shape (file variant, byte).
    rows
        The variants to use.
    people, number
        People in the file, and components wanted.
    rng
        Source of the starting vectors.

    References
    ----------
    .. [1] Halko, Martinsson and Tropp (2011), SIAM Review 53:217, algorithm 4.4.
    """
    basis = np.linalg.qr(rng.standard_normal((people, number + EXTRA)))[0]
    values = np.zeros(number + EXTRA)
    for _ in range(ROUNDS):
        image = np.zeros_like(basis)
        for first in range(0, len(rows), BLOCK):
            z = _standardised(packed, rows[first : first + BLOCK], people)
            image += z.T @ (z @ basis)
        rotation, values, _ = np.linalg.svd(image, full_matrices=False)
        basis = rotation
    chosen = basis[:, np.argsort(-values, kind="stable")[:number]]
    largest = chosen[np.abs(chosen).argmax(axis=0), np.arange(number)]
    return np.asarray(chosen * np.sign(largest))


def _standardised(packed: npt.NDArray[np.uint8], rows: Indices, people: int) -> Reals:
    """Dosages with mean 0 and variance 1, missing ones 0, shape (variant, person); constant variants are 0."""
    dosage = PackedBlock(packed, rows, np.zeros(len(rows), np.bool_), people).dosages()
    called = dosage >= 0
    mean = np.where(called, dosage, 0).sum(axis=1) / np.maximum(called.sum(axis=1), 1)
    centred = np.where(called, dosage - mean[:, None], 0.0)
    scale = np.sqrt((centred**2).mean(axis=1))
    return np.asarray(centred / np.where(scale > 0, scale, 1.0)[:, None])
