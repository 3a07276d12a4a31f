"""Sums over people of weights times products of columns, for a few variants and one vector of pairs at a time.

This is a matrix product, weights (variant, person) by products (person, pair), of a shape for which libraries of linear
algebra lay out both sides anew at each call. Here a few sums stay in registers while the people pass, and the sides
are read where they lie.
"""

from typing import Any

import numba as nb
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

from fedstats.kernels.vectors import BYTES, LANES, WHOLE_VECTORS, Eight, Running

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside:
# its arguments are named for the reader.
# ruff: noqa: ARG001
_intrinsic: Any = extending.intrinsic

_WORD = ir.IntType(64)
#: Variants whose sums stay in registers: as many as additions are under way, in vectors or in halves of them.
VARIANTS_AT_ONCE = 8 if WHOLE_VECTORS else 4


@_intrinsic
def _add_block(typing_context: Any, sums: Any, weights: Any, products: Any, people: Any, strides: Any) -> Any:
    """Add the sums of some variants and pairs; arrays by address, `strides` are bytes from row to row of each."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, weights, products, people, strides = arguments
        totals = [Running(builder) for _ in range(VARIANTS_AT_ONCE)]

        def row_of(address: Any, array: int, row: Any) -> Any:
            return builder.add(address, builder.mul(builder.extract_value(strides, array), row))

        with cgutils.for_range(builder, people) as loop:
            of_person = Eight.load(builder, row_of(products, 2, loop.index))
            along = builder.mul(loop.index, _WORD(BYTES))
            for r, total in enumerate(totals):
                total.add(Eight.repeat(builder, builder.add(row_of(weights, 1, _WORD(r)), along)) * of_person)
        for r, total in enumerate(totals):
            total.add_to(row_of(sums, 0, _WORD(r)))
        return context.get_dummy_value()

    return types.void(sums, weights, products, people, strides), generate


@nb.njit(nogil=True, cache=True)
def add_weighted_products(weights, products, sums):  # type: ignore[no-untyped-def]  # numba infers
    """Adds weights (variant, person) times products (person, pair) to sums (variant, pair).

    Variants must be a multiple of `VARIANTS_AT_ONCE`, pairs one of `LANES`; rows are contiguous.
    """
    strides = (sums.strides[0], weights.strides[0], products.strides[0])
    for v in range(0, weights.shape[0], VARIANTS_AT_ONCE):
        for pair in range(0, sums.shape[1], LANES):
            _add_block(
                sums.ctypes.data + v * strides[0] + 8 * pair,
                weights.ctypes.data + v * strides[1],
                products.ctypes.data + 8 * pair,
                weights.shape[1],
                strides,
            )
