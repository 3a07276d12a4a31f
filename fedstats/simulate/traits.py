"""Simulated traits with known causal variants.

Quantitative traits are linear in causal dosages, age and sex, with normal noise.
Binary traits are logistic in the same: a case is a person whose log odds plus logistic noise are among the highest.
Effects are chosen by the chi-square that an association test is expected to reach at the size of the data.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices, Reals
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.variants import X_CODE, SimulatedVariants

#: Causal variants of a quantitative trait, of b1 and of b2.
CAUSAL_QUANTITATIVE, CAUSAL_B1, CAUSAL_B2 = 8, 6, 3

#: Expected chi-squares of causal variants run over this range; genome-wide significance is 29.7.
CHI_SQUARES = (70.0, 150.0)

#: The same for b2: with 2 % cases and effects this large the information falls short of the small-effect formula.
CHI_SQUARES_RARE = (140.0, 200.0)

#: Share of the variance that one variant may explain at most, so that small data stay plausible.
LARGEST_SHARE = 0.06

#: Effects of age (per standard deviation) and of being female on every trait's scale.
AGE_EFFECT, FEMALE_EFFECT = 0.2, 0.15

SHARE_B1, SHARE_B2 = 0.5, 0.02
OUTLIER_SD = 80.0


@dataclass(frozen=True, eq=False)
class Causal:
    """Causal variants of one trait: file rows, and the effect per standard deviation of the dosage of ALT."""

    trait: str
    rows: Indices
    effects: Reals


def choose_causal(recipe: Recipe, variants: SimulatedVariants, rng: np.random.Generator) -> list[Causal]:
    """Common causal variants on distinct chromosomes, autosomal, for each trait."""
    minor = np.minimum(variants.frequency, 1 - variants.frequency)
    common = (minor > 0.15) & (variants.code != X_CODE) & (variants.site_frequency.min(axis=1) > 0.05)
    common &= variants.site_frequency.max(axis=1) < 0.95
    found = []
    for trait, number, weight in _sizes(recipe):
        candidates = [np.flatnonzero(common & (variants.code == code)) for code in rng.permutation(np.arange(1, 23))]
        rows = np.sort([rng.choice(some) for some in candidates if len(some)][:number])
        expected = CHI_SQUARES_RARE if trait == "b2" else CHI_SQUARES
        chi_squares = rng.permutation(np.linspace(*expected, len(rows)))
        size = np.sqrt(np.minimum(chi_squares / (recipe.samples * weight), LARGEST_SHARE / weight))
        found.append(Causal(trait, rows.astype(np.int64), size * rng.choice([-1.0, 1.0], len(rows))))
    return found


def _sizes(recipe: Recipe) -> list[tuple[str, int, float]]:
    """Name, number of causal variants and information per person of each trait."""
    quantitative = [(f"q{number + 1}", CAUSAL_QUANTITATIVE, 1.0) for number in range(recipe.traits)]
    b1, b2 = (share * (1 - share) for share in (SHARE_B1, SHARE_B2))
    return [*quantitative, ("b1", CAUSAL_B1, b1), ("b2", CAUSAL_B2, b2)]


@dataclass(frozen=True, eq=False)
class Person:
    """What traits depend on beside genotypes; every array has shape (person,)."""

    age: Reals
    sex: npt.NDArray[np.int8]
    site: npt.NDArray[np.int64]


def simulate_traits(
    recipe: Recipe, people: Person, causal: list[Causal], dosages: dict[int, Reals], rng: np.random.Generator
) -> dict[str, Reals]:
    """Values of all traits, NaN where missing.

    Parameters
    ----------
    recipe, people, causal
        What was drawn before.
    dosages
        Standardised dosages of every causal variant by file row, each of shape (person,).
    rng
        Source of randomness.
    """
    shared = AGE_EFFECT * (people.age - people.age.mean()) / people.age.std() + FEMALE_EFFECT * (people.sex == 2)
    steps = np.linspace(-1.0, 1.0, recipe.sites)[people.site] * recipe.confounded
    values = {}
    for one in causal:
        genetic = sum(
            (b * dosages[int(row)] for row, b in zip(one.rows, one.effects, strict=True)), np.zeros(len(steps))
        )
        if one.trait.startswith("q"):
            values[one.trait] = shared + genetic + 0.5 * steps + rng.standard_normal(len(steps))
        else:
            liability = shared + genetic + 1.5 * steps * (one.trait == "b1") + rng.logistic(size=len(steps))
            values[one.trait] = _cases(liability, SHARE_B1 if one.trait == "b1" else SHARE_B2, recipe, people)
    _plant(values, recipe, rng)
    return values


def _cases(liability: Reals, share: float, recipe: Recipe, people: Person) -> Reals:
    """1 for the given share of people with the highest liability, else 0; none at a site of controls only."""
    eligible = people.site < recipe.sites - recipe.controls_only
    threshold = np.quantile(liability[eligible], 1 - share)
    return ((liability > threshold) & eligible).astype(np.float64)


def _plant(values: dict[str, Reals], recipe: Recipe, rng: np.random.Generator) -> None:
    if recipe.outlier:
        q1 = values["q1"]
        q1[rng.integers(len(q1))] = q1.mean() + OUTLIER_SD * q1.std()
    if recipe.trait_missing_rate:
        for name, value in values.items():
            values[name] = np.where(rng.random(len(value)) < recipe.trait_missing_rate, np.nan, value)
