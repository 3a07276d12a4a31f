"""Score and information of logistic models, for a block of variants with coefficients of their own, from packed calls.

For variant j and person i: eta = z_i' a_j + g_ij b_j, mu = 1 / (1 + exp(-eta)), w = mu (1 - mu).
Strips of people stay in the first cache while the loops of `logistic_loops` pass over them for one variant after the
other; one matrix product W vech(zz') gives the covariates' information of a tile of variants in the strip.
"""

from dataclasses import dataclass

import numba as nb
import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Fixed, Reals
from fedstats.genotypes import PackedBlock, pack
from fedstats.kernels import aligned
from fedstats.kernels.logistic_loops import (
    COLUMNS_AT_ONCE,
    add_products,
    decode,
    leave_out,
    likelihood_of,
    linear_predictor,
    residuals_and_weights,
)
from fedstats.kernels.logistic_tiles import (
    DOSAGES,
    LANES,
    lengthened,
    padded,
    strips,
    tile_of,
    tiled_calls,
)
from fedstats.kernels.newton import pair_indices
from fedstats.kernels.simd import use_whole_vectors
from fedstats.kernels.weighted_products import add_weighted_products


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
    """The people of a node, laid out in strips: what all blocks of a step have in common.

    Attributes
    ----------
    keep, outcome
        One for who is in, and the trait as 0 and 1, shape (padded person,).
    columns
        Columns of the design by strip, with room for the genotype behind them,
        shape (strip, padded coefficient + 1, person of strip).
    products
        Products of pairs of columns, shape (padded person, padded pair).
    coefficients
        Number of design columns, genotype and padding apart.
    """

    keep: Reals
    outcome: Reals
    columns: Reals
    products: Reals
    coefficients: int


def logistic_people(keep: Bools, design: Reals, outcome: Reals) -> LogisticPeople:
    """People in strips; rows of people who are not in must be zero in `design` and `outcome`."""
    people, coefficients = design.shape
    rows, columns = pair_indices(coefficients)
    number, length = strips(people)
    laid = np.zeros((number * length, padded(coefficients + 1, COLUMNS_AT_ONCE)))
    laid[:people, :coefficients] = design
    products = aligned.zeros((number * length, padded(len(rows), LANES)), np.float64)
    products[:people, : len(rows)] = design[:, rows] * design[:, columns]
    return LogisticPeople(
        keep=lengthened(keep.astype(np.float64), number * length),
        outcome=lengthened(outcome, number * length),
        columns=np.ascontiguousarray(laid.reshape(number, length, -1).transpose(0, 2, 1)),
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
    tile, width = tile_of(len(block)), people.columns.shape[1]
    rows = padded(len(block), tile)
    effects = np.zeros((rows, width))
    effects[: len(block), : people.coefficients] = covariate_effects
    effects[: len(block), people.coefficients] = genotype_effect
    calls = tiled_calls(block, rows, len(people.keep)), lengthened(block.swap.astype(np.int64), rows)
    missing = lengthened(imputed, rows), lengthened(dropped, rows)
    of_people = people.keep, people.outcome, people.columns, people.coefficients, people.products
    sums = (
        np.zeros((rows, width)),
        aligned.zeros((rows, people.products.shape[1]), np.float64),
        np.zeros((rows, width)),
        np.zeros(rows),
    )
    room = _room(people, tile)
    _sums(DOSAGES, *calls, *missing, *of_people, effects, information, likelihood, room, *sums)
    return _without_padding(len(block), people.coefficients, *sums)


def _room(people: LogisticPeople, tile: int) -> tuple[Reals, ...]:
    """Where the kernel computes: columns, eta, mask, residual and weighted dosage of a strip; weights of a tile.

    What is computed of a person and a variant is written before it is read.
    """
    _, width, length = people.columns.shape
    return (
        aligned.as_found((width, length), np.float64),
        aligned.as_found((length,), np.float64),
        aligned.as_found((length,), np.float64),
        aligned.as_found((length,), np.float64),
        aligned.as_found((length,), np.float64),
        aligned.as_found((tile, length), np.float64),
    )


def _without_padding(
    variants: int, k: int, score: Reals, information: Reals, cross: Reals, log_likelihood: Reals
) -> LogisticSums:
    """The sums of `variants` variants and `k` coefficients; behind the coefficients stands the genotype."""
    return LogisticSums(
        score=score[:variants, :k],
        genotype_score=score[:variants, k],
        information=information[:variants, : k * (k + 1) // 2],
        cross_information=cross[:variants, :k],
        genotype_information=cross[:variants, k],
        log_likelihood=log_likelihood[:variants],
    )


@nb.njit(nogil=True, cache=True)
def _sums(  # type: ignore[no-untyped-def]  # numba infers; a kernel takes its arrays one by one
    dosages, packed, swap, imputed, dropped, keep, outcome, columns_of_strip, genotype, products,
    effects, with_information, with_likelihood, room, score, information, cross, log_likelihood,
):  # fmt: skip
    """Adds the sums of all strips; column number `genotype` is the genotype's."""
    use_whole_vectors()
    strips, _, people = columns_of_strip.shape
    columns, eta, mask, residual, weighted_g, weight = room
    g, tile = columns[genotype], weight.shape[0]
    for first in range(0, packed.shape[0], tile):
        last = first + tile
        for strip in range(strips):
            here, until = strip * people, (strip + 1) * people
            columns[:] = columns_of_strip[strip]
            y, inside = outcome[here:until], keep[here:until]
            for v in range(first, last):
                calls, w = packed[v, here // 4 : until // 4], weight[v - first]
                weights = inside
                decode(calls, dosages[swap[v]], imputed[v], g)
                if dropped[v]:
                    leave_out(calls, weights, mask)
                    weights = mask
                linear_predictor(effects[v], columns, eta)
                if with_likelihood:
                    log_likelihood[v] += likelihood_of(eta, weights, y)
                residuals_and_weights(eta, g, weights, y, residual, w, weighted_g)
                add_products(columns, residual, weighted_g, score[v], cross[v])
            if with_information:
                add_weighted_products(weight, products[here:until], information[first:last])


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
