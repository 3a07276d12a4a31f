"""Allele frequencies over the federation, as plink2 --freq: one counting pass.

Chromosome X weighs a male once, as do Y and MT; OBS_CT counts alleles.
"""

from collections.abc import Iterator, Mapping, Sequence

from fedstats.analyses.genotype_counts import VariantTotals
from fedstats.analyses.variant_tables import Columns, counted_tables
from fedstats.analysis import analysis
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Model, Study


@analysis("freq")
def allele_frequency(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Table "afreq": ALT_FREQS and OBS_CT of each variant."""
    yield from counted_tables(federation, study, chunks, _tables)


def _tables(
    federation: Federation,  # noqa: ARG001  # counts are all that is needed
    study: Study,  # noqa: ARG001  # as above
    model: Model,  # noqa: ARG001  # as above
    totals: VariantTotals,
) -> Mapping[str, Columns]:
    return {"afreq": {"ALT_FREQS": totals.frequency, "OBS_CT": totals.alleles}}
