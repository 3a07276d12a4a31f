"""Score and information of logistic models, for a block of variants with coefficients of their own, from packed calls.

For variant j and person i: eta = z_i' a_j + g_ij b_j, mu = 1 / (1 + exp(-eta)), w = mu (1 - mu).
All work is matrix products on tiles of variants x people that stay in cache; one product W vech(zz') gives the
covariates' information of every variant of a tile. Between the products stands one loop that the compiler turns into
vector instructions: exp by argument reduction and a polynomial of degree 11, whose error is below 2e-16 relative.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Fixed, Reals
from fedstats.genotypes import PackedBlock, pack
from fedstats.kernels.logistic_tiles import (
    DOSAGES,
    LANES,
    MISSING,
    TILE_VARIANTS,
    decode,
    lengthened,
    padded,
    tiled_calls,
    tiling,
)
from fedstats.kernels.newton import pair_indices

_LOG2E = 1.4426950408889634
_LN2_HIGH = 6.93147180369123816490e-01
_LN2_LOW = 1.90821492927058770002e-10


@dataclass(frozen=True)
class LogisticSums:
    """Sums over people at one node, for each variant of a block.

    Attributes
    ----------
    score
        Sum of z (y - mu), shape (variant, coefficient).
    genotype_score
        Sum of g (y - mu), shape (variant,).
    information
        Sum of w z z', upper triangle packed, shape (variant, pair).
    cross_information
        Sum of w g z, shape (variant, coefficient).
    genotype_information
        Sum of w g^2, shape (variant,).
    log_likelihood
        Sum of y eta - log(1 + exp(eta)), shape (variant,); zero unless asked for.
    """

    score: Reals
    genotype_score: Reals
    information: Reals
    cross_information: Reals
    genotype_information: Reals
    log_likelihood: Reals


@dataclass(frozen=True)
class LogisticPeople:
    """The people of a node, laid out in tiles: what all blocks of a step have in common.

    Attributes
    ----------
    keep, outcome
        One for who is in, and the trait as 0 and 1, shape (padded person,).
    design, turned, products
        Design columns, shape (padded person, padded coefficient); the same by tile and turned,
        shape (tile, padded coefficient, person of tile); products of pairs of them, shape (padded person, padded pair).
    coefficients
        Number of design columns, padding apart.
    """

    keep: Reals
    outcome: Reals
    design: Reals
    turned: Reals
    products: Reals
    coefficients: int


def logistic_people(keep: Bools, design: Reals, outcome: Reals) -> LogisticPeople:
    """People in tiles; rows of people who are not in must be zero in `design` and `outcome`."""
    people, coefficients = design.shape
    rows, columns = pair_indices(coefficients)
    tiles, length = tiling(people)
    laid = np.zeros((tiles * length, padded(coefficients, LANES)))
    laid[:people, :coefficients] = design
    products = np.zeros((tiles * length, padded(len(rows), LANES)))
    products[:people, : len(rows)] = design[:, rows] * design[:, columns]
    return LogisticPeople(
        keep=lengthened(keep.astype(np.float64), tiles * length),
        outcome=lengthened(outcome, tiles * length),
        design=laid,
        turned=np.ascontiguousarray(laid.reshape(tiles, length, -1).transpose(0, 2, 1)),
        products=products,
        coefficients=coefficients,
    )


def logistic_sums(
    people: LogisticPeople,
    block: PackedBlock,
    covariate_effects: Reals,
    genotype_effect: Reals,
    imputed: Reals,
    dropped: Bools,
    *,
    information: bool = True,
    likelihood: bool = False,
) -> LogisticSums:
    """Score and information at coefficients of each variant's own.

    Parameters
    ----------
    people, block
        Who, and the calls of which variants.
    covariate_effects, genotype_effect
        Coefficients, shapes (variant, coefficient) and (variant,).
    imputed
        Dosage of missing calls, shape (variant,).
    dropped
        Whether people with a missing call are left out instead, shape (variant,).
    information
        Sum the covariates' own information, too, which is half of the work; without, it is zero.
    likelihood
        Also sum the log-likelihood, at the price of a logarithm per call.
    """
    variants, width = len(block), people.design.shape[1]
    rows = padded(variants, TILE_VARIANTS)
    effects = np.zeros((rows, width))
    effects[:variants, : people.coefficients] = covariate_effects
    score, cross = np.zeros((rows, width + 1)), np.zeros((rows, width + 1))
    by_pair, log_likelihood = np.zeros((rows, people.products.shape[1])), np.zeros(rows)
    _sums(
        tiled_calls(block, rows, len(people.keep)),
        DOSAGES,
        MISSING,
        lengthened(block.swap.astype(np.int64), rows),
        people.keep,
        people.outcome,
        people.design,
        people.turned,
        people.products,
        effects,
        lengthened(genotype_effect, rows),
        lengthened(imputed, rows),
        lengthened(dropped.astype(np.float64), rows),
        information,
        likelihood,
        score,
        by_pair,
        cross,
        log_likelihood,
    )
    k, pairs = people.coefficients, people.coefficients * (people.coefficients + 1) // 2
    return LogisticSums(
        score=score[:variants, :k],
        genotype_score=score[:variants, width],
        information=by_pair[:variants, :pairs],
        cross_information=cross[:variants, :k],
        genotype_information=cross[:variants, width],
        log_likelihood=log_likelihood[:variants],
    )


@nb.njit(inline="always")
def _exp_of_remainder(r):  # type: ignore[no-untyped-def]  # numba infers; annotations would change nothing
    """Taylor polynomial of exp for |r| <= log(2) / 2."""
    tail = 1 / 5040.0 + r * (1 / 40320.0 + r * (1 / 362880.0 + r * (1 / 3628800.0 + r * (1 / 39916800.0))))
    return 1.0 + r * (1.0 + r * (0.5 + r * (1 / 6.0 + r * (1 / 24.0 + r * (1 / 120.0 + r * (1 / 720.0 + r * tail))))))


@nb.njit(nogil=True, cache=True, fastmath={"contract", "nsz", "reassoc"}, error_model="numpy")
def _weigh(eta, g, mask, y, effect, bits, power, residual, weight, weighted_g):  # type: ignore[no-untyped-def]  # numba
    """Residuals and weights of one variant in one tile; `power` is `bits` seen as reals. Returns g'r and g'Wg."""
    people = eta.shape[0]
    for i in range(people):
        x = min(max(-(eta[i] + effect * g[i]), -700.0), 700.0)
        whole = np.floor(x * _LOG2E + 0.5)
        eta[i] = (x - whole * _LN2_HIGH) - whole * _LN2_LOW
        bits[i] = (np.int64(whole) + 1023) << 52
    for i in range(people):
        mu = 1.0 / (1.0 + _exp_of_remainder(eta[i]) * power[i])
        w = mu * (1.0 - mu) * mask[i]
        residual[i] = (y[i] - mu) * mask[i]
        weight[i] = w
        weighted_g[i] = w * g[i]
    score, information = 0.0, 0.0
    for i in range(people):
        score += g[i] * residual[i]
        information += g[i] * weighted_g[i]
    return score, information


@nb.njit(nogil=True, cache=True)
def _likelihood(eta, g, mask, y, effect):  # type: ignore[no-untyped-def]  # numba infers
    """Log-likelihood of one variant in one tile, stable for either sign of eta."""
    total = 0.0
    for i in range(eta.shape[0]):
        x = eta[i] + effect * g[i]
        total += mask[i] * (y[i] * x - max(x, 0.0) - np.log1p(np.exp(-abs(x))))
    return total


@nb.njit(nogil=True, cache=True)
def _sums(  # type: ignore[no-untyped-def]  # numba infers; a kernel takes its arrays one by one
    packed, dosages, missing, swap, keep, outcome, design, turned, products,
    effects, effect, imputed, dropped, with_information, with_likelihood, score, information, cross, log_likelihood,
):  # fmt: skip
    """Adds the sums of all tiles; the last column of `score` and `cross` is the genotype's."""
    width, people = design.shape[1], turned.shape[2]
    eta, weight = np.empty((TILE_VARIANTS, people)), np.empty((TILE_VARIANTS, people))
    # Residuals, and below them weighted dosages: one product serves both.
    both, by_column = np.empty((2 * TILE_VARIANTS, people)), np.empty((2 * TILE_VARIANTS, width))
    g, mask, bits = np.empty(people), np.empty(people), np.empty(people, np.int64)
    power, by_pair = bits.view(np.float64), np.empty((TILE_VARIANTS, products.shape[1]))
    for first in range(0, packed.shape[0], TILE_VARIANTS):
        last = first + TILE_VARIANTS
        for tile in range(turned.shape[0]):
            here, until = tile * people, (tile + 1) * people
            np.dot(effects[first:last], turned[tile], eta)
            for j in range(TILE_VARIANTS):
                v = first + j
                calls = packed[v, here // 4 : until // 4]
                decode(calls, dosages[swap[v]], missing, imputed[v], dropped[v], keep[here:until], g, mask)
                y = outcome[here:until]
                if with_likelihood:
                    log_likelihood[v] += _likelihood(eta[j], g, mask, y, effect[v])
                a, b = _weigh(eta[j], g, mask, y, effect[v], bits, power, both[j], weight[j], both[TILE_VARIANTS + j])
                score[v, width] += a
                cross[v, width] += b
            np.dot(both, design[here:until], by_column)
            score[first:last, :width] += by_column[:TILE_VARIANTS]
            cross[first:last, :width] += by_column[TILE_VARIANTS:]
            if with_information:
                np.dot(weight, products[here:until], by_pair)
                information[first:last] += by_pair


def weighted_squares(calls: npt.NDArray[np.uint8], swap: Bools, weights: Fixed) -> Fixed:
    """Sum over called people of weight times squared dosage, exact integers in the units of `weights`.

    Parameters
    ----------
    calls
        Packed calls, shape (variant, byte); bytes past the last person do not matter.
    swap
        Whether alleles are the other way round, shape (variant,).
    weights
        Fixed-point weights, shape (person,); zero for people who are out.

    Returns
    -------
    Fixed
        Shape (variant,).
    """
    padded = np.zeros(calls.shape[1] * 4, np.int64)
    padded[: len(weights)] = weights
    sums = np.zeros(len(calls), np.int64)
    for turned in (0, 1):
        chosen = np.flatnonzero(swap == bool(turned))
        if len(chosen):
            _squares(calls, chosen, padded, (DOSAGES[turned] ** 2).astype(np.int64), sums)
    return sums


def warm_up() -> None:
    """Compile the kernels, or load them from their cache, so that the first block does not wait."""
    block = pack(np.zeros((1, 4), np.int8))
    people = logistic_people(np.ones(4, np.bool_), np.ones((4, 1)), np.ones(4))
    logistic_sums(people, block, np.zeros((1, 1)), np.zeros(1), np.zeros(1), np.zeros(1, np.bool_))
    weighted_squares(block.bytes().copy(), block.swap, np.ones(4, np.int64))


#: Positions of bytes whose tables are made at a time: 64 tables of 256 sums fill a quarter of a usual L2 cache.
_TABLES = 64


@nb.njit(nogil=True, cache=True)
def _squares(packed, chosen, weights, squares, sums):  # type: ignore[no-untyped-def]  # numba infers
    """Adds, by byte tables: what each value of a byte contributes is summed once for all variants."""
    tables = np.empty((_TABLES, 256), np.int64)
    for first in range(0, packed.shape[1], _TABLES):
        last = min(first + _TABLES, packed.shape[1])
        for k in range(first, last):
            for byte in range(256):
                total = np.int64(0)
                for s in range(4):
                    total += squares[byte, s] * weights[4 * k + s]
                tables[k - first, byte] = total
        for v in chosen:
            total = np.int64(0)
            for k in range(first, last):
                total += tables[k - first, packed[v, k]]
            sums[v] += total
