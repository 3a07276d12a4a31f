"""Missing calls of each variant over the federation, as plink2 --missing; on Y of males."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from fedstats.analyses.genotype_counts import VariantTotals, share
from fedstats.analyses.variant_tables import Columns, counted_tables
from fedstats.analysis import analysis
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Model, Study


@analysis("missing")
def missingness(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Table "vmiss": MISSING_CT, OBS_CT (people) and F_MISS of each variant."""
    yield from counted_tables(federation, study, chunks, _tables)


def _tables(
    federation: Federation,  # noqa: ARG001  # counts are all that is needed
    study: Study,  # noqa: ARG001  # as above
    model: Model,  # noqa: ARG001  # as above
    totals: VariantTotals,
) -> Mapping[str, Columns]:
    people = np.full(len(totals), totals.people, np.int64)
    return {"vmiss": {"MISSING_CT": totals.missing, "OBS_CT": people, "F_MISS": share(totals.missing, people)}}
