"""An example of every registered step: people at random, an outlier among them, and parameters that nodes admit."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fedstats.analyses.bounded_columns import Ranges
from fedstats.analyses.genotype_counts import ArmParameters
from fedstats.analyses.linear_sums import CompleteParameters, ScanParameters
from fedstats.analyses.moments import Scaling
from fedstats.analyses.noised_null import NewtonAsk
from fedstats.analyses.noised_scan import ResidualAsk
from fedstats.analyses.variant_filters import StrataParameters
from fedstats.cohort import VALUE_CLASSES, VALUE_KNOWN, Cohort
from fedstats.genotypes import pack
from fedstats.step import STEPS, Nothing
from fedstats.study import Model, Term, Trait
from tests.laws import examples_logistic
from tests.laws.laws import Example

VARIANTS = 12
MODEL = Model(
    "laws", "autosome", (Trait("q", "quantitative"), Trait("b", "binary", "01")), (Term("x", "x"), Term("z", "z"))
)


def cohort(rng: np.random.Generator, people: int = 203) -> Cohort:
    """People of whom a tenth are out; one value is 80 standard deviations off; some files have alleles turned."""
    calls = rng.binomial(2, rng.uniform(0.001, 0.999, (VARIANTS, 1)), (VARIANTS, people)).astype(np.int8)
    calls[rng.random(calls.shape) < np.where(np.arange(VARIANTS) % 3, 0.08, 0.0)[:, None]] = -1
    covariates = np.column_stack([rng.normal(50, 10, people), rng.integers(0, 2, people)]).astype(np.float64)
    covariates[3, 0] = 850.0
    everyone = Cohort(
        people=np.ones(people, np.bool_),
        covariates=covariates,
        traits=np.column_stack([rng.normal(0.1, 1e-3, people), rng.integers(0, 2, people)]).astype(np.float64),
        site=np.zeros((people, 0)),
        male=rng.random(people) < 0.5,
        genotypes=replace(pack(calls), swap=rng.random(VARIANTS) < 0.3),
    )
    return everyone.restrict(rng.random(people) < 0.9)


def scaling(of: Cohort) -> Scaling:
    """The scaling that the moments of this cohort give."""
    x, y = of.covariates[of.people], of.traits[of.people]
    return Scaling(x.mean(axis=0), 1 / x.std(axis=0), y.mean(axis=0), np.array([1 / y[:, 0].std(), 1.0]))


def _totals(of: Cohort) -> dict[str, np.ndarray]:
    dosages = of.block().dosages()[:, of.people]
    called = (dosages >= 0).sum(axis=1)
    return {
        "called": called,
        "dosage": np.where(dosages > 0, dosages, 0).sum(axis=1),
        "minor_count": np.full(VARIANTS, 50),
        "carrier_nodes": np.full(VARIANTS, 3),
    }


def _scan(of: Cohort) -> ScanParameters:
    return ScanParameters(**vars(scaling(of)), **_totals(of))


def _complete(of: Cohort) -> CompleteParameters:
    return CompleteParameters(**vars(_scan(of)), missing=np.full(VARIANTS, 20), missing_nodes=np.full(VARIANTS, 3))


def ranges(of: Cohort) -> Ranges:
    """Ranges that clip some people, the one far out among them; the binary trait stays as it is."""
    return Ranges(np.array([50.0, 0.5]), np.array([20.0, 0.5]), np.array([0.1, 0.0]), np.array([2e-3, 1.0]))


def _residuals(of: Cohort) -> ResidualAsk:
    effects = np.array([[0.1, -0.2], [0.2, 0.4], [-0.1, 0.3]])
    return ResidualAsk(**vars(ranges(of)), effects=effects, limits=np.array([0.5, 0.8]), logistic=True)


def _newton(of: Cohort) -> NewtonAsk:
    return NewtonAsk(**vars(ranges(of)), trait=1, effects=np.array([0.1, -0.4, 0.3]))


def _admission() -> dict[str, np.ndarray]:
    return {"minor_count": np.full(VARIANTS, 50), "carrier_nodes": np.full(VARIANTS, 3)}


_PARAMETERS: Mapping[str, Callable[[Cohort], Any]] = {
    "columns/moments@1": lambda of: Nothing(),
    "columns/cross_products@2": scaling,
    "genotypes/counts@2": lambda of: Nothing(),
    "genotypes/counts_by_sex@2": lambda of: Nothing(),
    "genotypes/arms@2": lambda of: ArmParameters(True, np.array([1]), **_admission()),
    "genotypes/hardy_strata@1": lambda of: StrataParameters(True, **_admission()),
    "linear_gwas/scan@1": _scan,
    "linear_gwas/complete@1": _complete,
    "noised_freq/alleles@1": lambda of: Nothing(),
    "noised_freq/alleles_by_sex@1": lambda of: Nothing(),
    "noised_gwas/products@1": ranges,
    "noised_gwas/newton@1": _newton,
    "noised_gwas/scan@1": _residuals,
}


def _accounting(rng: np.random.Generator) -> Cohort:
    """Classes of values in place of values, as the accounting model has them."""
    of = cohort(rng)
    shape = of.traits.shape
    codes = rng.choice(sorted(VALUE_CLASSES.values()), shape) + VALUE_KNOWN * rng.integers(0, 2, shape)
    lacking = rng.integers(0, 2, of.covariates.shape)
    return replace(of, traits=codes.astype(np.float64), covariates=lacking.astype(np.float64)).restrict(of.people)


def example(name: str, rng: np.random.Generator) -> Example:
    """The example of a registered step; KeyError where somebody registered one and gave none."""
    step = STEPS[name]
    if name in examples_logistic.PARAMETERS:
        parameters = examples_logistic.PARAMETERS[name](rng)
        return Example(step, examples_logistic.MODEL, examples_logistic.cohort(rng), parameters)
    if name == "people/accounting@1":
        return Example(step, MODEL, _accounting(rng), Nothing())
    of = cohort(rng)
    return Example(step, MODEL, of, _PARAMETERS[name](of))


def with_site_effects(found: Example) -> Example:
    """The same with effects of the site's own: an intercept, and slopes of the first covariate."""
    of = found.cohort
    site = np.column_stack([np.ones(len(of.people)), of.covariates[:, 0]]) * of.people[:, None]
    model = replace(found.model, site_effects=True, local_terms=found.model.terms[:1])
    return replace(found, model=model, cohort=replace(of, site=site))
