"""What a node releases for a linear scan of a block of variants.

Genotypes are centred by the coordinator, from counts; with effects of sites, the node takes those out itself.
A missing genotype is the federation's mean, which the node imputes from the totals that every node got alike:
of Σ z over missing calls nothing leaves but its share in that sum. PLINK's complete-case answer (`complete`) needs
corrections that cover the missing alone, so it is admitted only where enough people at enough nodes are missing.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np

from fedstats.additive import Additive, Count, FixedSum, Limits, Sum
from fedstats.analyses.genotype_counts import COUNTS, COUNTS_BY_SEX, counts_follow, refuse_rare
from fedstats.analyses.moments import MOMENTS, Scaling, scaling_follows
from fedstats.analyses.prepared import Recent
from fedstats.analyses.standardise import COLUMN_BITS, Columns, standardised
from fedstats.arrays import Counts, Fixed, Reals
from fedstats.certified import Certified
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused
from fedstats.step import Along, local_step
from fedstats.study import Block, Floors, Model

if TYPE_CHECKING:
    from fedstats.kernels.packed import PackedColumns

#: Fraction bits of a site's own columns: they are of unit length, so more bits cost no range.
_LOCAL_BITS = 50


@dataclass(frozen=True)
class ScanParameters(Scaling):
    """Scales of columns, and totals of the counting pass for each variant."""

    called: Annotated[Counts, Along("variant")]
    dosage: Annotated[Counts, Along("variant")]
    minor_count: Annotated[Counts, Along("variant")]
    carrier_nodes: Annotated[Counts, Along("variant")]

    @property
    def mean(self) -> Reals:
        """Mean dosage over the federation, shape (variant,)."""
        return np.asarray(self.dosage / np.maximum(self.called, 1))


@dataclass(frozen=True)
class CompleteParameters(ScanParameters):
    """The same, with how many people at how many nodes have no call."""

    missing: Annotated[Counts, Along("variant")]
    missing_nodes: Annotated[Counts, Along("variant")]


def _admissible_scan(at: ScanParameters, floors: Floors) -> None:
    refuse_rare(at.minor_count, at.carrier_nodes, floors)


def _admissible_complete(at: CompleteParameters, floors: Floors) -> None:
    refuse_rare(at.minor_count, at.carrier_nodes, floors)
    few = (at.missing < floors.min_missing) | (at.missing_nodes < floors.min_missing_nodes)
    if few.any():
        raise DisclosureRefused(
            f"{int(few.sum())} variants have fewer than {floors.min_missing} missing calls or miss them at fewer than "
            f"{floors.min_missing_nodes} nodes, too few for sums over complete cases; nothing was released",
            code="FEW_MISSING",
        )


#: The steps whose totals give a scan its scales, its variants and their means.
SCAN_RESTS_ON = (MOMENTS, COUNTS, COUNTS_BY_SEX)


def scan_follows(at: ScanParameters, model: Model, block: Block | None, certified: Certified) -> None:
    """Refuse scales and counts that are not those of the certified totals."""
    scaling_follows(at, model, block, certified)
    counts_follow(at, model, block, certified)


def _twice_people(limits: Limits) -> float:
    return 2.0 * limits.people


def _four_people(limits: Limits) -> float:
    return 4.0 * limits.people


def _people(limits: Limits) -> float:
    return 1.01 * limits.people


def _terms(limits: Limits) -> float:
    return 100.0 * limits.nodes


_Covariate = FixedSum("variant", "covariate", bound=_twice_people, fraction_bits=COLUMN_BITS)
_Trait = FixedSum("variant", "trait", bound=_twice_people, fraction_bits=COLUMN_BITS)
_LocalSquare = Sum("variant", "site_effect", bound=_four_people)


@dataclass(frozen=True)
class Scan(Additive):
    """Products of standardised columns with imputed genotypes.

    `local_square` is the part of the genotype's sum of squares about its mean that effects of sites take.
    """

    NODEWISE: ClassVar[frozenset[str]] = frozenset({"local_square"})

    design_genotype: Annotated[Fixed, _Covariate]
    trait_genotype: Annotated[Fixed, _Trait]
    local_square: Annotated[Reals, _LocalSquare]


@dataclass(frozen=True)
class CompleteScan(Additive):
    """Products over called people, and what the missing take away from products of columns.

    Pairs of coefficients are the lower triangle by rows, the intercept first. With effects of sites, genotypes are
    about their mean and residuals on the site's columns *over called people*, and corrections are of residuals, too.
    `local_rank` counts the columns taken out at the sites.
    """

    NODEWISE: ClassVar[frozenset[str]] = frozenset({"local_square", "local_rank"})

    design_genotype: Annotated[Fixed, _Covariate]
    trait_genotype: Annotated[Fixed, _Trait]
    local_square: Annotated[Reals, _LocalSquare]
    local_rank: Annotated[Counts, Count("variant", "site_effect", bound=_terms)]
    design_missing: Annotated[Reals, Sum("variant", "coefficient_pair", bound=_people)]
    trait_missing: Annotated[Reals, Sum("variant", "coefficient", "trait", bound=_people)]
    square_missing: Annotated[Reals, Sum("variant", "trait", bound=_people)]


@local_step("linear_gwas/scan@1", admissible=_admissible_scan, rests_on=SCAN_RESTS_ON, follows=scan_follows)
def scan(cohort: Cohort, at: ScanParameters) -> Scan:
    """Sums of a block with missing genotypes at the federation's mean."""
    from fedstats.kernels import packed  # at the node only: it brings the compiler

    block, columns = cohort.block(), standardised(cohort, at)
    words = packed.genotype_words(block)
    imputed = packed.called_and_missing_sums(block, words, packed_columns(cohort, columns)).imputed(at.mean)
    k, p = columns.covariates.shape[1], columns.traits.shape[1]
    return Scan(
        design_genotype=np.ascontiguousarray(imputed[:, :k]),
        trait_genotype=np.ascontiguousarray(imputed[:, k : k + p]),
        local_square=_local_square(cohort, at.mean, imputed[:, k + p :], columns),
    )


