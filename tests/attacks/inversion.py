"""Recover genotypes from sums: linear algebra over everything that was ever told of one variant.

The attacker knows the columns of everybody exactly, and the allele frequency; what is told are exact sums over people.
Without columns to tell people apart the best guess is the most common genotype.
"""

import numpy as np

from fedstats.arrays import Reals

FREQUENCY = 0.3


def genotypes(people: int, variants: int, rng: np.random.Generator) -> Reals:
    """Genotypes in Hardy-Weinberg equilibrium, shape (person, variant)."""
    return rng.binomial(2, FREQUENCY, (people, variants)).astype(np.float64)


def columns(people: int, number: int, rng: np.random.Generator) -> Reals:
    """An intercept and covariates that everybody differs in, shape (person, column)."""
    return np.column_stack([np.ones(people), rng.normal(size=(people, number - 1))])


def recovered(known: Reals, told: Reals) -> Reals:
    """The most likely genotypes, shape (person, variant), given sums `known.T @ genotypes`.

    The sums fix the part of the genotypes that lies in the space of the columns; of a person's own genotype that part
    holds the share r = columns / people, and the rest of it looks like noise of variance r (1 - r).
    """
    people, number = known.shape
    mean, variance, share = 2 * FREQUENCY, 2 * FREQUENCY * (1 - FREQUENCY), number / people
    part = np.linalg.lstsq(known.T, told - mean * known.sum(axis=0)[:, None], rcond=None)[0]
    prior = np.log([(1 - FREQUENCY) ** 2, 2 * FREQUENCY * (1 - FREQUENCY), FREQUENCY**2])
    spread = share * (1 - share) * variance + 1e-9
    fits = [prior[g] - (part - share * (g - mean)) ** 2 / (2 * spread) for g in range(3)]
    return np.argmax(fits, axis=0).astype(np.float64)


def accuracy(people: int, number: int, *, variants: int = 40, repeats: int = 6, seed: int = 1) -> float:
    """Share of genotypes that are recovered from sums of this many columns."""
    rng = np.random.default_rng(seed)
    right = []
    for _ in range(repeats):
        known, hidden = columns(people, number, rng), genotypes(people, variants, rng)
        right.append(np.mean(recovered(known, known.T @ hidden) == hidden))
    return float(np.mean(right))


def accuracy_of_indicators(people: int, numbers: int, *, variants: int = 40, repeats: int = 6, seed: int = 2) -> float:
    """The same from sums in which one copy and two copies count apart, as in rounds of a logistic fit.

    Each person has two unknowns; the estimate of either copy is the projection onto what the sums fix.
    """
    rng = np.random.default_rng(seed)
    right = []
    for _ in range(repeats):
        known, hidden = columns(2 * people, numbers, rng), genotypes(people, variants, rng)
        marks = np.concatenate([hidden == 1, hidden == 2]).astype(np.float64)
        right.append(np.mean(_from_marks(known, known.T @ marks, people) == hidden))
    return float(np.mean(right))


def _from_marks(known: Reals, told: Reals, people: int) -> Reals:
    one, two = 2 * FREQUENCY * (1 - FREQUENCY), FREQUENCY**2
    expected = np.repeat([one, two], people)[:, None]
    spread = np.sqrt(np.repeat([one * (1 - one), two * (1 - two)], people))[:, None]
    # Whitened, so that both kinds of unknown weigh alike.
    part = spread * np.linalg.lstsq((known * spread).T, told - known.T @ expected, rcond=None)[0]
    share = known.shape[1] / known.shape[0]
    noise = share * (1 - share) * spread**2 + 1e-9
    prior = np.log([(1 - FREQUENCY) ** 2, one, two])
    fits = []
    for g in range(3):
        mean = share * (np.concatenate([np.full(people, g == 1), np.full(people, g == 2)])[:, None] - expected)
        miss = (part - mean) ** 2 / (2 * noise)
        fits.append(prior[g] - miss[:people] - miss[people:])
    return np.argmax(fits, axis=0).astype(np.float64)
