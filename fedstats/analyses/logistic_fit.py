"""Full Newton fits of many variants: rounds over those still active, each leaving as it converges.

A fit starts at the null model moved by the step of the score test. Rounds that take the covariates' own information
from the null model bring it near the maximum at half the price of a full round; full rounds end it. It stops on the
Newton decrement, and takes its standard error from the information at the last evaluation, which lies within 1e-7 of
the estimate.
Coefficients that nodes would refuse are never sent: such a variant is retired with a status first.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedstats.analyses import logistic_steps as steps
from fedstats.analyses.genotype_counts import VariantTotals
from fedstats.analyses.logistic_null import NullModel
from fedstats.analyses.moments import Scaling
from fedstats.analyses.statuses import Codes, status
from fedstats.arrays import Bools, Indices, Reals
from fedstats.federation import Federation
from fedstats.kernels.newton import NewtonSteps, border, bordered_steps, damped, newton_steps, unpack
from fedstats.study import Block, Model

#: A fit has converged where its next step is below 1e-5 standard errors and 1e-7 in size.
#: That step is taken: the estimate's error is its square, and the information at the last evaluation,
#: which gives the standard error, differs from that at the estimate by less than 1e-7 relative.
LARGEST_DECREMENT = 1e-10
LARGEST_LAST_STEP = 1e-7

#: Most rounds with the covariates' information of the null model. They converge by a constant factor, of a hundred and
#: more where the effect is small, where full rounds square the error.
APPROACHES = 2
#: So many genotypes must be far from their maximum for a pass of approaches: below, its calls and its records cost more
#: than the work that it saves.
WORTH_A_PASS = 1 << 25
#: A step of this decrement ends so near the maximum that a full round will most often be the last.
NEAR = 1e-4

#: An effect that still moves by so much after the last round runs to infinity: under separation each step adds
#: about 1 / dosage.
RUNNING_AWAY = 0.25

#: Variants of one ask.
BLOCK = 4096

#: Where the border of what nodes admit stops a step, a little inside of it, so that rounding does not matter.
_INSIDE = 0.999
#: A fit whose steps the border shortens to less than this is going nowhere.
_STUCK = 0.01


@dataclass(frozen=True, eq=False)
class Candidates:
    """Variants of one chunk to fit, with their counts, and whether people with a missing call are left out."""

    totals: VariantTotals
    dropped: Bools

    def __len__(self) -> int:
        return len(self.totals)

    def at(self, chosen: Indices | slice) -> "Candidates":
        """Some of them, by position."""
        positions = np.arange(len(self))[chosen]
        return Candidates(self.totals.take(positions), self.dropped[positions])

    def counts(self) -> dict[str, Any]:
        """Counts that go with every ask."""
        return {
            "called": self.totals.called,
            "dosage": self.totals.dosage,
            "minor_count": self.totals.whole_minor_count,
            "carrier_nodes": self.totals.carrier_nodes,
        }


@dataclass(frozen=True, eq=False)
class Estimates:
    """Effects and standard errors of candidates; NaN where the status is not OK."""

    beta: Reals
    standard_error: Reals
    status: Codes

    def put(self, at: Indices, found: "Estimates") -> None:
        """Replace those at some positions."""
        self.beta[at], self.standard_error[at], self.status[at] = found.beta, found.standard_error, found.status


@dataclass(frozen=True)
class NullFit:
    """A null model with what it takes to ask nodes about it."""

    model: Model
    scaling: Scaling
    null: NullModel

    def fields(self) -> dict[str, Any]:
        """Fields of every ask about variants."""
        return {**vars(self.scaling), "trait": self.null.trait, "null": self.null.beta}


@dataclass(eq=False)
class _Fits:
    """Fits under way; arrays run over candidates, coefficients with the genotype's last."""

    beta: Reals
    variance: Reals
    status: Codes
    last_step: Reals
    active: Indices


