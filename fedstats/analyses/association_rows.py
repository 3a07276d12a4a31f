"""Rows of association tables: the columns that every model shares, filled for the variants that were analysed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from fedstats.analyses.genotype_counts import CaseCounts, VariantTotals, alleles_of, alternative_of, share
from fedstats.analyses.statuses import code_of_test, missing_code, status
from fedstats.arrays import Bools, Counts, Indices, Reals
from fedstats.rows import Filtered, Rows
from fedstats.study import Chunk, Model, Study

#: What stands in a column of counts for a count that is withheld.
WITHHELD = -1


@dataclass(eq=False)
class AssociationRows:
    """Rows of some variants for the traits of one model; everything not yet filled is missing and LOW_MAC.

    Attributes
    ----------
    totals
        Counts of all variants that have a row.
    traits, cases
        Names of the traits, and people with trait 1, shape (trait,).
    nodes
        Nodes in each row.
    test
        Name of the test.
    """

    totals: VariantTotals
    traits: Sequence[str]
    cases: Counts
    nodes: int
    test: str
    columns: dict[str, np.ndarray] = field(init=False)
    _shared: tuple[Bools, dict[str, np.ndarray]] | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        variants, traits = len(self.totals), len(self.traits)
        reals = {name: np.full((traits, variants), np.nan) for name in ("BETA", "SE", "STAT", "LOG10P")}
        self.columns = {
            **reals,
            "OBS_CT": np.full(variants, WITHHELD, np.int64),
            "MISSING": np.full(variants, missing_code("mean"), np.int8),
            "TEST": np.full((traits, variants), code_of_test(self.test), np.int8),
            "STATUS": np.full((traits, variants), status("LOW_MAC"), np.int8),
        }

    def positions(self, variants: Indices) -> Indices:
        """Rows of these panel indices."""
        return np.searchsorted(self.totals.variants, variants)

    def table(self, trait: int, arms: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
        """The finished table of one trait, by number; `arms` adds the columns of binary traits.

        What all traits have in common is the same arrays in every table, so that it is written out once.
        """
        chosen = {name: values[trait] if values.ndim == 2 else values for name, values in self.columns.items()}
        withheld = chosen["STATUS"] == status("LOW_MAC")
        if self._shared is None or not np.array_equal(withheld, self._shared[0]):
            self._shared = withheld, self._shared_columns(withheld)
        return {**self._shared[1], **chosen, **(arms or {})}

    def _shared_columns(self, withheld: Bools) -> dict[str, np.ndarray]:
        """Columns that do not depend on the trait."""
        totals = self.totals
        count = np.where(withheld, WITHHELD, np.floor(totals.alternative_count))
        return {
            "variant": totals.variants,
            "A1_FREQ": np.where(withheld, np.nan, totals.frequency),
            "A1_CT": count.astype(np.int64),
            "MISSING_CT": np.where(withheld, WITHHELD, totals.missing),
            "NODES": np.full(len(totals), self.nodes, np.int64),
        }


def arm_columns(
    totals: VariantTotals, counted: CaseCounts, chosen: Indices, cases: int, complete: Bools
) -> dict[str, np.ndarray]:
    """CASE_CT, CTRL_CT, CASE_FREQ, CTRL_FREQ of one binary trait.

    Parameters
    ----------
    totals
        Counts of all rows.
    counted, chosen
        Counts among cases for the rows `chosen`; other rows are withheld.
    cases
        All cases of the cohort.
    complete
        Rows whose regression has called people only, shape (row,).
    """
    of = totals.take(chosen)
    called = counted.called
    alternative = alternative_of(totals.kind, counted.dosage, counted.male_dosage)
    alleles = alleles_of(totals.kind, called, counted.male_called)
    case_count = np.where(complete[chosen], called, cases)
    people = np.where(complete[chosen], of.called, totals.people)
    filled: dict[str, np.ndarray] = {
        "CASE_CT": case_count,
        "CTRL_CT": people - case_count,
        "CASE_FREQ": share(alternative, alleles),
        "CTRL_FREQ": share(of.alternative_count - alternative, of.alleles - alleles),
    }
    return {name: _spread(values, chosen, len(totals)) for name, values in filled.items()}


def _spread(values: Reals | Counts, chosen: Indices, rows: int) -> np.ndarray:
    missing = WITHHELD if values.dtype.kind == "i" else np.nan
    spread = np.full(rows, missing, values.dtype)
    spread[chosen] = values
    return spread


def scan_models(study: Study, chunk: Chunk, scan: Callable[[Model], Rows]) -> Rows:
    """Rows of one chunk for every model of its kind."""
    tables: dict[str, Mapping[str, np.ndarray]] = {}
    filtered: list[Filtered] = []
    for model in study.model(chunk.kind):
        found = scan(model)
        tables.update(found.tables)
        filtered.extend(found.filtered)
    return Rows(tables, filtered)
