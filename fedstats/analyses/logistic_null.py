"""The null model of a binary trait: covariates without genotype, fitted by Newton over sums of all nodes."""

from dataclasses import dataclass

import numpy as np

from fedstats.analyses.linear_design import LinearDesign
from fedstats.analyses.logistic_null_step import first_null, next_null
from fedstats.analyses.logistic_steps import LARGEST_NULL_EFFECT, LARGEST_NULL_INTERCEPT, NullAsk, null_sums
from fedstats.arrays import Reals
from fedstats.errors import UsageError
from fedstats.federation import Federation
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


def fit_null(federation: Federation, design: LinearDesign, trait: int) -> NullModel:
    """The maximum of the likelihood of trait number `trait` over the covariates.

    Raises
    ------
    UsageError
        Covariates are collinear, or they separate cases from controls so that no maximum exists.
    """
    model, share = design.model, float(design.description.trait_means[trait])
    found = first_null(share, design.design, design.design_trait[:, trait])
    for rounds in range(1, NULL_ROUNDS + 1):
        if not found.newton.solved[0]:
            raise _collinear(model, trait)
        if abs(found.beta[0]) > LARGEST_NULL_INTERCEPT or np.linalg.norm(found.beta[1:]) > LARGEST_NULL_EFFECT:
            raise _separated(model, trait)
        at = NullAsk(**vars(design.scaling), trait=trait, null=found.beta)
        total = federation.sum(null_sums, model, at)
        found = next_null(found.beta, total.score, total.information)
        if found.newton.decrement[0] <= NULL_DECREMENT:
            return NullModel(trait, found.beta, found.information, rounds)
    raise _separated(model, trait)


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
