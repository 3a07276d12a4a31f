"""Examples of the logistic steps for the laws: people at random, and parameters that their nodes would admit."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from fedstats.analyses.logistic_steps import NullAsk, RoundAsk, RoundZeroAsk
from fedstats.analyses.moments import Scaling
from fedstats.cohort import Cohort
from fedstats.genotypes import pack
from fedstats.study import Model, Term, Trait

PEOPLE, VARIANTS, COVARIATES = 120, 9, 2
#: Coefficients that admit most people with a weight that matters.
NULL = np.array([-0.4, 0.3, -0.2])

MODEL = Model(
    "logistic",
    "autosome",
    (Trait("b1", "binary", "01"), Trait("b2", "binary", "01")),
    tuple(Term(f"x{number}", f"x{number}") for number in range(COVARIATES)),
)


def cohort(rng: np.random.Generator, people: int = PEOPLE) -> Cohort:
    """Binary traits, covariates and packed calls of some people, a tenth of whom are not in."""
    kept = rng.random(people) < 0.9
    calls = rng.binomial(2, rng.uniform(0.2, 0.8, (VARIANTS, 1)), (VARIANTS, people)).astype(np.int8)
    calls[rng.random(calls.shape) < 0.05] = -1
    everyone = Cohort(
        people=np.ones(people, np.bool_),
        covariates=rng.normal(5.0, 2.0, (people, COVARIATES)),
        traits=rng.integers(0, 2, (people, 2)).astype(np.float64),
        site=np.zeros((people, 0)),
        male=rng.random(people) < 0.5,
        genotypes=pack(calls),
    )
    return everyone.restrict(kept)


def scaling() -> Scaling:
    """Means and factors near those of `cohort`."""
    return Scaling(np.full(COVARIATES, 5.0), np.full(COVARIATES, 0.5), np.full(2, 0.5), np.ones(2))


def null_ask() -> NullAsk:
    """The second trait's null model at some coefficients."""
    return NullAsk(**vars(scaling()), trait=1, null=NULL)


def _counts() -> dict[str, np.ndarray]:
    """Totals of a federation in which everything is common; means are near those of `cohort`."""
    return {
        "called": np.full(VARIANTS, 1000),
        "dosage": np.arange(600, 600 + 100 * VARIANTS, 100),
        "minor_count": np.full(VARIANTS, 500),
        "carrier_nodes": np.full(VARIANTS, 3),
    }


def round_zero_ask() -> RoundZeroAsk:
    """Round 0 of the second trait."""
    return RoundZeroAsk(**vars(null_ask()), **_counts())


def round_ask(rng: np.random.Generator) -> RoundAsk:
    """A round with coefficients around the null model's; every second variant leaves the missing out."""
    return RoundAsk(
        **vars(round_zero_ask()),
        round=3,
        missing=np.full(VARIANTS, 50),
        missing_nodes=np.full(VARIANTS, 3),
        effects=NULL + rng.normal(0, 0.1, (VARIANTS, COVARIATES + 1)),
        genotype_effects=rng.normal(0, 0.5, VARIANTS),
        dropped=np.arange(VARIANTS) % 2,
    )


#: Parameters by the name of the step, made from a generator.
PARAMETERS: Mapping[str, Callable[[np.random.Generator], Any]] = {
    "logistic_gwas/null@1": lambda rng: null_ask(),
    "logistic_gwas/round_zero@2": lambda rng: round_zero_ask(),
    "logistic_gwas/round_zero_by_sex@1": lambda rng: round_zero_ask(),
    "logistic_gwas/approach@1": round_ask,
    "logistic_gwas/round@1": round_ask,
    "logistic_gwas/round_with_likelihood@1": round_ask,
}
