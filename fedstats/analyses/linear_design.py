"""The design of a linear scan over the whole cohort: standardised products, and refusals before any scan begins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from fedstats.analyses.moments import Description, Scaling, describe, scaling
from fedstats.analyses.standardise import (
    COLUMN_BITS,
    CrossProducts,
    column_cross_products,
)
from fedstats.arrays import Reals, Wide
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.kernels.linalg import MOST_CORRELATION, MOST_INFLATION, cholesky, correlation_matrix, solve_lower
from fedstats.kernels.tails import p_of_f
from fedstats.rows import Note
from fedstats.study import Model, Study

#: Below this p-value, sites differ in a trait enough to warn that their effects were not taken out.
SITE_WARNING = 1e-3
#: A covariate whose variance within sites is a smaller share of the whole does not vary there.
_SMALLEST_WITHIN = 1e-12


@dataclass(frozen=True, eq=False)
class LinearDesign:
    """Standardised products of the whole cohort of a model.

    Attributes
    ----------
    model, description, scaling
        The model, its raw moments, and how its columns were standardised.
    design, design_trait, trait_squares
        Raw products, intercept first: shapes (k + 1, k + 1), (k + 1, p), (p,); the intercept is 0 with site effects.
    centred_design, centred_design_trait, centred_trait_squares
        The same about the means (with site effects: as they are), without the intercept.
    between_sites
        The part of each trait's sum of squares that lies between the sites, shape (trait,).
    local
        Number of columns whose effects are taken out, over all sites.
    """

    model: Model
    description: Description
    scaling: Scaling
    design: Reals
    design_trait: Reals
    trait_squares: Reals
    centred_design: Reals
    centred_design_trait: Reals
    centred_trait_squares: Reals
    between_sites: Reals
    local: int

    @property
    def trait_units(self) -> Reals:
        """Raw units in one standardised unit of each trait, shape (trait,)."""
        return 1 / self.scaling.trait_factors

    @property
    def column_count(self) -> int:
        """Columns besides the genotype: covariates, and the intercept or those taken out at the sites."""
        return len(self.model.terms) + (self.local if self.model.site_effects else 1)


def shared_design(
    federation: Federation, study: Study, model: Model, known: Mapping[str, LinearDesign]
) -> LinearDesign:
    """The design of a model: that of its twin where it is known, for its sums are the same, or else asked for."""
    twin = known.get(study.twin(model).id)
    return replace(twin, model=model) if twin else linear_design(federation, study, model)


def linear_design(federation: Federation, study: Study, model: Model) -> LinearDesign:
    """Ask for moments and products, and refuse designs that cannot be fitted.

    Raises
    ------
    UsageError
        Columns are constant or collinear over the federation, or people are too few; every column is named.
    """
    description = describe(federation, model)
    scale = scaling(model, description)
    total = federation.sum(column_cross_products, model, scale)
    local = len(study.nodes) * model.sizes["site_term"]
    found = _design(model, description, scale, total, local)
    _refuse_collinear(found)
    return found


def _design(model: Model, described: Description, scale: Scaling, total: CrossProducts, local: int) -> LinearDesign:
    people = described.people
    first, traits = total.design[0], total.design_trait[0]
    if model.site_effects:
        people, first, traits = 1, 0 * first, 0 * traits
    return LinearDesign(
        model=model,
        description=described,
        scaling=scale,
        design=total.real("design"),
        design_trait=total.real("design_trait"),
        trait_squares=total.real("trait_squares"),
        centred_design=_centred(total.design[1:, 1:], first[1:], first[1:], people),
        centred_design_trait=_centred(total.design_trait[1:], first[1:], traits, people),
        centred_trait_squares=np.diagonal(_centred(np.diag(total.trait_squares), traits, traits, people)).copy(),
        between_sites=total.between,
        local=local,
    )


def _centred(products: Wide, left: Wide, right: Wide, people: int) -> Reals:
    """Products - left right' / people, rounded once; sums over people are at 68 bits as their products with ones."""
    unit = 1 << (2 * COLUMN_BITS)
    numerator = products * (people * unit) - np.multiply.outer(left, right)
    denominator = people * unit * unit
    flat = [int(value) / denominator for value in numerator.ravel()]
    return np.array(flat, np.float64).reshape(products.shape)


