"""Models without genotypes from noised sums: least squares, and rounds of Newton's method.

Both work on columns that are bounded person by person (`bounded_columns`). Where noise hides a direction of the design,
effects along it are held back: covariates are then adjusted for as far as the sums allow, and whoever reads is told.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fedstats.additive import Additive
from fedstats.analyses.bounded_columns import BOUNDED_BITS, Ranges, bounded, bounded_columns, linear_predictor
from fedstats.arrays import Fixed, Reals
from fedstats.cohort import Cohort
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.kernels.newton import pair_indices, unpack
from fedstats.step import Along, local_step
from fedstats.study import Model

#: Rounds of Newton's method after the first sums, which give the share of cases.
NEWTON_ROUNDS = 3
#: Residuals are cut at so many standard deviations: the less one person can add, the less noise hides them.
CUT_DEVIATIONS = 3.0
#: People must be so many standard deviations of noise, or nothing can be said.
_FEWEST_DEVIATIONS = 10.0
#: Cases and controls are taken to be at least this share.
_SMALLEST_SHARE = 1e-3
_SMALLEST_DEVIATION = 1e-2
_LARGEST_STEP = 4.0


@dataclass(frozen=True)
class BoundedProducts(Additive):
    """Products of mapped columns; the first pair of coefficients counts people."""

    design: Annotated[Fixed, bounded("coefficient_pair", bits=2 * BOUNDED_BITS)]
    design_trait: Annotated[Fixed, bounded("coefficient", "trait", bits=2 * BOUNDED_BITS)]
    trait_squares: Annotated[Fixed, bounded("trait", bits=2 * BOUNDED_BITS)]


@local_step("noised_gwas/products@1")
def bounded_products(cohort: Cohort, at: Ranges) -> BoundedProducts:
    """Products of the mapped columns over people; exact, since each is a whole number below 2^53."""
    columns = bounded_columns(cohort, at)
    design = columns.design.T @ columns.design
    return BoundedProducts(
        design=design[pair_indices(len(design))].astype(np.int64),
        design_trait=(columns.design.T @ columns.traits).astype(np.int64),
        trait_squares=np.square(columns.traits).sum(axis=0).astype(np.int64),
    )


@dataclass(frozen=True)
class NewtonAsk(Ranges):
    """Which trait, and the effects at which sums are asked."""

    trait: int
    effects: Annotated[Reals, Along("coefficient")]


@dataclass(frozen=True)
class NewtonSums(Additive):
    """Score and information of a logistic model without genotype; weights are a quarter at most."""

    score: Annotated[Fixed, bounded("coefficient")]
    information: Annotated[Fixed, bounded("coefficient_pair", person=0.25)]


@local_step("noised_gwas/newton@1")
def newton_sums(cohort: Cohort, at: NewtonAsk) -> NewtonSums:
    """Sums of one round, each person's part rounded by itself."""
    columns = bounded_columns(cohort, at)
    design, cases = np.ldexp(columns.design, -BOUNDED_BITS), np.ldexp(columns.traits[:, at.trait], -BOUNDED_BITS)
    expected = probability(linear_predictor(columns.design, at.effects))
    rows, others = pair_indices(design.shape[1])
    weighted = (expected * (1 - expected))[:, None] * design[:, rows] * design[:, others]
    return NewtonSums(score=_rounded_sums((cases - expected)[:, None] * design), information=_rounded_sums(weighted))


def probability(linear: Reals) -> Reals:
    """The logistic function."""
    return np.asarray(1 / (1 + np.exp(-np.clip(linear, -500.0, 500.0))))


def _rounded_sums(parts: Reals) -> Fixed:
    return np.asarray(np.rint(np.ldexp(parts, BOUNDED_BITS)).astype(np.int64).sum(axis=0))


@dataclass(frozen=True, eq=False)
class NoisedNull:
    """Models of some traits without genotype.

    Attributes
    ----------
    people
        About how many there are.
    effects
        Intercept and effects of mapped covariates, shape (coefficient, trait).
    limits
        Where residuals are cut, in units of the mapped trait, shape (trait,).
    shares
        About which share are cases, NaN for a quantitative trait, shape (trait,).
    logistic
        Whether effects are on the scale of log odds.
    hidden
        Directions of the design whose variance noise hides.
    """

    model: Model
    ranges: Ranges
    people: float
    effects: Reals
    limits: Reals
    shares: Reals
    logistic: bool
    hidden: int


