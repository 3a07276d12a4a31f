"""The null model of a binary trait: covariates without genotype, fitted by Newton over sums of all nodes."""

from dataclasses import dataclass

import numpy as np

from fedstats.analyses.logistic_steps import LARGEST_NULL_EFFECT, LARGEST_NULL_INTERCEPT, NullAsk, null_sums
from fedstats.analyses.standardise import Scaling
from fedstats.arrays import Reals
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.kernels.newton import newton_steps, unpack
from fedstats.study import Model

#: The null has converged where its next step is below a billionth of a standard error, so that score tests see no
#: difference; noise of the fixed-point code is a thousand times smaller.
NULL_DECREMENT = 1e-18
NULL_ROUNDS = 25


@dataclass(frozen=True, eq=False)
class NullModel:
    """Fit of one trait without genotype.

    Attributes
    ----------
    trait
        Position among the model's traits.
    beta
        Intercept and effects of standardised covariates, shape (coefficient,).
    information
        z'Wz at the last evaluation, whose distance from `beta` is below 1e-9 standard errors,
        shape (coefficient, coefficient).
    rounds
        Evaluations that it took.
    """

    trait: int
    beta: Reals
    information: Reals
    rounds: int


def fit_null(federation: Federation, model: Model, scaling: Scaling, trait: int, case_share: float) -> NullModel:
    """The maximum of the likelihood of trait number `trait` over the covariates.

    Raises
    ------
    UsageError
        Covariates are collinear, or they separate cases from controls so that no maximum exists.
    """
    beta = np.zeros(len(model.terms) + 1)
    beta[0] = np.log(case_share / (1 - case_share))
    for rounds in range(1, NULL_ROUNDS + 1):
        at = NullAsk(**vars(scaling), trait=trait, null=beta)
        total = federation.sum(null_sums, model, at)
        information = unpack(total.information, len(beta))
        found = newton_steps(total.score[None], information[None])
        if not found.solved[0]:
            raise _collinear(model, trait)
        beta = beta + _shortened(found.step[0])
        if found.decrement[0] <= NULL_DECREMENT:
            return NullModel(trait, beta, information, rounds)
        if abs(beta[0]) > LARGEST_NULL_INTERCEPT or np.linalg.norm(beta[1:]) > LARGEST_NULL_EFFECT:
            raise _separated(model, trait)
    raise _separated(model, trait)


def _shortened(step: Reals) -> Reals:
    """The step, at most 2 in Euclidean length, so that a start far out does not overshoot."""
    return np.asarray(step / max(1.0, float(np.linalg.norm(step)) / 2.0))


def _collinear(model: Model, trait: int) -> UsageError:
    return UsageError(
        f"the covariates of trait {model.traits[trait].name!r} are collinear: "
        f"{', '.join(term.name for term in model.terms)}",
        code="COVARIATES_COLLINEAR",
        hint="Leave one of the columns out that follow from the others.",
    )


def _separated(model: Model, trait: int) -> UsageError:
    return UsageError(
        f"the covariates nearly decide trait {model.traits[trait].name!r}: its logistic model has no maximum",
        code="NULL_NOT_CONVERGED",
        hint="Leave out the covariate that tells cases from controls.",
    )