def _refuse_collinear(found: LinearDesign) -> None:
    model, people = found.model, found.description.people
    if people <= found.column_count + 1:
        raise UsageError(
            f"{people} people are too few for {found.column_count} columns and a genotype",
            code="TOO_FEW_PEOPLE",
            hint="Leave covariates out.",
        )
    if model.site_effects:
        _refuse_constant_within_sites(found)
    fault = collinear(found.centred_design, [term.name for term in model.terms])
    if fault:
        raise UsageError(fault, code="COLLINEAR", hint="Leave one of the columns out.")


def _refuse_constant_within_sites(found: LinearDesign) -> None:
    within = [*np.diagonal(found.centred_design), *found.centred_trait_squares]
    described = found.description
    factors = [*found.scaling.covariate_factors, *found.scaling.trait_factors]
    scales = [*described.covariate_scales, *described.trait_scales]
    names = [*(term.name for term in found.model.terms), *(trait.name for trait in found.model.traits)]
    constant = [
        name
        for name, left, factor, scale in zip(names, within, factors, scales, strict=True)
        if left <= _SMALLEST_WITHIN * described.people * (factor * scale) ** 2
    ]
    if constant:
        raise UsageError(
            f"the same value for all people within each site, so that nothing is left beside the effects of sites: "
            f"{', '.join(map(repr, constant))}",
            code="CONSTANT_WITHIN_SITES",
            hint="Leave the column out, or run without --site-effects.",
        )


def collinear(products: Reals, names: list[str]) -> str:
    """What is wrong with the correlations of these columns, by PLINK 2's limits; empty if nothing.

    Parameters
    ----------
    products
        Products of the columns about their means, shape (column, column).
    names
        Names of the columns.
    """
    if len(names) < 2:
        return ""
    correlations, _ = correlation_matrix(products)
    rows, others = np.nonzero(np.tril(np.abs(correlations) > MOST_CORRELATION, -1))
    if len(rows):
        pairs = ", ".join(f"{names[j]!r} and {names[i]!r}" for i, j in zip(rows, others, strict=True))
        return f"covariates that say the same over the federation (correlation over {MOST_CORRELATION}): {pairs}"
    inverse_lower = solve_lower(cholesky(correlations[:, :, None]), np.eye(len(names))[:, :, None])[:, :, 0]
    inflation = (inverse_lower**2).sum(axis=0)
    if not np.isfinite(inflation).all():
        return f"covariates of which one is a combination of others over the federation: {', '.join(map(repr, names))}"
    high = [name for name, factor in zip(names, inflation, strict=True) if factor > MOST_INFLATION]
    if high:
        return f"covariates that others nearly determine (variance inflation over {MOST_INFLATION:g}): " + ", ".join(
            map(repr, high)
        )
    return ""


def site_warnings(study: Study, design: LinearDesign) -> Iterator[Note]:
    """Warn of traits whose means differ between sites, where effects of sites are not taken out."""
    model, sites, people = design.model, len(study.nodes), design.description.people
    if model.site_effects or sites < 2 or people <= sites:
        return
    for trait, part, whole in zip(model.traits, design.between_sites, design.centred_trait_squares, strict=True):
        f = (part / (sites - 1)) / ((whole - part) / (people - sites))
        p = p_of_f(float(f), sites - 1, people - sites)
        if p < SITE_WARNING:
            yield Note(
                code="SITES_DIFFER",
                message=(
                    f"{trait.name} differs between sites (P = {p:.2g}), and so may allele frequencies: "
                    "associations can be those of the sites; consider --site-effects fixed."
                ),
                warning=True,
                data={"trait": trait.name, "p": p},
            )
