"""Packed kernels as plainly as numpy can say them."""

import numpy as np

from fedstats.arrays import Bools, Counts, Fixed, Reals
from fedstats.genotypes import PackedBlock


def called_and_missing_sums(block: PackedBlock, columns: Fixed, people: Bools) -> tuple[Fixed, Fixed]:
    """Sums of dosage times column over called people, and of the column over those without a call."""
    dosages = block.dosages()
    called = np.where((dosages > 0) & people, dosages, 0).astype(np.int64)
    missing = ((dosages < 0) & people).astype(np.int64)
    return called @ columns, missing @ columns


def genotype_counts(block: PackedBlock, people: Bools) -> tuple[Counts, Counts, Counts]:
    """Called, heterozygous, homozygous for ALT."""
    dosages = block.dosages()[:, people]
    return (dosages >= 0).sum(axis=1), (dosages == 1).sum(axis=1), (dosages == 2).sum(axis=1)


def missing_cross_products(block: PackedBlock, people: Bools, columns: Reals) -> Reals:
    """Products of columns over people without a call."""
    missing = (block.dosages() < 0) & people
    return np.einsum("vp,pa,pb->vab", missing.astype(float), columns, columns)
