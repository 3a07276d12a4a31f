"""What the analyses that only count have in common: people, counts of each chunk, and the floor."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from fedstats.analyses.association_rows import WITHHELD
from fedstats.analyses.genotype_counts import VariantTotals, above_floors, count_variants
from fedstats.analyses.statuses import status
from fedstats.analyses.variant_filters import COUNTED_TOGETHER, filter_variants
from fedstats.federation import Federation
from fedstats.rows import Filtered, Rows
from fedstats.study import Chunk, Model, Study

Columns = Mapping[str, np.ndarray]
#: The tables of some counted variants of one model.
Tables = Callable[[Federation, Study, Model, VariantTotals], Mapping[str, Columns]]


def counted_tables(federation: Federation, study: Study, chunks: Sequence[Chunk], tables: Tables) -> Iterator[Rows]:
    """Rows of each chunk from its counts; values of variants under the floors are withheld, with a status."""

    def rows(handle: Federation, chunk: Chunk) -> Rows:
        found: dict[str, Columns] = {}
        filtered: list[Filtered] = []
        people = 0
        for model in study.model(chunk.kind):
            counted = count_variants(handle, model, chunk.blocks(size=COUNTED_TOGETHER))
            totals, taken = filter_variants(handle, study, model, counted)
            people = max(people, totals.people)
            low = ~above_floors(totals, study.floors)
            made = tables(handle, study, model, totals)
            found.update({name: _finished(totals, low, columns) for name, columns in made.items()})
            filtered.extend(taken)
        return Rows(found, filtered, people)

    yield from federation.map(rows, chunks)


def _finished(totals: VariantTotals, low: np.ndarray, columns: Columns) -> Columns:
    shown = {name: _withheld(values, low) for name, values in columns.items()}
    code = np.where(low, status("LOW_MAC"), status("OK")).astype(np.int8)
    return {"variant": totals.variants, **shown, "STATUS": code}


def _withheld(values: np.ndarray, low: np.ndarray) -> np.ndarray:
    if values.dtype.kind == "i":
        return np.where(low, WITHHELD, values)
    return np.where(low, np.nan, values)
