"""Hardy-Weinberg tests over the federation, as plink2 --hardy: exact on the pooled counts, and stratified by site.

Where sites have people of different ancestry, pooled counts lack heterozygotes though nothing is wrong with the
variant; P_STRAT adds up each site's own excess and is not misled. MIDP is what --hardy midp prints as P there.
A1 is REF here, as in PLINK 2.
"""

from collections.abc import Iterator, Mapping, Sequence

from fedstats.analyses.genotype_counts import VariantTotals, share
from fedstats.analyses.variant_filters import pooled_hardy_p, stratified_hardy_p
from fedstats.analyses.variant_tables import Columns, counted_tables
from fedstats.analysis import analysis
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Model, Study


@analysis("hardy")
def hardy_weinberg(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Table "hardy" of autosomes and XY, and "hardy.x" of X, by sex; Y and MT have no heterozygotes to test."""
    tested = [chunk for chunk in chunks if chunk.kind in ("autosome", "x")]
    yield from counted_tables(federation, study, tested, _tables)


def _tables(federation: Federation, study: Study, model: Model, totals: VariantTotals) -> Mapping[str, Columns]:
    pooled = pooled_hardy_p(totals)
    p = {"P": pooled.p, "MIDP": pooled.mid, "P_STRAT": stratified_hardy_p(federation, study, model, totals)}
    if model.kind == "x":
        return {"hardy.x": {**_by_sex(totals), **p}}
    reference = totals.called - totals.heterozygous - totals.homozygous_alternative
    frequency = 1 - totals.frequency
    return {
        "hardy": {
            "HOM_A1_CT": reference,
            "HET_A1_CT": totals.heterozygous,
            "TWO_AX_CT": totals.homozygous_alternative,
            "O(HET_A1)": share(totals.heterozygous, totals.called),
            "E(HET_A1)": 2 * frequency * (1 - frequency),
            **p,
        }
    }


def _by_sex(totals: VariantTotals) -> Columns:
    """Counts of females (who include people of unknown sex), and males' alleles."""
    female = totals.called - totals.male_called
    heterozygous = totals.heterozygous - totals.male_heterozygous
    alternative = totals.homozygous_alternative - totals.male_homozygous_alternative
    reference = female - heterozygous - alternative
    male_reference = totals.male_called - totals.male_heterozygous - totals.male_homozygous_alternative
    male_alternative = totals.male_homozygous_alternative
    frequency = share(2 * reference + heterozygous, 2 * female)
    return {
        "FEMALE_HOM_A1_CT": reference,
        "FEMALE_HET_A1_CT": heterozygous,
        "FEMALE_TWO_AX_CT": alternative,
        "MALE_A1_CT": male_reference,
        "MALE_AX_CT": male_alternative,
        "O(FEMALE_HET_A1)": share(heterozygous, female),
        "E(FEMALE_HET_A1)": 2 * frequency * (1 - frequency),
        "FEMALE_A1_FREQ": frequency,
        "MALE_A1_FREQ": share(male_reference, male_reference + male_alternative),
    }