def fit_all(federation: Federation, fit: NullFit, candidates: Candidates, start: Reals) -> Estimates:
    """Maximum likelihood of each candidate.

    Parameters
    ----------
    federation, fit, candidates
        Whom to ask, about which null model, and which variants.
    start
        First step from the null model, shape (variant, coefficient + 1), the genotype last; zero starts at the null.
    """
    fits = _started(fit.null.beta, start)
    approached = _approach(federation, fit, candidates, fits)
    _run(federation, fit, candidates, fits)
    if approached:
        _again(federation, fit, candidates, fits, start)
    sound = fits.status == status("OK")
    return Estimates(
        np.where(sound, fits.beta[:, -1], np.nan), np.sqrt(np.where(sound, fits.variance, np.nan)), fits.status
    )


def _run(federation: Federation, fit: NullFit, candidates: Candidates, fits: _Fits) -> None:
    """Full rounds, until every fit has converged or is given up."""
    for number in range(1, steps.LAST_ROUND + 1):
        if not len(fits.active):
            break
        found = evaluate(federation, fit, candidates.at(fits.active), fits.beta[fits.active], number)
        _advance(fits, fit.null.beta, found)
    running = np.abs(fits.last_step[fits.active]) > RUNNING_AWAY
    fits.status[fits.active] = np.where(running, status("SEPARATION"), status("LOGISTIC_CONVERGE_FAIL"))


def _again(federation: Federation, fit: NullFit, candidates: Candidates, fits: _Fits, start: Reals) -> None:
    """Fit from the start, by full rounds alone, what was given up after an approach.

    Where a covariate has outliers and the effect is strong, an approach may lead to where Newton's steps overshoot.
    What is said of a variant that has no estimate is then also what full rounds say.
    """
    lost = np.flatnonzero(fits.status != status("OK"))
    if not len(lost):
        return
    fresh = _started(fit.null.beta, start[lost])
    _run(federation, fit, candidates.at(lost), fresh)
    fits.beta[lost], fits.variance[lost], fits.status[lost] = fresh.beta, fresh.variance, fresh.status


def _started(null: Reals, start: Reals) -> _Fits:
    at_null = np.column_stack([np.broadcast_to(null, (len(start), len(null))), np.zeros(len(start))])
    moved, _ = _within(null, at_null, damped(start))
    return _Fits(
        beta=at_null + moved,
        variance=np.full(len(start), np.nan),
        status=np.zeros(len(start), np.int8),
        last_step=np.zeros(len(start)),
        active=np.arange(len(start)),
    )


def _approach(federation: Federation, fit: NullFit, candidates: Candidates, fits: _Fits) -> bool:
    """Take steps whose information of the covariates is the null model's, as long as many fits are far; whether any."""
    away = fits.active
    for number in range(1, APPROACHES + 1):
        if len(away) * candidates.totals.people < WORTH_A_PASS:
            return number > 1
        beta = fits.beta[away]
        asks = round_asks(fit, candidates.at(away), beta, number)
        totals = federation.each(steps.approach, fit.model, asks)
        found = joined_steps([approaching_steps(fit, total) for _, total in totals])
        step, stuck = _within(fit.null.beta, beta, damped(found.step))
        sound = found.solved & ~stuck
        fits.beta[away[sound]] = beta[sound] + step[sound]
        away = away[sound & (found.decrement > NEAR)]
    return True


