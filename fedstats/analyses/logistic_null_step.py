"""How the null model of a binary trait moves: one Newton step from one total, the same at coordinator and node.

The coordinator iterates these functions to the fit; a node repeats them on certified totals, to see that coefficients
which it is asked to use are those that follow, and not some that single people out.
"""

from typing import Any, NamedTuple

import numpy as np

from fedstats.analyses.moments import Scaling, certified_description, scaling_follows
from fedstats.analyses.standardise import CROSS_PRODUCTS
from fedstats.arrays import Reals
from fedstats.certified import Certified, not_the_total, uncertified
from fedstats.kernels.newton import NewtonSteps, newton_steps, unpack
from fedstats.study import Block, Model

#: The step whose totals move the null model.
NULL = "logistic_gwas/null@1"

#: Coefficients of coordinator and node may differ by so much: both solve the same system, whose condition is at most
#: 1e10 (`newton.SMALLEST_PIVOT`), in doubles. So small a difference changes no weight by more than a millionth.
SAME_COEFFICIENTS = 1e-6
#: Squared distance to the maximum, in standard errors, of a null model that scans may use. The coordinator iterates to
#: 1e-18; a fit a millionth of a standard error off gives away nothing that the maximum does not.
FITTED = 1e-12


class NullStep(NamedTuple):
    """Where the null model goes from one evaluation.

    Attributes
    ----------
    beta
        The next coefficients, shape (coefficient,).
    information
        z'Wz at the evaluation, shape (coefficient, coefficient).
    newton
        The step before it was shortened.
    """

    beta: Reals
    information: Reals
    newton: NewtonSteps


def first_null(case_share: float, design: Reals, design_trait: Reals) -> NullStep:
    """The step from a model without effects of covariates, from products of columns that are known already.

    There everybody has the same weight, and the score is the product with the centred trait.

    Parameters
    ----------
    case_share
        Cases by people.
    design, design_trait
        Products of the columns of the design, shape (coefficient, coefficient), and with the trait,
        shape (coefficient,).
    """
    beta = np.zeros(len(design))
    beta[0] = np.log(case_share / (1 - case_share))
    return _step(beta, design_trait, case_share * (1 - case_share) * design)


def next_null(beta: Reals, score: Reals, information: Reals) -> NullStep:
    """One Newton step from sums at `beta`; `information` is the packed upper triangle."""
    return _step(beta, score, unpack(information, len(beta)))


def _step(beta: Reals, score: Reals, information: Reals) -> NullStep:
    found = newton_steps(score[None], information[None])
    return NullStep(beta + _shortened(found.step[0]), information, found)


def _shortened(step: Reals) -> Reals:
    """The step, at most 2 in Euclidean length, so that a start far out does not overshoot."""
    return np.asarray(step / max(1.0, float(np.linalg.norm(step)) / 2.0))


def null_follows(at: Any, model: Model, block: Block | None, certified: Certified) -> None:
    """Refuse null coefficients that are neither the start nor a step from certified sums; `at` is a `NullAsk`."""
    _check_scaling_and_trait(at, model, block, certified)
    known = [_first(at.trait, model, certified), *_steps(at.trait, certified)]
    if not any(_same(at.null, step.beta) for step in known):
        raise not_the_total("coefficients of the null model")


def _first(trait: int, model: Model, certified: Certified) -> NullStep:
    """Where the fit starts, by certified totals."""
    found = certified.sums(CROSS_PRODUCTS)
    if not found:
        raise uncertified(CROSS_PRODUCTS)
    total = found[-1][1]
    share = float(certified_description(model, certified).trait_means[trait])
    return certified.once(
        f"first null {trait}",
        lambda: first_null(share, total.real("design"), total.real("design_trait")[:, trait]),
    )


def fit_follows(at: Any, model: Model, block: Block | None, certified: Certified) -> None:
    """Refuse a null model that is not the fit by certified sums; `at` is a `NullAsk` or a subclass."""
    _check_scaling_and_trait(at, model, block, certified)
    steps = _steps(at.trait, certified)
    if not steps:
        raise uncertified(NULL)
    if not any(step.newton.decrement[0] <= FITTED and _same(at.null, step.beta) for step in steps):
        raise not_the_total("coefficients of the null model")


def _check_scaling_and_trait(at: Any, model: Model, block: Block | None, certified: Certified) -> None:
    scaling: Scaling = at
    scaling_follows(scaling, model, block, certified)
    if not 0 <= at.trait < len(model.traits) or model.traits[at.trait].kind != "binary":
        raise not_the_total("the trait of the null model")


def _steps(trait: int, certified: Certified) -> list[NullStep]:
    """Steps from every certified evaluation of one trait's null model."""
    found = [(at, total) for at, total in certified.sums(NULL) if at.trait == trait]
    return certified.once(
        f"null {trait} {len(found)}",
        lambda: [next_null(at.null, total.score, total.information) for at, total in found],
    )


def _same(asked: Reals, following: Reals) -> bool:
    return bool(np.abs(asked - following).max() <= SAME_COEFFICIENTS)
