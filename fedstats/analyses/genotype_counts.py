"""The counting pass: genotype counts of each variant over the federation, and what follows from them.

Counting comes before any scan, so that nothing else is ever released of a variant that too few people carry.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, TypeVar

import numpy as np

from fedstats.additive import Additive, Count, Limits
from fedstats.arrays import Bools, Counts, Indices, Reals
from fedstats.certified import Certified, not_the_total, require_same
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused
from fedstats.federation import Federation
from fedstats.step import Along, Nothing, local_step
from fedstats.study import Block, Floors, Model, VariantKind

if TYPE_CHECKING:
    from fedstats.kernels.packed import CallCounts


#: The steps whose totals admit variants and give their means.
COUNTS, COUNTS_BY_SEX = "genotypes/counts@2", "genotypes/counts_by_sex@2"


def _nodes(limits: Limits) -> float:
    return float(limits.nodes)


_NODE_FIELDS = frozenset({"alternative_nodes", "reference_nodes", "missing_nodes"})


@dataclass(frozen=True)
class GenotypeCounts(Additive):
    """Calls of the people who are in, and how many these are; of `_NODE_FIELDS` each node adds one or nothing."""

    NODEWISE: ClassVar[frozenset[str]] = _NODE_FIELDS

    called: Annotated[Counts, Count("variant")]
    heterozygous: Annotated[Counts, Count("variant")]
    homozygous_alternative: Annotated[Counts, Count("variant")]
    alternative_nodes: Annotated[Counts, Count("variant", bound=_nodes)]
    reference_nodes: Annotated[Counts, Count("variant", bound=_nodes)]
    missing_nodes: Annotated[Counts, Count("variant", bound=_nodes)]
    people: Annotated[Counts, Count("one")]


@dataclass(frozen=True)
class CountsBySex(GenotypeCounts):
    """The same on chromosome X, with the share of males apart."""

    male_called: Annotated[Counts, Count("variant")]
    male_heterozygous: Annotated[Counts, Count("variant")]
    male_homozygous_alternative: Annotated[Counts, Count("variant")]


@local_step(COUNTS)
def count_genotypes(cohort: Cohort, at: Nothing) -> GenotypeCounts:  # noqa: ARG001  # every step takes parameters
    """Genotype counts of a block."""
    (calls,) = calls_among(cohort, cohort.people)
    return GenotypeCounts(
        called=calls.called,
        heterozygous=calls.heterozygous,
        homozygous_alternative=calls.homozygous_alternative,
        **_node_marks(cohort, calls),
        people=np.array([cohort.size]),
    )


@local_step(COUNTS_BY_SEX, kinds=("x",))
def count_genotypes_by_sex(cohort: Cohort, at: Nothing) -> CountsBySex:  # noqa: ARG001  # every step takes parameters
    """Genotype counts of a block on chromosome X."""
    calls, males = calls_among(cohort, cohort.people, cohort.people & cohort.male)
    return CountsBySex(
        called=calls.called,
        heterozygous=calls.heterozygous,
        homozygous_alternative=calls.homozygous_alternative,
        male_called=males.called,
        male_heterozygous=males.heterozygous,
        male_homozygous_alternative=males.homozygous_alternative,
        **_node_marks(cohort, calls),
        people=np.array([cohort.size]),
    )


def calls_among(cohort: Cohort, *masks: Bools) -> "list[CallCounts]":
    """Genotype counts of a cohort's block among some of its people each."""
    from fedstats.kernels import packed  # at the node only: it brings the compiler

    block = cohort.block()
    return [packed.genotype_counts(block, mask) for mask in masks]


def _node_marks(cohort: Cohort, calls: "CallCounts") -> dict[str, Counts]:
    return {
        "alternative_nodes": (calls.dosage > 0).astype(np.int64),
        "reference_nodes": (calls.dosage < 2 * calls.called).astype(np.int64),
        "missing_nodes": (calls.called < cohort.size).astype(np.int64),
    }


@dataclass(frozen=True)
class ArmParameters:
    """Which traits are binary, whether men are counted apart, and the federation's counts that admit the variants."""

    by_sex: bool
    binary: Annotated[Indices, Along("binary_trait")]
    minor_count: Annotated[Counts, Along("variant")]
    carrier_nodes: Annotated[Counts, Along("variant")]


def refuse_rare(minor_count: Counts, carrier_nodes: Counts, floors: Floors) -> None:
    """Refuse variants that the counting pass left under the floors."""
    rare = (minor_count < floors.min_mac) | (carrier_nodes < floors.min_carrier_nodes)
    if rare.any():
        raise DisclosureRefused(
            f"{int(rare.sum())} variants have fewer than {floors.min_mac} minor alleles or carriers at fewer than "
            f"{floors.min_carrier_nodes} nodes; nothing was released",
            code="LOW_MAC",
        )


def _admissible_arms(at: ArmParameters, floors: Floors) -> None:
    refuse_rare(at.minor_count, at.carrier_nodes, floors)