def least_squares(federation: Federation, model: Model, ranges: Ranges) -> NoisedNull:
    """Least squares of every trait from one pass.

    Raises
    ------
    UsageError
        Code TOO_NOISY: the noise is larger than the sums.
    """
    total, noise = federation.sum(bounded_products, model, ranges), federation.noise(bounded_products, model)
    size = len(model.terms) + 1
    design, with_traits = unpack(total.real("design"), size), total.real("design_trait")
    people = _people(design[0, 0], noise["design"])
    inverse, hidden = _held_inverse(design, noise["design"])
    effects = inverse @ with_traits
    explained = 2 * (effects * with_traits).sum(axis=0) - (effects * (design @ effects)).sum(axis=0)
    variance = np.maximum((total.real("trait_squares") - explained) / people, _SMALLEST_DEVIATION**2)
    return NoisedNull(
        model=model,
        ranges=ranges,
        people=people,
        effects=effects,
        limits=np.minimum(CUT_DEVIATIONS * np.sqrt(variance), 2.0),
        shares=np.full(len(model.traits), np.nan),
        logistic=False,
        hidden=hidden,
    )


def newton(federation: Federation, model: Model, ranges: Ranges) -> NoisedNull:
    """Logistic models of every trait, by a fixed number of rounds.

    Raises
    ------
    UsageError
        Code TOO_NOISY: the noise is larger than the sums.
    """
    fits = [_newton_of_trait(federation, model, ranges, trait) for trait in range(len(model.traits))]
    effects = np.column_stack([fit.effects for fit in fits])
    # Cases and controls at the ends of what the covariates can say: nobody's residual is larger.
    reach = np.abs(effects[1:]).sum(axis=0)
    limits = np.maximum(probability(effects[0] + reach), probability(reach - effects[0]))
    return NoisedNull(
        model=model,
        ranges=ranges,
        people=float(np.mean([fit.people for fit in fits])),
        effects=effects,
        limits=limits,
        shares=np.array([fit.share for fit in fits]),
        logistic=True,
        hidden=max(fit.hidden for fit in fits),
    )


@dataclass(frozen=True, eq=False)
class _TraitFit:
    people: float
    share: float
    effects: Reals
    hidden: int


def _newton_of_trait(federation: Federation, model: Model, ranges: Ranges, trait: int) -> _TraitFit:
    noise = federation.noise(newton_sums, model)
    effects, hidden = np.zeros(len(model.terms) + 1), 0
    first = federation.sum(newton_sums, model, NewtonAsk(**vars(ranges), trait=trait, effects=effects))
    # Without effects every weight is a quarter and every residual is half a person.
    people = _people(4 * first.real("information")[0], 4 * noise["information"])
    share = float(np.clip(first.real("score")[0] / people + 0.5, _SMALLEST_SHARE, 1 - _SMALLEST_SHARE))
    effects[0] = np.log(share / (1 - share))
    for _ in range(NEWTON_ROUNDS):
        total = federation.sum(newton_sums, model, NewtonAsk(**vars(ranges), trait=trait, effects=effects))
        inverse, hidden = _held_inverse(unpack(total.real("information"), len(effects)), noise["information"])
        step = inverse @ total.real("score")
        effects = effects + step * min(1.0, _LARGEST_STEP / max(float(np.linalg.norm(step)), 1e-300))
    return _TraitFit(people, share, effects, hidden)


def _people(counted: float, noise: float) -> float:
    if counted < max(_FEWEST_DEVIATIONS * noise, 1.0):
        raise UsageError(
            "the noise that this budget asks for hides even the number of people",
            code="TOO_NOISY",
            hint="Ask for fewer variants or traits, give a larger --epsilon, or analyse more people.",
        )
    return float(counted)


def _held_inverse(matrix: Reals, noise: float) -> tuple[Reals, int]:
    """Inverse of a noised matrix of products, and how many of its directions noise hides; those are held at its level.

    Eigenvalues of a symmetric matrix of independent noise of this size lie within 2 sqrt(size) of its deviation [1]_.

    References
    ----------
    .. [1] Wigner (1955), Characteristic vectors of bordered matrices with infinite dimensions.
    """
    values, vectors = np.linalg.eigh(matrix)
    least = max(2 * noise * np.sqrt(len(matrix)), 1e-9 * float(values.max()))
    held = np.maximum(values, least)
    return (vectors / held) @ vectors.T, int((values < least).sum())
