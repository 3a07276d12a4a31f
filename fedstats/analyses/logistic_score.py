"""Score tests of a logistic GWAS: every variant at the null model, at the price of a linear scan.

They are an answer of their own (`--test score`), the filter of `score-refit`, and where full fits start.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from fedstats.analyses.genotype_counts import CaseCounts, VariantTotals, all_of
from fedstats.analyses.linear_design import LinearDesign
from fedstats.analyses.logistic_fit import BLOCK, Candidates, NullFit, evaluate
from fedstats.analyses.logistic_steps import RoundZero, RoundZeroAsk, RoundZeroBySex, round_zero, round_zero_by_sex
from fedstats.analyses.statuses import Codes, status
from fedstats.arrays import Indices, Reals
from fedstats.federation import Federation
from fedstats.kernels.linalg import correlation_matrix, examine
from fedstats.kernels.newton import NewtonSteps, bordered_steps
from fedstats.study import Block


@dataclass(frozen=True, eq=False)
class ScoreTests:
    """Score tests of candidates, each array by variant first.

    Attributes
    ----------
    step
        Newton's step from the null model, covariates first and the genotype last: the one-step estimate U / V.
    variance
        1 / V.
    status
        OK, or what is wrong with the predictors; step and variance are then of no use.
    cases
        Genotypes of cases, which come with the sums of the tests.
    """

    step: Reals
    variance: Reals
    status: Codes
    cases: CaseCounts

    def at(self, chosen: Indices) -> "ScoreTests":
        """Some of them, by position."""
        return ScoreTests(self.step[chosen], self.variance[chosen], self.status[chosen], self.cases.take(chosen))


def score_tests(federation: Federation, fit: NullFit, design: LinearDesign, candidates: Candidates) -> ScoreTests:
    """Efficient scores with missing calls at the mean, from one pass of round 0.

    Notes
    -----
    U = g'(y - mu), V = g'Wg - g'Wz (z'Wz)^-1 z'Wg: Rao's test [1]_. Collinearity is examined on the same imputed
    genotypes, without weights, by PLINK 2's limits.

    References
    ----------
    .. [1] Rao (1948), Large sample tests of statistical hypotheses concerning several parameters.
    """
    parts = []
    first = 0
    for block, total in _round_zero(federation, fit, candidates):
        totals = candidates.totals.take(np.arange(first, first + len(block)))
        parts.append(_tests(fit, design, totals, total))
        first += len(block)
    return ScoreTests(
        step=np.concatenate([part.step for part in parts]),
        variance=np.concatenate([part.variance for part in parts]),
        status=np.concatenate([part.status for part in parts]),
        cases=all_of([part.cases for part in parts]),
    )


def _round_zero(federation: Federation, fit: NullFit, candidates: Candidates) -> Iterator[tuple[Block, RoundZero]]:
    """Totals of round 0, block by block; on chromosome X men are counted apart."""
    if fit.model.kind == "x":
        yield from federation.each(round_zero_by_sex, fit.model, _asks(fit, candidates))
    else:
        yield from federation.each(round_zero, fit.model, _asks(fit, candidates))


def complete_score_tests(federation: Federation, fit: NullFit, tests: ScoreTests, candidates: Candidates) -> ScoreTests:
    """The same tests, with people who have a missing call left out where the candidate says so.

    Notes
    -----
    Residuals are those of everybody's null model, evaluated on called people: Neyman's C(alpha) [1]_, whose one Newton
    step takes the covariates to the null model of the called. Few missing calls move it by less than its own error.

    References
    ----------
    .. [1] Neyman (1959), Optimal asymptotic tests of composite statistical hypotheses.
    """
    chosen = np.flatnonzero(candidates.dropped & (candidates.totals.missing > 0) & (tests.status == status("OK")))
    if not len(chosen):
        return tests
    at_null = np.zeros((len(chosen), len(fit.null.beta) + 1))
    at_null[:, :-1] = fit.null.beta
    found = evaluate(federation, fit, candidates.at(chosen), at_null, 1)
    step, variance, codes = tests.step.copy(), tests.variance.copy(), tests.status.copy()
    step[chosen], variance[chosen] = found.step, found.variance
    codes[chosen[~found.solved]] = status("RANK_DEFICIENT")
    return ScoreTests(step, variance, codes, tests.cases)


def _asks(fit: NullFit, candidates: Candidates) -> Iterator[tuple[Block, RoundZeroAsk]]:
    for first in range(0, len(candidates), BLOCK):
        some = candidates.at(slice(first, first + BLOCK))
        yield Block(some.totals.variants), RoundZeroAsk(**fit.fields(), **some.counts())


def _tests(fit: NullFit, design: LinearDesign, totals: VariantTotals, total: RoundZero) -> ScoreTests:
    cross = total.real("cross_information")
    score = np.zeros((len(cross), cross.shape[1] + 1))
    score[:, -1] = total.real("genotype_score")
    found = bordered_steps(fit.null.information, cross, total.real("genotype_information"), score)
    return ScoreTests(found.step, found.variance, _statuses(design, totals, total, found), _cases(total))


def _cases(total: RoundZero) -> CaseCounts:
    if isinstance(total, RoundZeroBySex):
        return CaseCounts(total.case_called, total.case_dosage, total.male_case_called, total.male_case_dosage)
    nobody = np.zeros_like(total.case_called)
    return CaseCounts(total.case_called, total.case_dosage, nobody, nobody)


def _statuses(design: LinearDesign, totals: VariantTotals, total: RoundZero, found: NewtonSteps) -> Codes:
    """The first thing that is wrong with each variant's predictors, in PLINK 2's order."""
    correlations, scale = correlation_matrix(design.centred_design[:, :, None])
    spread = totals.squares - totals.dosage * totals.mean
    products = total.real("genotype_covariate").T - np.outer(design.design[0, 1:], totals.mean)
    with np.errstate(invalid="ignore", divide="ignore"):
        faults = examine(correlations, products / (scale * np.sqrt(spread)))
    checks = [faults.corr_too_high, faults.vif_infinite, faults.vif_too_high, ~found.solved]
    names = ["CORR_TOO_HIGH", "VIF_INFINITE", "VIF_TOO_HIGH", "RANK_DEFICIENT"]
    return np.select(checks, [status(name) for name in names], status("OK")).astype(np.int8)
