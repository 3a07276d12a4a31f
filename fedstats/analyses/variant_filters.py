"""Variant filters on the federation's counts of the analysed people; nothing is filtered unless asked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from fedstats.additive import Additive, Limits, Sum
from fedstats.analyses.genotype_counts import (
    COUNTS,
    COUNTS_BY_SEX,
    VariantTotals,
    above_floors,
    counts_follow,
    joined,
    refuse_rare,
)
from fedstats.arrays import Bools, Counts, Reals
from fedstats.certified import Certified, not_the_total
from fedstats.cohort import Cohort
from fedstats.federation import Federation
from fedstats.kernels.hardy_weinberg import PValues, exact_p, exact_p_on_x
from fedstats.kernels.tails import log10_p_of_z
from fedstats.rows import Filtered
from fedstats.step import Along, local_step
from fedstats.study import Block, Floors, Model, Study

#: Variants of one ask where all that is asked is counts: little is held of each, and every ask takes nodes, client and
#: ledger a millisecond.
COUNTED_TOGETHER = 16_384


@dataclass(frozen=True)
class StrataParameters:
    """Whether males are left out, as on X, and the totals of the counting pass that admit the variants."""

    without_males: bool
    minor_count: Annotated[Counts, Along("variant")]
    carrier_nodes: Annotated[Counts, Along("variant")]


def _people(limits: Limits) -> float:
    return float(limits.people)


@dataclass(frozen=True)
class HardyStrata(Additive):
    """Heterozygotes beyond their expectation within each node, and the variance of that; sums over nodes."""

    NODEWISE: ClassVar[frozenset[str]] = frozenset({"excess", "variance"})

    excess: Annotated[Reals, Sum("variant", bound=_people)]
    variance: Annotated[Reals, Sum("variant", bound=_people)]


def _admissible(at: StrataParameters, floors: Floors) -> None:
    refuse_rare(at.minor_count, at.carrier_nodes, floors)


def _follows(at: StrataParameters, model: Model, block: Block | None, certified: Certified) -> None:
    if at.without_males != (model.kind == "x"):
        raise not_the_total("people whose heterozygotes are counted")
    counts_follow(at, model, block, certified)


def _asked(study: Study) -> bool:
    return study.analysis == "hardy" or study.filters.hwe is not None


@local_step(
    "genotypes/hardy_strata@1",
    admissible=_admissible,
    rests_on=(COUNTS, COUNTS_BY_SEX),
    follows=_follows,
    asked=_asked,
)
def hardy_strata(cohort: Cohort, at: StrataParameters) -> HardyStrata:
    """Excess of heterozygotes at the node, of all its people or of those who are not male.

    Notes
    -----
    Given the alleles, with a and b of the two, 2n = a + b: E = ab / (2n - 1) and
    V = E + a(a-1)b(b-1) / ((2n-1)(2n-3)) - E^2 (Levene 1949).
    """
    from fedstats.kernels import packed  # at the node only: it brings the compiler

    block = cohort.block()
    people = cohort.people & ~cohort.male if at.without_males else cohort.people
    calls = packed.genotype_counts(block, people)
    alleles = 2.0 * calls.called
    a, b = calls.dosage.astype(np.float64), alleles - calls.dosage
    expected = a * b / np.maximum(alleles - 1, 1)
    pairs = a * (a - 1) * b * (b - 1) / np.maximum((alleles - 1) * (alleles - 3), 1)
    variance = np.maximum(expected + pairs - expected**2, 0.0)
    return HardyStrata(excess=calls.heterozygous - expected, variance=variance)


def filter_variants(
    federation: Federation, study: Study, model: Model, totals: VariantTotals
) -> tuple[VariantTotals, tuple[Filtered, ...]]:
    """The variants that pass, and those that each filter took; a variant goes to the first that takes it."""
    keep, traits = np.ones(len(totals), np.bool_), tuple(trait.name for trait in model.traits)
    taken: list[Filtered] = []
    for name in ("geno", "maf", "hwe", "hwe_pooled"):
        limit = getattr(study.filters, name)
        if limit is None:
            continue
        fails = keep & _fails(name, limit, federation, study, model, totals)
        taken.append(Filtered(name, traits, totals.variants[fails]))
        keep &= ~fails
    return totals.take(keep), tuple(taken)


def _fails(name: str, limit: float, federation: Federation, study: Study, model: Model, totals: VariantTotals) -> Bools:
    if name == "geno":
        return np.asarray(totals.missing > limit * totals.people)
    if name == "maf":
        minor = np.minimum(totals.frequency, 1 - totals.frequency)
        return ~(minor >= limit)
    if model.kind in ("y", "mt"):
        return np.zeros(len(totals), np.bool_)
    if name == "hwe_pooled":
        return pooled_hardy_p(totals).p < limit
    return stratified_hardy_p(federation, study, model, totals) < limit


def pooled_hardy_p(totals: VariantTotals) -> PValues:
    """Exact tests of Hardy-Weinberg equilibrium from the counts of the federation, as PLINK 2 has it."""
    alternative = totals.homozygous_alternative - totals.male_homozygous_alternative
    heterozygous = totals.heterozygous - totals.male_heterozygous
    reference = totals.called - totals.male_called - alternative - heterozygous
    if totals.kind != "x":
        return exact_p(heterozygous, reference, alternative)
    male_reference = totals.male_called - totals.male_heterozygous - totals.male_homozygous_alternative
    male_alternative = totals.male_homozygous_alternative
    return exact_p_on_x(heterozygous, reference, alternative, male_reference, male_alternative)


def stratified_hardy_p(federation: Federation, study: Study, model: Model, totals: VariantTotals) -> Reals:
    """p-value of excess or lack of heterozygotes within sites; 1 where a variant is under the floors.

    Pooling people of populations with other frequencies lacks heterozygotes without any fault of the variant.
    """
    usable = np.flatnonzero(above_floors(totals, study.floors))
    p = np.ones(len(totals))
    if not len(usable):
        return p
    found: HardyStrata = joined(federation.each(hardy_strata, model, _asks(totals.take(usable))))
    z = found.excess / np.sqrt(np.maximum(found.variance, 1e-300))
    p[usable] = np.where(found.variance > 0, 10.0 ** -log10_p_of_z(z), 1.0)
    return p


def _asks(totals: VariantTotals) -> Iterator[tuple[Block, StrataParameters]]:
    for first in range(0, len(totals), COUNTED_TOGETHER):
        of = totals.take(np.arange(first, min(first + COUNTED_TOGETHER, len(totals))))
        yield Block(of.variants), StrataParameters(totals.kind == "x", of.whole_minor_count, of.carrier_nodes)
