"""A simulated study: genotypes, phenotypes, covariates and the truth behind them, as files."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from fedstats.arrays import Indices, Reals
from fedstats.genotypes import PackedBlock
from fedstats.simulate.components import joint_components
from fedstats.simulate.haplotypes import BLOCK, dosage_blocks
from fedstats.simulate.plink_files import HEADER, FamilyFile, beside, lose_calls, write_plink, write_table
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.traits import Causal, Person, choose_causal, simulate_traits
from fedstats.simulate.variants import X_CODE, SimulatedVariants, simulate_variants

COMPONENTS = 4

#: Common variants that the components are computed from.
VARIANTS_FOR_COMPONENTS = 2_000

#: Calls of people with a high q1 are this many times as often missing where that is planted.
MISSING_RATIO = 3.0


@dataclass(frozen=True)
class SimulatedFiles:
    """Where a simulation lies: PREFIX.bed, .bim, .fam, .pheno.tsv, .covar.tsv, .truth.tsv."""

    prefix: Path

    @property
    def bed(self) -> Path:
        return beside(self.prefix, "bed")

    @property
    def phenotypes(self) -> Path:
        return beside(self.prefix, "pheno.tsv")

    @property
    def covariates(self) -> Path:
        return beside(self.prefix, "covar.tsv")

    @property
    def truth(self) -> Path:
        return beside(self.prefix, "truth.tsv")


def simulate(prefix: Path, recipe: Recipe) -> SimulatedFiles:
    """Simulate a study and write its files; equal recipes give equal bytes.

    Memory grows with people and with variants, not with their product.

    Raises
    ------
    UsageError
        Where the recipe makes no sense.
    """
    recipe.check()
    files = SimulatedFiles(prefix)
    prefix.parent.mkdir(parents=True, exist_ok=True)
    # Streams apart, so that one more trait does not change the genotypes.
    streams = [np.random.default_rng([recipe.seed, number]) for number in range(6)]
    variants = simulate_variants(recipe, streams[0])
    people = _people(recipe, streams[1])
    family = _family(people)
    write_plink(prefix, family, variants.frame, dosage_blocks(variants, people.site, people.sex == 1, streams[2]))
    packed = np.memmap(files.bed, np.uint8, "r+", len(HEADER), (recipe.variants, -(-recipe.samples // 4)))
    causal = choose_causal(recipe, variants, streams[3])
    standard = {int(row): _standard(packed, int(row), recipe.samples) for one in causal for row in one.rows}
    traits = simulate_traits(recipe, people, causal, {row: z for row, (z, _) in standard.items()}, streams[3])
    _lose_calls(packed, recipe, traits["q1"], streams[4])
    packed.flush()
    components = joint_components(packed, _spread_common(variants, streams[5]), recipe.samples, COMPONENTS, streams[5])
    write_table(files.phenotypes, _phenotypes(family, traits))
    write_table(files.covariates, _covariates(family, people, components, recipe))
    write_table(files.truth, _truth(variants, causal, {row: scale for row, (_, scale) in standard.items()}))
    return files


def _people(recipe: Recipe, rng: np.random.Generator) -> Person:
    """Sites of unequal size, in mixed order; ages and sexes alike everywhere."""
    share = np.linspace(1.3, 0.7, recipe.sites) if recipe.sites > 1 else np.ones(1)
    ends = np.rint(np.cumsum(share) / share.sum() * recipe.samples).astype(np.int64)
    site = rng.permutation(np.repeat(np.arange(recipe.sites), np.diff(ends, prepend=0)))
    age = np.clip(rng.normal(55, 10, recipe.samples), 25, 90).round(1)
    return Person(age, rng.integers(1, 3, recipe.samples).astype(np.int8), site)


def _family(people: Person) -> FamilyFile:
    numbers = range(1, len(people.site) + 1)
    return FamilyFile(
        np.array([f"F{number}" for number in numbers]), np.array([f"P{number}" for number in numbers]), people.sex
    )


def _standard(packed: npt.NDArray[np.uint8], row: int, people: int) -> tuple[Reals, float]:
    """Standardised dosages of one variant, and the standard deviation they were divided by."""
    block = PackedBlock(packed, np.array([row]), np.zeros(1, np.bool_), people)
    dosage = block.dosages()[0].astype(np.float64)
    scale = float(dosage.std()) or 1.0
    return (dosage - dosage.mean()) / scale, scale


def _lose_calls(packed: npt.NDArray[np.uint8], recipe: Recipe, q1: Reals, rng: np.random.Generator) -> None:
    """Make calls missing, at a rate that varies between variants as on arrays: exponential around the mean."""
    if not recipe.missing_rate:
        return
    high = np.nan_to_num(q1, nan=-np.inf) > np.nanquantile(q1, 2 / 3)
    tied = np.where(high, MISSING_RATIO, 1.0) if recipe.missing_by_trait else np.ones(len(q1))
    tied = np.cumsum(tied / tied.sum())
    for first in range(0, len(packed), BLOCK):
        last = min(first + BLOCK, len(packed))
        rates = np.minimum(recipe.missing_rate * rng.exponential(1.0, last - first), 0.5)
        counts = rng.binomial(len(q1), rates)
        lost = np.zeros((last - first, len(q1)), np.bool_)
        who = np.minimum(np.searchsorted(tied, rng.random(int(counts.sum()))), len(q1) - 1)
        lost[np.repeat(np.arange(last - first), counts), who] = True
        lose_calls(packed, first, last, lost)


def _spread_common(variants: SimulatedVariants, rng: np.random.Generator) -> Indices:
    """A random sample of common autosomal variants, so spread out that linkage matters little."""
    common = np.flatnonzero((np.abs(variants.frequency - 0.5) < 0.45) & (variants.code != X_CODE))
    return np.sort(rng.choice(common, min(VARIANTS_FOR_COMPONENTS, len(common)), replace=False))


def _phenotypes(family: FamilyFile, traits: dict[str, Reals]) -> pl.DataFrame:
    identifiers = {"#FID": family.family_ids, "IID": family.individual_ids}
    return pl.DataFrame(identifiers | {name: values.round(6) for name, values in traits.items()})


def _covariates(family: FamilyFile, people: Person, components: Reals, recipe: Recipe) -> pl.DataFrame:
    columns = {"#FID": family.family_ids, "IID": family.individual_ids, "age": people.age, "sex": people.sex}
    columns |= {f"PC{number + 1}": components[:, number] for number in range(COMPONENTS)}
    return pl.DataFrame(columns | {"site": np.array(recipe.site_names)[people.site]})


def _truth(variants: SimulatedVariants, causal: list[Causal], scale: dict[int, float]) -> pl.DataFrame:
    """TRAIT, the variant, BETA per copy of ALT (log odds for binary traits) and BETA_STD per standard deviation."""
    parts = []
    for one in causal:
        per_copy = one.effects / np.array([scale[int(row)] for row in one.rows])
        found = variants.frame[one.rows].with_columns(
            pl.Series("A1", variants.frame["ALT"][one.rows]), BETA=pl.Series(per_copy), BETA_STD=pl.Series(one.effects)
        )
        parts.append(found.select(pl.lit(one.trait).alias("TRAIT"), pl.all()))
    return pl.concat(parts)