_RECENT: "Recent[PackedColumns]" = Recent()


def packed_columns(cohort: Cohort, columns: Columns) -> "PackedColumns":
    """Covariates, traits and the site's own columns as the kernels read them, once for all blocks."""
    from fedstats.kernels import packed  # as above

    arrays = (cohort.people, columns.covariates, columns.traits, columns.local)
    return _RECENT.get(
        arrays, b"", lambda: packed.packed_columns(np.hstack([columns.both, _fixed_local(columns)]), cohort.people)
    )


def _fixed_local(columns: Columns) -> Fixed:
    return np.rint(np.ldexp(columns.local, _LOCAL_BITS)).astype(np.int64)


def _local_square(cohort: Cohort, mean: Reals, products: Fixed, columns: Columns) -> Reals:
    """|Q'(g - mean)|^2 for the orthonormal columns Q of the site, shape (variant, site effect)."""
    if not cohort.site.shape[1]:
        return np.zeros((len(mean), 0))
    centred = products - mean[:, None] * _fixed_local(columns).sum(axis=0)
    return np.asarray((np.ldexp(centred, -_LOCAL_BITS) ** 2).sum(axis=1, keepdims=True))


@local_step("linear_gwas/complete@1", admissible=_admissible_complete, rests_on=SCAN_RESTS_ON, follows=scan_follows)
def complete(cohort: Cohort, at: CompleteParameters) -> CompleteScan:
    """Sums of a block over each variant's called people."""
    from fedstats.kernels import packed  # as above

    block, columns = cohort.block(), standardised(cohort, at)
    words = packed.genotype_words(block)
    together = packed_columns(cohort, columns)
    sums = packed.called_and_missing_sums(block, words, together)
    k, p = columns.covariates.shape[1], columns.traits.shape[1]
    real = _real_columns(cohort, columns)
    products = packed.missing_cross_products(words, cohort.people, real, slice(k + 1, k + 1 + p))
    if not cohort.site.shape[1]:
        return _complete_scan(columns, sums.called, products)
    k_p = columns.both.shape[1]
    # Sums of g - mean over called people, of the columns and of the site's own.
    whole = together.whole[: together.width]
    centred = sums.called - at.mean[:, None] * (whole - sums.missing)
    return _without_site(
        columns, np.ldexp(centred[:, :k_p], -COLUMN_BITS), np.ldexp(centred[:, k_p:], -_LOCAL_BITS), products
    )


