"""Simulated genotypes in linkage disequilibrium, block by block.

Each haplotype carries a number u, uniform on (0, 1), that it keeps from one variant to the next unless it recombines,
with probability 1 - exp(-distance / SPAN).
It carries ALT where u < p, or, for a random half of the variants, where u > 1 - p.
So two variants of equal frequency a distance d apart correlate by about exp(-d / SPAN): r^2 is 0.37 at 50 kb and
0.14 at 100 kb, less for unequal frequencies, and the sign varies.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from fedstats.simulate.variants import X_CODE, SimulatedVariants

#: Base pairs over which a haplotype stays the same, on average.
SPAN = 100_000.0

#: Share of alleles that are drawn afresh, as by recurrent mutation, so that no two variants are copies.
FRESH = 0.05

#: Variants in a block.
BLOCK = 256


def dosage_blocks(
    variants: SimulatedVariants, site: npt.NDArray[np.int64], male: npt.NDArray[np.bool_], rng: np.random.Generator
) -> Iterator[npt.NDArray[np.int8]]:
    """Dosages of ALT, shape (variant, person), in blocks along the genome; nothing is missing yet.

    Parameters
    ----------
    variants
        The variants.
    site
        Site of each person, shape (person,).
    male
        Who is male, shape (person,): 0 or 2 on X.
    rng
        Source of randomness.
    """
    u = rng.random((2, len(site)), np.float32)
    keep = _probability_to_keep(variants)
    turned = rng.random(len(keep)) < 0.5
    for first in range(0, len(keep), BLOCK):
        last = min(first + BLOCK, len(keep))
        block = np.empty((last - first, len(site)), np.int8)
        for j in range(first, last):
            u = _recombine(u, keep[j], rng)
            frequency = variants.site_frequency[j].astype(np.float32)[site]
            carries = u > 1 - frequency if turned[j] else u < frequency
            _refresh(carries, frequency, rng)
            block[j - first] = carries[0].view(np.int8) + carries[1].view(np.int8)
            if variants.code[j] == X_CODE:
                block[j - first, male] = 2 * carries[0, male]
        yield block


def _probability_to_keep(variants: SimulatedVariants) -> npt.NDArray[np.float64]:
    distance = np.diff(variants.position, prepend=0).astype(np.float64)
    distance[np.diff(variants.code, prepend=0) != 0] = np.inf
    return np.exp(-distance / SPAN)


def _recombine(u: npt.NDArray[np.float32], keep: float, rng: np.random.Generator) -> npt.NDArray[np.float32]:
    if keep < 0.1:
        return np.where(rng.random(u.shape, np.float32) < keep, u, rng.random(u.shape, np.float32))
    # Drawn with replacement: 1 - (1 - 1/N)^k of the haplotypes are hit by k draws.
    draws = rng.poisson(-np.log(keep) * u.size)
    u.reshape(-1)[rng.integers(0, u.size, draws)] = rng.random(draws, np.float32)
    return u


def _refresh(carries: npt.NDArray[np.bool_], frequency: npt.NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draw some alleles afresh, in place."""
    chosen = rng.integers(0, carries.size, rng.binomial(carries.size, FRESH))
    people = chosen % len(frequency)
    carries.reshape(-1)[chosen] = rng.random(len(chosen), np.float32) < frequency[people]
