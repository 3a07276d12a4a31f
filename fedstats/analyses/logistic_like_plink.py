"""Full fits along PLINK 2's path (`--convergence plink`), for those who compare digits.

PLINK 2 follows R's glm.fit [1]_: it starts at a linear regression, stops when the log-likelihood hardly changes, and
reports the standard error at the estimate before the last. Elsewhere fits converge in full, see `logistic_fit`; so do
here those whose path leaves what nodes compute with. A regression that knows no odds begins far from where covariates
nearly decide a rare trait, and there it would leave all variants without an estimate.

References
----------
.. [1] R 4.2, stats::glm.fit, with its defaults epsilon = 1e-8 and mustart = (y + 1/2) / 2 for single trials.
"""

from dataclasses import dataclass

import numpy as np

from fedstats.analyses import logistic_steps as steps
from fedstats.analyses.logistic_fit import Candidates, Estimates, NullFit, fit_all, joined_steps, round_asks, steps_of
from fedstats.analyses.statuses import Codes, status
from fedstats.arrays import Bools, Indices, Reals
from fedstats.federation import Federation
from fedstats.kernels.newton import NewtonSteps

#: R starts at the regression of the working response, log(3) + 4/3 for cases and minus that for controls, with equal
#: weights. A Newton step from zero is the regression of 4 (y - 1/2), which is 2 for cases and -2 for controls.
START = (np.log(3.0) + 4.0 / 3.0) / 2.0

#: R stops when the deviance changes by less than 1e-8 (0.1 + deviance); the deviance is -2 log-likelihood.
EPSILON = 1e-8
OFFSET = 0.05


@dataclass(eq=False)
class _Paths:
    """Fits under way, the genotype's coefficient last; `variance` is that of the round before.

    `strayed` are those that ended because nodes would refuse their next coefficients.
    """

    beta: Reals
    variance: Reals
    log_likelihood: Reals
    status: Codes
    strayed: Bools
    active: Indices


def fit_like_plink(federation: Federation, fit: NullFit, candidates: Candidates, start: Reals) -> Estimates:
    """Estimates where PLINK 2 stops, standard errors one round older; `start` is for fits that converge in full."""
    count = len(candidates)
    paths = _Paths(
        beta=np.zeros((count, len(fit.null.beta) + 1)),
        variance=np.full(count, np.nan),
        log_likelihood=np.full(count, -np.inf),
        status=np.zeros(count, np.int8),
        strayed=np.zeros(count, np.bool_),
        active=np.arange(count),
    )
    for number in range(1, steps.LAST_ROUND + 1):
        if not len(paths.active):
            break
        active = candidates.at(paths.active)
        asks = round_asks(fit, active, paths.beta[paths.active], number)
        totals = [total for _, total in federation.each(steps.newton_round_with_likelihood, fit.model, asks)]
        found = joined_steps([steps_of(total) for total in totals])
        _advance(paths, fit.null.beta, found, np.concatenate([total.log_likelihood for total in totals]), number)
    paths.status[paths.active] = status("LOGISTIC_CONVERGE_FAIL")
    sound = (paths.status == status("OK")) & ~paths.strayed
    error = np.sqrt(np.where(sound, paths.variance, np.nan))
    estimates = Estimates(np.where(sound, paths.beta[:, -1], np.nan), error, paths.status)
    strayed = np.flatnonzero(paths.strayed)
    if len(strayed):
        estimates.put(strayed, fit_all(federation, fit, candidates.at(strayed), start[strayed]))
    return estimates


def _advance(paths: _Paths, null: Reals, found: NewtonSteps, log_likelihood: Reals, number: int) -> None:
    """Stop the fits that R would stop, and take the step of the others; the first round only finds the start."""
    active = paths.active
    stops = _stops(paths.log_likelihood[active], log_likelihood) & (number > 2)
    step = found.step * START if number == 1 else found.step
    after = paths.beta[active] + np.where(stops[:, None], 0.0, step)
    far = ~stops & (np.abs(after[:, -1]) > steps.LARGEST_GENOTYPE_EFFECT)
    off = ~stops & ~far & ~steps.admissible(null, after[:, :-1], after[:, -1])
    lost = ~stops & ~found.solved
    paths.beta[active] = after
    paths.variance[active] = np.where(stops, paths.variance[active], found.variance)
    paths.log_likelihood[active] = log_likelihood
    paths.strayed[active[off & ~lost]] = True
    paths.status[active[lost]] = status("LOGISTIC_CONVERGE_FAIL")
    paths.status[active[far]] = status("SEPARATION")
    paths.active = active[~stops & ~far & ~off & ~lost]


def _stops(before: Reals, now: Reals) -> Bools:
    return np.asarray(np.abs(now - before) < EPSILON * (OFFSET + np.abs(now)))
