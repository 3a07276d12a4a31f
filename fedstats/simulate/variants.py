"""Simulated variants: where they lie, which alleles they have, how frequent those are at each site."""

from dataclasses import dataclass

import numpy as np
import polars as pl

from fedstats.arrays import Reals
from fedstats.planning.panel import CHROMOSOMES
from fedstats.simulate.recipe import Recipe

#: Lengths of chromosomes 1 to 22 and X, in million base pairs (GRCh37).
LENGTHS = (249, 243, 198, 191, 181, 171, 159, 146, 141, 136, 135, 134, 115, 107, 103, 90, 81, 78, 59, 63, 48, 51, 155)
X_CODE = 23

#: Variants come in clusters, as on genotyping arrays: most gaps are short, about this many base pairs.
GAP_IN_CLUSTER = 5_000
SHARE_IN_CLUSTER = 0.8

#: Share of variants whose ALT is the more frequent allele.
SHARE_FLIPPED = 0.1
RAREST = 0.005


@dataclass(frozen=True, eq=False)
class SimulatedVariants:
    """Variants in the order of the file.

    Attributes
    ----------
    frame
        Columns CHROM, POS, ID, REF, ALT.
    code
        Chromosome codes, shape (variant,).
    position
        Base pairs, shape (variant,).
    frequency
        Of ALT in the ancestral population, shape (variant,).
    site_frequency
        Of ALT at each site, shape (variant, site).
    """

    frame: pl.DataFrame
    code: np.ndarray
    position: np.ndarray
    frequency: Reals
    site_frequency: Reals


def simulate_variants(recipe: Recipe, rng: np.random.Generator) -> SimulatedVariants:
    """Draw the variants of a recipe."""
    code = _chromosomes(recipe.variants)
    position = np.concatenate([_positions(int((code == c).sum()), c, rng) for c in np.unique(code)])
    frequency = _frequencies(recipe.variants, rng)
    ref = rng.integers(0, 4, recipe.variants)
    alt = (ref + rng.integers(1, 4, recipe.variants)) % 4
    letters = np.array(list("ACGT"))
    frame = pl.DataFrame(
        {
            "CHROM": np.array(CHROMOSOMES)[code],
            "POS": position,
            "ID": [f"v{number:07d}" for number in range(1, recipe.variants + 1)],
            "REF": letters[ref],
            "ALT": letters[alt],
        }
    )
    return SimulatedVariants(frame, code, position, frequency, _at_sites(frequency, recipe, rng))


def _chromosomes(variants: int) -> np.ndarray:
    """Codes in order, in proportion to length; at least one variant each."""
    ends = np.ceil(np.cumsum(LENGTHS) / sum(LENGTHS) * variants).astype(int)
    return np.repeat(np.arange(1, len(LENGTHS) + 1), np.diff(ends, prepend=0)).astype(np.uint8)[:variants]


def _positions(number: int, code: int, rng: np.random.Generator) -> np.ndarray:
    """Increasing, distinct positions in clusters that cover the chromosome."""
    length = LENGTHS[code - 1] * 1_000_000
    close = rng.random(number) < SHARE_IN_CLUSTER
    short = rng.exponential(min(GAP_IN_CLUSTER, length / (4 * number)), number)
    wide = rng.exponential(1.0, number) * ~close
    room = max(length * 0.98 - short.sum() - number, 0.0)
    gaps = short + wide / max(float(wide.sum()), 1e-9) * room
    return np.asarray(np.cumsum(1 + gaps.astype(np.int64)))


def _frequencies(number: int, rng: np.random.Generator) -> Reals:
    """U-shaped: half with density 1/(p(1 - p)) from the rarest up, half even among the common, some turned."""
    low = np.log(RAREST / (1 - RAREST))
    rare = 1 / (1 + np.exp(-rng.uniform(low, 0, number)))
    minor = np.where(rng.random(number) < 0.5, rare, rng.uniform(0.05, 0.5, number))
    return np.where(rng.random(number) < SHARE_FLIPPED, 1 - minor, minor)


def _at_sites(frequency: Reals, recipe: Recipe, rng: np.random.Generator) -> Reals:
    """Frequencies at sites: Beta with mean p and variance Fst p (1 - p) (Balding and Nichols 1995)."""
    if not recipe.fst or recipe.sites == 1:
        return np.repeat(frequency[:, None], recipe.sites, axis=1)
    spread = (1 - recipe.fst) / recipe.fst
    shape = (len(frequency), recipe.sites)
    return rng.beta(frequency[:, None] * spread, (1 - frequency[:, None]) * spread, shape)
