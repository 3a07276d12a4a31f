"""From totals of a linear scan to the centred sums that are solved, for missing genotypes at the mean or left out."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np

from fedstats.analyses.genotype_counts import VariantTotals, joined
from fedstats.analyses.linear_design import LinearDesign
from fedstats.analyses.linear_sums import CompleteParameters, CompleteScan, Scan, ScanParameters, complete, scan
from fedstats.arrays import Reals
from fedstats.federation import Federation
from fedstats.kernels.linear_solve import LinearSums
from fedstats.study import Block, Chunk

#: Variance of a standardised covariate among the called under which it is what rounding left of a constant:
#: sums of doubles near one keep 1e-15, columns 1e-10 of a standard deviation.
_CONSTANT = 1e-11
#: Products of columns over the missing that a node has in hand at a time: 16 MB of doubles.
_PRODUCTS = 1 << 21
#: Variants of a block, whatever the number of columns.
_FEWEST, _MOST = 256, 4096


def imputed_sums(federation: Federation, design: LinearDesign, totals: VariantTotals, chunk: Chunk) -> LinearSums:
    """Sums with missing genotypes at the mean, which adds nothing to products with the centred genotype."""
    found: Scan = joined(federation.each(scan, design.model, _scan_asks(design, totals, chunk)))
    people = np.full(len(totals), design.description.people, np.int64)
    spread = _spread(totals)
    sums, trait_sums = design.design[0, 1:], design.design_trait[0]
    return LinearSums(
        people=people,
        degrees_of_freedom=people - design.column_count - 1,
        design=design.centred_design[:, :, None],
        design_trait=design.centred_design_trait[:, :, None],
        trait_squares=design.centred_trait_squares[:, None],
        design_genotype=_about_mean(found.real("design_genotype"), sums, totals.mean),
        trait_genotype=_about_mean(found.real("trait_genotype"), trait_sums, totals.mean),
        genotype_squares=spread - found.local_square.sum(axis=1),
        spread=spread,
        local=design.local,
    )


def _about_mean(products: Reals, sums: Reals, mean: Reals) -> Reals:
    """Products with the genotype about its mean, shape (column, variant), from those as they are, (variant, column)."""
    less = np.outer(sums, mean)
    return np.subtract(products.T, less, out=less)  # in place: with many traits there are megabytes of them


def _spread(totals: VariantTotals) -> Reals:
    """Sum of squares of the genotype about its mean, from whole numbers."""
    numerator = totals.called * totals.squares - totals.dosage**2
    return np.asarray(numerator / np.maximum(totals.called, 1))


def _scan_asks(design: LinearDesign, totals: VariantTotals, chunk: Chunk) -> Iterator[tuple[Block, ScanParameters]]:
    for block in chunk.blocks(totals.variants):
        yield block, _scan_parameters(design, totals.of(block.variants))


def _scan_parameters(design: LinearDesign, of: VariantTotals) -> ScanParameters:
    return ScanParameters(
        **_scales(design),
        called=of.called,
        dosage=of.dosage,
        minor_count=of.whole_minor_count,
        carrier_nodes=of.carrier_nodes,
    )


def _scales(design: LinearDesign) -> dict[str, Any]:  # Any: arrays of one type, by the names of two classes
    return {entry.name: getattr(design.scaling, entry.name) for entry in fields(design.scaling)}


def _complete_asks(
    design: LinearDesign, totals: VariantTotals, chunk: Chunk
) -> Iterator[tuple[Block, CompleteParameters]]:
    for block in chunk.blocks(totals.variants, _complete_block(design)):
        of = totals.of(block.variants)
        admitted = _scan_parameters(design, of)
        both = {entry.name: getattr(admitted, entry.name) for entry in fields(admitted)}
        yield block, CompleteParameters(**both, missing=of.missing, missing_nodes=of.missing_nodes)


def _complete_block(design: LinearDesign) -> int:
    """Variants of a block: a node holds a matrix of all columns for each of them."""
    columns = len(design.design) + len(design.trait_squares) + design.model.sizes["site_term"]
    return min(_MOST, max(_FEWEST, _PRODUCTS // columns**2 // _FEWEST * _FEWEST))


def complete_sums(federation: Federation, design: LinearDesign, totals: VariantTotals, chunk: Chunk) -> LinearSums:
    """Sums over each variant's called people: those of everybody, less those of the missing."""
    found: CompleteScan = joined(federation.each(complete, design.model, _complete_asks(design, totals, chunk)))
    x, xy, y = _called_products(design, found)
    genotype, trait_genotype = found.real("design_genotype").T, found.real("trait_genotype").T
    called = np.maximum(totals.called, 1).astype(np.float64)
    if not design.model.site_effects:
        # About the means of the called people: their sums stand in the row of the intercept.
        sums, trait_sums = x[0, 1:], xy[0]
        genotype, trait_genotype = genotype - sums * totals.mean, trait_genotype - trait_sums * totals.mean
        xy, y = xy - x[0][:, None] * trait_sums[None] / called, y - trait_sums**2 / called
        x = x - x[0][:, None] * x[0][None] / called
    _clear_constant(x, called)
    spread = _spread(totals)
    local = found.local_rank.sum(axis=1) if design.model.site_effects else np.ones(len(totals), np.int64)
    return LinearSums(
        people=totals.called,
        degrees_of_freedom=totals.called - len(design.model.terms) - local - 1,
        design=x[1:, 1:],
        design_trait=xy[1:],
        trait_squares=y,
        design_genotype=genotype,
        trait_genotype=trait_genotype,
        genotype_squares=spread - found.local_square.sum(axis=1),
        spread=spread,
        local=design.local,
    )


def _clear_constant(x: Reals, called: Reals) -> None:
    """Set the variance of covariates that are constant among the called, of which rounding leaves a trace, to 0."""
    diagonal = np.einsum("aa...->a...", x)
    diagonal[diagonal < _CONSTANT * called] = 0.0


def _called_products(design: LinearDesign, found: CompleteScan) -> tuple[Reals, Reals, Reals]:
    """Products of columns over called people, variant last: (k + 1, k + 1, v), (k + 1, p, v), (p, v)."""
    count = len(design.design)
    missing = np.zeros((count, count, len(found.design_missing)))
    rows, others = np.tril_indices(count)
    missing[rows, others] = missing[others, rows] = found.design_missing.T
    return (
        design.design[:, :, None] - missing,
        design.design_trait[:, :, None] - found.trait_missing.transpose(1, 2, 0),
        design.trait_squares[:, None] - found.square_missing.T,
    )
