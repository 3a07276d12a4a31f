"""Linear regressions of many variants at once, from sums: effects, standard errors, and what could not be estimated."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Counts, Reals
from fedstats.kernels.linalg import MOST_INFLATION, cholesky, correlation_matrix, examine, solve_lower

#: Share of the genotype's variance left by the covariates under which their span holds it to double precision.
SMALLEST_SHARE = 1e-8
#: What can be wrong with a regression, in PLINK 2's order; statuses are positions in here.
FAULTS = (
    "OK",
    "SAMPLE_CT<=PREDICTOR_CT",
    "CONST_OMITTED_ALLELE",
    "CORR_TOO_HIGH",
    "VIF_INFINITE",
    "VIF_TOO_HIGH",
    "RANK_DEFICIENT",
    "INVALID_RESULT",
)
#: PLINK 2's smallest variance of an estimate that counts as a result.
SMALLEST_VARIANCE = 1e-20


@dataclass(frozen=True, eq=False)
class LinearSums:
    """Centred sums of the regressions of p traits on a genotype and k covariates, the variant last.

    Attributes
    ----------
    people, degrees_of_freedom
        Of each regression, shape (variant,).
    design, design_trait, trait_squares
        Products of covariates and traits about their means, shapes (k, k, variant or 1), (k, p, variant or 1) and
        (p, variant or 1).
    design_genotype, trait_genotype
        Products with the genotype, shapes (k, variant) and (p, variant).
    genotype_squares, spread
        Sum of squares of the genotype after effects of sites, and before (about its mean), shape (variant,).
    local
        Number of columns whose effects were taken out at the sites.
    """

    people: Counts
    degrees_of_freedom: Counts
    design: Reals
    design_trait: Reals
    trait_squares: Reals
    design_genotype: Reals
    trait_genotype: Reals
    genotype_squares: Reals
    spread: Reals
    local: int = 0

    def part(self, variants: slice) -> "LinearSums":
        """The sums of some variants; what is the same for all of them stays as it is."""
        count = len(self.people)
        arrays = {name: values for name, values in vars(self).items() if name != "local"}
        cut = {name: values[..., variants] if values.shape[-1] == count else values for name, values in arrays.items()}
        return LinearSums(**cut, local=self.local)


@dataclass(frozen=True, eq=False)
class LinearFit:
    """Effects and standard errors per allele, and status as a position in `FAULTS`, shape (trait, variant)."""

    effect: Reals
    standard_error: Reals
    statistic: Reals
    status: npt.NDArray[np.int8]


def solve(sums: LinearSums) -> LinearFit:
    """Least squares by eliminating the covariates from genotype and traits (Frisch, Waugh and Lovell).

    Notes
    -----
    With L L' = R, the correlations of the covariates, and u, w the standardised products with genotype and trait after
    L^-1: v = g'g - u'u, c = g'y - u'w, effect c / v, residual y'y - w'w - c^2 / v.
    """
    correlations, scale = correlation_matrix(sums.design)
    lower = cholesky(correlations)
    with np.errstate(invalid="ignore", divide="ignore"):
        u = solve_lower(lower, sums.design_genotype / scale)
        w = solve_lower(lower, sums.design_trait / scale[:, None])
        v = sums.genotype_squares - (u**2).sum(axis=0)
        c = sums.trait_genotype - _products(u, w)
        rest = sums.trait_squares - (w**2).sum(axis=0)
        effect = c / v
        variance = (rest - c * effect) / sums.degrees_of_freedom / v
        standard_error = np.sqrt(np.where(variance > 0, variance, np.nan))
        status = _statuses(sums, correlations, scale, v, variance)
        bad = status != 0
        effect, standard_error = np.where(bad, np.nan, effect), np.where(bad, np.nan, standard_error)
        return LinearFit(effect, standard_error, effect / standard_error, status)


def _products(u: Reals, w: Reals) -> Reals:
    """Sums over the covariates of u and w, shapes (k, variant) and (k, p, variant or 1), as (p, variant).

    Covariate by covariate: all products at once would be k times what the processor's cache holds.
    """
    total = np.zeros((w.shape[1], u.shape[1]))
    term = np.empty_like(total)
    for of_genotype, of_traits in zip(u, w, strict=True):
        total += np.multiply(of_genotype, of_traits, out=term)
    return total


def _statuses(sums: LinearSums, correlations: Reals, scale: Reals, v: Reals, variance: Reals) -> npt.NDArray[np.int8]:
    """The first thing that is wrong with each regression, in PLINK 2's order."""
    with_genotype = sums.design_genotype / (scale * np.sqrt(sums.genotype_squares))
    found = examine(correlations, with_genotype)
    inflated = found.vif_too_high | _inflated_by_sites(sums, v)
    checks: list[Bools] = [
        sums.degrees_of_freedom <= 0,
        sums.spread <= 0,
        found.corr_too_high,
        found.vif_infinite,
        inflated,
        ~(v > SMALLEST_SHARE * sums.spread),
    ]
    shared = np.select(checks, range(1, len(checks) + 1), 0).astype(np.int8)
    invalid = ~(variance >= SMALLEST_VARIANCE) & (shared == 0)
    return np.where(invalid, np.int8(FAULTS.index("INVALID_RESULT")), shared)


def _inflated_by_sites(sums: LinearSums, v: Reals) -> Bools:
    """Whether the genotype is nearly a combination of covariates and sites; PLINK 2 looks from two columns on."""
    if not sums.local or len(sums.design) + sums.local < 2:
        return np.zeros(v.shape, np.bool_)
    return np.asarray(sums.spread > MOST_INFLATION * v)