def _advance(fits: _Fits, null: Reals, found: NewtonSteps) -> None:
    """Take the step of every active fit; converged and hopeless ones leave."""
    active, before = fits.active, fits.beta[fits.active]
    small = np.abs(found.step[:, -1]) + np.linalg.norm(found.step[:, :-1], axis=1) <= LARGEST_LAST_STEP
    converged = found.solved & small & (found.decrement <= LARGEST_DECREMENT)
    step, stuck = _within(null, before, damped(found.step))
    after = before + np.where(converged[:, None], found.step, step)
    far = np.abs(after[:, -1]) > steps.LARGEST_GENOTYPE_EFFECT
    lost = ~converged & ~found.solved
    fits.beta[active], fits.variance[active], fits.last_step[active] = after, found.variance, step[:, -1]
    # The order matters: a later reason is the better one.
    fits.status[active[~converged & stuck]] = status("UNSTABLE_SCALE")
    fits.status[active[lost]] = status("LOGISTIC_CONVERGE_FAIL")
    fits.status[active[~converged & far]] = status("SEPARATION")
    fits.active = active[~converged & ~stuck & ~lost & ~far]


def _within(null: Reals, beta: Reals, step: Reals) -> tuple[Reals, Bools]:
    """Steps shortened to end where nodes compute, and which of them hardly move because of it.

    The genotype's effect is not shortened: one that runs away is separation, which the caller sees.
    """
    away, along = beta[:, 1:-1] - null[1:], step[:, 1:-1]
    a, b = (along**2).sum(axis=1), (away * along).sum(axis=1)
    room = np.maximum((_INSIDE * steps.LARGEST_DISTANCE) ** 2 - (away**2).sum(axis=1), 0.0)
    reach = (np.sqrt(b * b + a * room) - b) / np.where(a > 0, a, 1.0)
    share = np.where(a > 0, np.minimum(1.0, reach), 1.0)
    moved = step * share[:, None]
    after = beta + moved
    # An effect beyond its limit is separation, and not for this function to say.
    effect = np.clip(after[:, -1], -steps.LARGEST_GENOTYPE_EFFECT, steps.LARGEST_GENOTYPE_EFFECT)
    return moved, (share < _STUCK) | ~steps.admissible(null, after[:, :-1], effect)


def evaluate(federation: Federation, fit: NullFit, candidates: Candidates, beta: Reals, number: int) -> NewtonSteps:
    """Newton's step of every candidate at its coefficients, block by block, so that no chunk of matrices is held."""
    asks = round_asks(fit, candidates, beta, number)
    return joined_steps([steps_of(total) for _, total in federation.each(steps.newton_round, fit.model, asks)])


def joined_steps(parts: Sequence[NewtonSteps]) -> NewtonSteps:
    """Steps of several blocks as one."""
    return NewtonSteps(
        step=np.concatenate([part.step for part in parts]),
        decrement=np.concatenate([part.decrement for part in parts]),
        variance=np.concatenate([part.variance for part in parts]),
        solved=np.concatenate([part.solved for part in parts]),
    )


def round_asks(
    fit: NullFit, candidates: Candidates, beta: Reals, number: int
) -> Iterator[tuple[Block, steps.RoundAsk]]:
    """Asks of one round, block by block; `beta` has shape (variant, coefficient + 1), the genotype last."""
    for first in range(0, len(candidates), BLOCK):
        piece = slice(first, first + BLOCK)
        some = candidates.at(piece)
        ask = steps.RoundAsk(
            **fit.fields(),
            **some.counts(),
            round=number,
            missing=some.totals.missing,
            missing_nodes=some.totals.missing_nodes,
            effects=np.ascontiguousarray(beta[piece, :-1]),
            genotype_effects=beta[piece, -1].copy(),
            dropped=some.dropped.astype(np.int64),
        )
        yield Block(some.totals.variants), ask


def approaching_steps(fit: NullFit, total: steps.ApproachSums) -> NewtonSteps:
    """Steps from the sums of one block, with the covariates' own information at the null model."""
    score = np.column_stack([total.score, total.genotype_score])
    return bordered_steps(fit.null.information, total.cross_information, total.genotype_information, score)


def steps_of(total: steps.RoundSums) -> NewtonSteps:
    """Newton's steps from the sums of one block."""
    score = np.column_stack([total.score, total.genotype_score])
    inner = unpack(total.information, total.score.shape[1])
    return newton_steps(score, border(inner, total.cross_information, total.genotype_information))
