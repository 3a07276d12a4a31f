"""Linear regression of one variant by dense least squares: no kernel, no fixed point, no elimination."""

import numpy as np

from fedstats.arrays import Reals


def regression(design: Reals, genotype: Reals, trait: Reals) -> tuple[float, float]:
    """Effect of the genotype and its standard error beside the columns of the design (rows are people)."""
    full = np.column_stack([design, genotype])
    q, r = np.linalg.qr(full)
    coefficients = np.linalg.solve(r, q.T @ trait)
    residual = trait - full @ coefficients
    variance = residual @ residual / (len(trait) - full.shape[1])
    return float(coefficients[-1]), float(np.sqrt(variance) / abs(r[-1, -1]))
