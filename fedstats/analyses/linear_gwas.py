"""Linear regression of quantitative traits on every variant, with covariates: counting, then one scan.

The answer is that of the pooled data: with `mean`, missing genotypes are the federation's mean dosage; with
`drop` each variant has the people who are called, as in PLINK 2; `--site-effects fixed` takes out effects of the sites.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedstats.analyses.association_rows import AssociationRows, arm_columns, scan_models
from fedstats.analyses.genotype_counts import VariantTotals, above_floors, arm_counts, count_variants
from fedstats.analyses.linear_design import LinearDesign, shared_design, site_warnings
from fedstats.analyses.linear_totals import complete_sums, imputed_sums
from fedstats.analyses.statuses import missing_code, status
from fedstats.analyses.variant_filters import filter_variants
from fedstats.analysis import analysis
from fedstats.arrays import Bools, Indices
from fedstats.federation import Federation
from fedstats.kernels.linear_solve import FAULTS, LinearSums, solve
from fedstats.kernels.tails import log10_p_of_t
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Floors, Model, Study

TEST = "LINEAR"
#: Variants that are solved at a time: with many traits, the working arrays stay in the processor's cache.
_SLICE = 2048


@analysis("gwas/linear", steps=("columns/", "genotypes/arms", "linear_gwas/"))
def linear_gwas(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Rows of each trait, chunk by chunk.

    Raises
    ------
    UsageError
        A column is constant or collinear over the federation.
    """
    designs: dict[str, LinearDesign] = {}
    examined: set[str] = set()
    for model in study.models:
        designs[model.id] = shared_design(federation, study, model, designs)
        if not examined.issuperset(trait.name for trait in model.traits):
            yield from site_warnings(study, designs[model.id])
        examined.update(trait.name for trait in model.traits)
    yield from federation.map(lambda handle, chunk: scan_chunk(handle, study, designs, chunk), chunks)


def scan_chunk(federation: Federation, study: Study, designs: dict[str, LinearDesign], chunk: Chunk) -> Rows:
    """Rows of one chunk for every model of its kind."""
    return scan_models(study, chunk, lambda model: _scan_model(federation, study, designs[model.id], chunk))


def _scan_model(federation: Federation, study: Study, design: LinearDesign, chunk: Chunk) -> Rows:
    model = design.model
    counted = count_variants(federation, model, chunk.blocks())
    kept, filtered = filter_variants(federation, study, model, counted)
    rows = AssociationRows(
        kept, [t.name for t in model.traits], design.description.cases(model), len(study.nodes), TEST
    )
    treatment = treat_missing(kept, study)
    mean, drop = kept.take(treatment.mean), kept.take(treatment.drop)
    if len(mean):
        _fill(rows, design, mean, imputed_sums(federation, design, mean, chunk), called_only=treatment.all_called)
    if len(drop):
        _fill(rows, design, drop, complete_sums(federation, design, drop, chunk), called_only=True)
    rows.columns["STATUS"][:, treatment.suppressed] = status("SUPPRESSED_CELL")
    rows.columns["MISSING"][treatment.suppressed] = missing_code("drop")
    return Rows(_tables(federation, rows, design, chunk), filtered)


@dataclass(frozen=True, eq=False)
class Treatment:
    """How missing genotypes of each row are treated, as masks of shape (row,); rows in none are under the floors.

    `all_called`: under `drop`, a row without missing calls says so, though it is computed as the others.
    """

    mean: Bools
    drop: Bools
    suppressed: Bools
    all_called: bool


def treat_missing(totals: VariantTotals, study: Study) -> Treatment:
    """Decide by the study's choice and the floors, from the counts of the whole federation."""
    floors, usable = study.floors, above_floors(totals, study.floors)
    nobody = np.zeros(len(totals), np.bool_)
    if study.missing == "mean":
        return Treatment(usable, nobody, nobody, all_called=False)
    some = usable & (totals.missing > 0)
    drop = some & _releasable(totals, floors)
    rest = some & ~drop
    if study.missing == "drop-strict":
        return Treatment(usable & ~some, drop, rest, all_called=True)
    return Treatment(usable & ~drop, drop, nobody, all_called=True)


def _releasable(totals: VariantTotals, floors: Floors) -> Bools:
    enough: Bools = (totals.missing >= floors.min_missing) & (totals.missing_nodes >= floors.min_missing_nodes)
    return enough


def _fill(
    rows: AssociationRows, design: LinearDesign, totals: VariantTotals, sums: LinearSums, *, called_only: bool
) -> None:
    """Solve the regressions of some rows and write what they say."""
    units = design.trait_units[:, None] * _allele_units(design.model)
    positions = rows.positions(totals.variants)
    for first in range(0, len(positions), _SLICE):
        part = slice(first, first + _SLICE)
        some, at = sums.part(part), _run(positions[part])
        fit = solve(some)
        rows.columns["BETA"][:, at] = fit.effect * units
        rows.columns["SE"][:, at] = fit.standard_error * units
        rows.columns["STAT"][:, at] = fit.statistic
        rows.columns["LOG10P"][:, at] = log10_p_of_t(fit.statistic, some.degrees_of_freedom)
        rows.columns["STATUS"][:, at] = _CODES_OF_FAULTS[fit.status]
    rows.columns["OBS_CT"][positions] = sums.people
    full = called_only & (sums.people == totals.called)
    rows.columns["MISSING"][positions] = np.where(full, missing_code("drop"), missing_code("mean"))


def _run(rows: Indices) -> Indices | slice:
    """Ascending rows as a slice where they follow one another, as they mostly do: numpy fills it much sooner."""
    first, last = int(rows[0]), int(rows[-1])
    return slice(first, last + 1) if last - first == len(rows) - 1 else rows


def _allele_units(model: Model) -> float:
    """Dosages to an allele: Y and MT have one allele, which the file calls 0 or 2."""
    return 2.0 if model.kind in ("y", "mt") else 1.0


_CODES_OF_FAULTS = np.array([status(name) for name in FAULTS], np.int8)


def _tables(
    federation: Federation, rows: AssociationRows, design: LinearDesign, chunk: Chunk
) -> dict[str, dict[str, np.ndarray]]:
    binary = np.array([i for i, trait in enumerate(design.model.traits) if trait.kind == "binary"], np.int64)
    tables = {trait.name: rows.table(i) for i, trait in enumerate(design.model.traits) if i not in binary}
    if not len(binary):
        return tables
    low = rows.columns["STATUS"][0] == status("LOW_MAC")
    chosen = np.flatnonzero(~low)
    complete = rows.columns["MISSING"] == missing_code("drop")
    arms = arm_counts(
        federation, design.model, binary, rows.totals.take(chosen), chunk.blocks(rows.totals.variants[chosen])
    )
    for number, i in enumerate(binary.tolist()):
        columns = arm_columns(rows.totals, arms.of_trait(number), chosen, int(rows.cases[i]), complete)
        tables[design.model.traits[i].name] = rows.table(i, columns)
    return tables