def _arms_follow(at: ArmParameters, model: Model, block: Block | None, certified: Certified) -> None:
    known = [index for index, trait in enumerate(model.traits) if trait.kind == "binary"]
    if not np.isin(at.binary, known).all() or at.by_sex != (model.kind == "x"):
        raise not_the_total("the traits whose cases are counted")
    counts_follow(at, model, block, certified)


@dataclass(frozen=True, eq=False)
class CaseCounts:
    """Called genotypes and alleles among the cases of one trait, shape (variant,); of males apart on X, else zero."""

    called: Counts
    dosage: Counts
    male_called: Counts
    male_dosage: Counts

    def take(self, chosen: Bools | Indices) -> "CaseCounts":
        """The counts of some of the variants."""
        return CaseCounts(**{name: values[chosen] for name, values in vars(self).items()})


def nobodys_cases() -> CaseCounts:
    """The counts of no variants."""
    nobody = np.zeros(0, np.int64)
    return CaseCounts(nobody, nobody, nobody, nobody)


def all_of(parts: Sequence[CaseCounts]) -> CaseCounts:
    """The counts of several blocks, one after the other."""
    names = [entry.name for entry in fields(CaseCounts)]
    return CaseCounts(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


@dataclass(frozen=True)
class ArmCounts(Additive):
    """Called genotypes and alleles among the cases of each binary trait; of males apart on X, zero elsewhere."""

    called: Annotated[Counts, Count("variant", "binary_trait")]
    dosage: Annotated[Counts, Count("variant", "binary_trait", bound=lambda limits: 2.0 * limits.people)]
    male_called: Annotated[Counts, Count("variant", "binary_trait")]
    male_dosage: Annotated[Counts, Count("variant", "binary_trait", bound=lambda limits: 2.0 * limits.people)]

    def of_trait(self, number: int) -> CaseCounts:
        """The counts of one binary trait."""
        return CaseCounts(**{name: getattr(self, name)[:, number] for name in self.schema()})


@local_step("genotypes/arms@2", admissible=_admissible_arms, rests_on=(COUNTS, COUNTS_BY_SEX), follows=_arms_follow)
def count_arms(cohort: Cohort, at: ArmParameters) -> ArmCounts:
    """Genotype counts of cases; those of controls are the rest."""
    cases = [cohort.people & (cohort.traits[:, trait] == 1) for trait in at.binary]
    both = calls_among(cohort, *cases)
    males = calls_among(cohort, *(case & cohort.male for case in cases)) if at.by_sex else []
    shape = (len(cohort.block()), len(at.binary))
    return ArmCounts(
        called=_columns([calls.called for calls in both], shape),
        dosage=_columns([calls.dosage for calls in both], shape),
        male_called=_columns([calls.called for calls in males], shape),
        male_dosage=_columns([calls.dosage for calls in males], shape),
    )


def _columns(columns: list[Counts], shape: tuple[int, int]) -> Counts:
    return np.column_stack(columns) if columns else np.zeros(shape, np.int64)


@dataclass(frozen=True, eq=False)
class VariantTotals:
    """Counts of some variants over the federation, shape (variant,) each, and what follows from them.

    `male_*` are zero except on chromosome X. Dosage is the file's 0, 1, 2 of ALT everywhere; alleles are counted as
    they are: a male has one X, and everybody one MT.
    """

    kind: VariantKind
    people: int
    variants: Indices
    called: Counts
    heterozygous: Counts
    homozygous_alternative: Counts
    alternative_nodes: Counts
    reference_nodes: Counts
    missing_nodes: Counts
    male_called: Counts
    male_heterozygous: Counts
    male_homozygous_alternative: Counts

    def __len__(self) -> int:
        return len(self.variants)

    @property
    def dosage(self) -> Counts:
        """Sum of dosages."""
        return self.heterozygous + 2 * self.homozygous_alternative

    @property
    def squares(self) -> Counts:
        """Sum of squared dosages."""
        return self.heterozygous + 4 * self.homozygous_alternative

    @property
    def missing(self) -> Counts:
        """People without a call."""
        return self.people - self.called

    @property
    def mean(self) -> Reals:
        """Mean dosage of called people, 0 where nobody is."""
        return np.asarray(self.dosage / np.maximum(self.called, 1))

    @property
    def alleles(self) -> Counts:
        """Alleles observed."""
        return alleles_of(self.kind, self.called, self.male_called)

    @property
    def alternative_count(self) -> Reals:
        """ALT alleles observed; a heterozygous call of one allele counts a half."""
        male = self.male_heterozygous + 2 * self.male_homozygous_alternative
        return alternative_of(self.kind, self.dosage, male)

    @property
    def frequency(self) -> Reals:
        """Frequency of ALT, NaN where nobody is called."""
        return share(self.alternative_count, self.alleles)

    @property
    def minor_count(self) -> Reals:
        """Observed alleles of the rarer one."""
        return np.minimum(self.alternative_count, self.alleles - self.alternative_count)

    @property
    def whole_minor_count(self) -> Counts:
        """The same in whole alleles, as it is shown to nodes."""
        return np.floor(self.minor_count).astype(np.int64)

    @property
    def carrier_nodes(self) -> Counts:
        """Nodes with a carrier of the rarer allele."""
        alternative = 2 * self.alternative_count <= self.alleles
        return np.where(alternative, self.alternative_nodes, self.reference_nodes)

    def take(self, chosen: Bools | Indices) -> "VariantTotals":
        """The totals of some of the variants."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("kind", "people")}
        return replace(self, **{name: values[chosen] for name, values in arrays.items()})

    def of(self, variants: Indices) -> "VariantTotals":
        """The totals of these panel indices, which must be among the variants."""
        return self.take(np.searchsorted(self.variants, variants))


def alleles_of(kind: VariantKind, called: Counts, male_called: Counts) -> Counts:
    """Alleles that called people carry: two each, one for a male's X, for Y and for MT."""
    if kind in ("y", "mt"):
        return called
    return 2 * called - male_called


def alternative_of(kind: VariantKind, dosage: Counts, male_dosage: Counts) -> Reals:
    """ALT alleles in sums of dosages, where a single allele was coded 0 or 2."""
    if kind in ("y", "mt"):
        return dosage / 2.0
    return dosage - male_dosage / 2.0


def share(part: Reals | Counts, whole: Reals | Counts) -> Reals:
    """Part / whole, NaN where there is nothing."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(whole > 0, part / np.maximum(whole, 1), np.nan))


def count_variants(federation: Federation, model: Model, blocks: Iterable[Block]) -> VariantTotals:
    """Totals of the counting pass over some blocks of a model's variants, in their order."""
    asks = ((block, Nothing()) for block in blocks)
    counted: list[tuple[Block, GenotypeCounts]] = []
    if model.kind == "x":
        by_sex = list(federation.each(count_genotypes_by_sex, model, asks))
        counted.extend(by_sex)
    else:
        counted.extend(federation.each(count_genotypes, model, asks))
    return variant_totals(model, counted)


def variant_totals(model: Model, counted: Sequence[tuple[Block, GenotypeCounts]]) -> VariantTotals:
    """What the counts of some blocks of a model say, in their order; all are of the same people."""
    zero = [np.zeros(len(block), np.int64) for block, _ in counted]
    names = [f.name for f in fields(CountsBySex) if f.name != "people"]
    found = {n: _joined([getattr(c, n, z) for (_, c), z in zip(counted, zero, strict=True)]) for n in names}
    people = int(counted[0][1].people[0]) if counted else 0
    return VariantTotals(
        kind=model.kind, people=people, variants=_joined([block.variants for block, _ in counted]), **found
    )


def counts_follow(at: Any, model: Model, block: Block | None, certified: Certified) -> None:
    """Refuse counts among the parameters for a block that are not, to the bit, those of the certified counts.

    `at` may be of any class; those of its fields are compared that a scan is given of each variant.
    """
    if block is None:
        raise not_the_total("counts of no variants")
    names = {entry.name for entry in fields(at)}
    counted = certified.over(COUNTS_BY_SEX if model.kind == "x" else COUNTS, block.variants)
    totals = variant_totals(model, [(block, counted)])
    for name in ("called", "dosage", "missing", "missing_nodes", "carrier_nodes"):
        if name in names:
            require_same(getattr(at, name), getattr(totals, name), f"counts of variants ({name})")
    require_same(at.minor_count, totals.whole_minor_count, "counts of variants (minor_count)")


def _joined(parts: list[Counts]) -> Counts:
    return np.concatenate(parts) if parts else np.zeros(0, np.int64)


def above_floors(totals: VariantTotals, floors: Floors) -> Bools:
    """Which variants may be analysed: enough minor alleles, with carriers at enough nodes."""
    enough: Bools = (totals.minor_count >= floors.min_mac) & (totals.carrier_nodes >= floors.min_carrier_nodes)
    return enough


_R = TypeVar("_R", bound=Additive)


def joined(parts: Iterator[tuple[Block, _R]]) -> _R:
    """The releases of several blocks as one, along their first dimension."""
    releases = [release for _, release in parts]
    kind = type(releases[0])
    return kind(**{name: np.concatenate([getattr(r, name) for r in releases]) for name in kind.schema()})


def arm_counts(
    federation: Federation, model: Model, binary: Indices, totals: VariantTotals, blocks: Iterable[Block]
) -> ArmCounts:
    """Counts of cases of the binary traits (by number) for variants over the floors, in their order."""

    def asks() -> Iterator[tuple[Block, ArmParameters]]:
        for block in blocks:
            of = totals.of(block.variants)
            yield block, ArmParameters(model.kind == "x", binary, of.whole_minor_count, of.carrier_nodes)

    empty = np.zeros((0, len(binary)), np.int64)
    return joined(federation.each(count_arms, model, asks())) if len(totals) else ArmCounts(*[empty] * 4)