def _real_columns(cohort: Cohort, columns: Columns) -> Reals:
    """Intercept (nobody's, with effects of sites), covariates, traits, and the site's own, shape (person, column)."""
    intercept = cohort.people[:, None] * (0.0 if cohort.site.shape[1] else 1.0)
    return np.hstack([intercept, np.ldexp(columns.both.astype(np.float64), -COLUMN_BITS), columns.local])


def _complete_scan(columns: Columns, products_with_genotype: Fixed, missing: Reals) -> CompleteScan:
    """The release, from products of columns with genotypes and of columns over the missing, with no site's own."""
    k, p = columns.covariates.shape[1], columns.traits.shape[1]
    rows, others = np.tril_indices(k + 1)
    traits = np.arange(k + 1, k + 1 + p)
    variants = len(missing)
    return CompleteScan(
        design_genotype=np.ascontiguousarray(products_with_genotype[:, :k]),
        trait_genotype=np.ascontiguousarray(products_with_genotype[:, k : k + p]),
        local_square=np.zeros((variants, 0)),
        local_rank=np.zeros((variants, 0), np.int64),
        design_missing=missing[:, rows, others],
        trait_missing=missing[:, : k + 1, k + 1 : k + 1 + p],
        square_missing=missing[:, traits, traits],
    )


def _without_site(columns: Columns, genotype: Reals, local_genotype: Reals, missing: Reals) -> CompleteScan:
    """The release with the site's columns taken out over each variant's called people.

    Notes
    -----
    Columns z are residuals on Q over everybody, and Q'Q = 1. Over called people C, with the missing M:
    Q_C'Q_C = 1 - Q_M'Q_M =: W and z_C'Q_C = -z_M'Q_M, so that taking Q_C out of z_C and g_C leaves
    z_C'z_C - (z_M'Q_M) W^+ (Q_M'z_M) and z_C'g_C + (z_M'Q_M) W^+ (Q_C'g_C).
    """
    width = columns.both.shape[1] + 1
    crossed = missing[:, :width, width:]
    weights, rank = _inverse_and_rank(np.eye(columns.local.shape[1]) - missing[:, width:, width:])
    adjusted = missing[:, :width, :width] + crossed @ weights @ crossed.transpose(0, 2, 1)
    solved = (weights @ local_genotype[:, :, None])[:, :, 0]
    products = genotype + np.einsum("vcl,vl->vc", crossed[:, 1:], solved)
    released = _complete_scan(columns, np.rint(np.ldexp(products, COLUMN_BITS)).astype(np.int64), adjusted)
    values = {name: getattr(released, name) for name in released.schema()}
    values["local_square"] = (local_genotype * solved).sum(axis=1, keepdims=True)
    values["local_rank"] = rank[:, None]
    return CompleteScan(**values)


def _inverse_and_rank(matrices: Reals) -> tuple[Reals, Counts]:
    """Pseudo-inverses of symmetric matrices with eigenvalues in [0, 1], shape (variant, l, l), and their ranks."""
    values, vectors = np.linalg.eigh(matrices)
    # A column that called people do not have leaves an eigenvalue of rounding errors.
    kept = values > 1e-9
    inverse = np.where(kept, 1 / np.where(kept, values, 1.0), 0.0)
    return (vectors * inverse[:, None, :]) @ vectors.transpose(0, 2, 1), kept.sum(axis=1).astype(np.int64)
