"""Integers with a discrete Gaussian distribution, from a keyed stream: the same key gives the same integers.

The probability of k is proportional to exp(-k^2 / (2 sigma^2)) on the integers [1]_. Proposals are discrete Laplace
numbers of scale t = floor(sigma) + 1, accepted with probability exp(-(|k| - sigma^2 / t)^2 / (2 sigma^2)): algorithm 3
of [1]_, for a whole array at a time.

How exact
---------
Uniform integers are exact. Acceptances compare 63 random bits with a probability that is computed in doubles, and one
logarithm is taken in doubles: the probability of every k within 8 sigma is within a factor of 1 ± 2^-46 of the exact
one, and what lies beyond has probability under 2^-49. Over w words this adds at most w * 2^-45 to epsilon.
Time to sample depends on the random numbers alone, never on what they are added to.

References
----------
.. [1] Canonne, Kamath and Steinke (2020), The discrete Gaussian for differential privacy, NeurIPS 33.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedstats.privacy.primitives.stream import Ring, add_stream

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Proposals must be exact in doubles: |k| stays below 45 t < 2^53.
LARGEST_SIGMA = 2.0**46
_MOST = np.uint64(2**64 - 1)


@dataclass
class _Words:
    """Uniform 64-bit words of one key, each taken once."""

    key: bytes = field(repr=False)
    taken: int = 0

    def take(self, count: int) -> Ring:
        words = np.zeros(count, np.uint64)
        add_stream(words, self.key, 1, self.taken)
        self.taken += count
        return words


def discrete_gaussian(sigma: Reals, key: bytes) -> Integers:
    """Independent discrete Gaussian integers of mean 0, shape of `sigma`.

    Parameters
    ----------
    sigma
        Parameter of each, above 0 and at most 2^46; from 1 on it is the standard deviation to nine digits.
    key
        32 bytes, used for one array only.
    """
    if sigma.size and not (sigma.min() > 0 and sigma.max() <= LARGEST_SIGMA):
        raise ValueError(f"sigma must be above 0 and at most {LARGEST_SIGMA:g}")
    words, flat = _Words(key), sigma.ravel()
    drawn = np.zeros(len(flat), np.int64)
    pending = np.arange(len(flat))
    while len(pending):
        proposed, accepted = _propose(flat[pending], words)
        drawn[pending[accepted]] = proposed[accepted]
        pending = pending[~accepted]
    return drawn.reshape(sigma.shape)


def _propose(sigma: Reals, words: _Words) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """A proposal for each sigma, and whether it is taken."""
    scale = np.floor(sigma) + 1
    size, sound = _laplace_size(scale.astype(np.uint64), words)
    negative = words.take(len(sigma)) >> np.uint64(63) == 1
    kept = _bernoulli(acceptance(size, sigma, scale), words)
    # Zero would come up twice, once with either sign.
    accepted = sound & kept & ~(negative & (size == 0))
    return np.where(negative, -size, size), accepted


def acceptance(size: Integers, sigma: Reals, scale: Reals) -> Reals:
    """With which probability proposals of these sizes are taken."""
    return np.asarray(np.exp(-0.5 * np.square((size - sigma * sigma / scale) / sigma)))


def _laplace_size(scale: Ring, words: _Words) -> tuple[Integers, npt.NDArray[np.bool_]]:
    """Whole numbers with probability proportional to exp(-k / scale), and which of them are good."""
    below, unbiased = _uniform_below(scale, words)
    kept = _bernoulli(np.exp(-below.astype(np.float64) / scale.astype(np.float64)), words)
    # -log of a uniform number, rounded down, is geometric with ratio 1 / e.
    whole = np.floor(-np.log(np.ldexp(words.take(len(scale)).astype(np.float64) + 0.5, -64)))
    size = below.astype(np.int64) + scale.astype(np.int64) * np.maximum(whole, 0.0).astype(np.int64)
    return size, unbiased & kept


def _uniform_below(limit: Ring, words: _Words) -> tuple[Ring, npt.NDArray[np.bool_]]:
    """Uniform numbers below each limit; those that would favour small ones are marked as not good."""
    drawn = words.take(len(limit))
    surplus = (_MOST % limit + np.uint64(1)) % limit  # 2^64 modulo limit
    return drawn % limit, drawn <= _MOST - surplus


def _bernoulli(probability: Reals, words: _Words) -> npt.NDArray[np.bool_]:
    """True with these probabilities, each rounded down to a multiple of 2^-63."""
    drawn = words.take(len(probability)) >> np.uint64(1)
    return np.asarray(drawn < np.ldexp(probability, 63).astype(np.uint64))
