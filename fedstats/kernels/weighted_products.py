"""Sums over people of weights times products of columns, for a few variants and one vector of pairs at a time.

This is a matrix product, weights (variant, person) by products (person, pair), of a shape for which libraries of linear
algebra lay out both sides anew at each call. Here a few sums stay in registers while the people pass, and the sides
are read where they lie.
"""

from typing import Any

import llvmlite.binding
import numba as nb
from llvmlite import ir
from numba import extending
from numba.core import cgutils, types

from fedstats.kernels.simd import LANES

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside:
# its arguments are named for the reader.
# ruff: noqa: ARG001
_intrinsic: Any = extending.intrinsic

_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(ir.DoubleType(), LANES)
_BYTES = 8
_WHOLE_VECTORS = bool(llvmlite.binding.get_host_cpu_features().get("avx512f", False))
#: Variants whose sums stay in registers: as many as additions are under way, in vectors or in halves of them.
VARIANTS_AT_ONCE = 8 if _WHOLE_VECTORS else 4


def _load(builder: Any, address: Any, kind: Any) -> Any:
    """A number or a vector at an address, whatever its alignment."""
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=_BYTES, typ=kind)


def _everywhere(builder: Any, value: Any) -> Any:
    """A vector of one number."""
    first = builder.insert_element(ir.Constant(_VECTOR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    order = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, first, order)


def _add_product(builder: Any, a: Any, b: Any, total: Any) -> None:
    """Add a b to the vector that is kept at `total`."""
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * 3)
    multiply_add = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fma.v{LANES}f64")
    builder.store(builder.call(multiply_add, [a, b, builder.load(total)]), total)


def _add_to(builder: Any, address: Any, total: Any) -> None:
    """Add the vector that is kept at `total` to the one at an address."""
    sums = builder.fadd(_load(builder, address, _VECTOR), builder.load(total))
    builder.store(sums, builder.inttoptr(address, _VECTOR.as_pointer()), align=_BYTES)


@_intrinsic
def _add_block(typing_context: Any, sums: Any, weights: Any, products: Any, people: Any, strides: Any) -> Any:
    """Add the sums of some variants and pairs; arrays by address, `strides` are bytes from row to row of each."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        sums, weights, products, people, strides = arguments
        rows, nothing = range(VARIANTS_AT_ONCE), ir.Constant(_VECTOR, [0.0] * LANES)
        # The compiler keeps in registers what looks here like memory of its own.
        totals = [cgutils.alloca_once_value(builder, nothing) for _ in rows]

        def row_of(address: Any, array: int, row: Any) -> Any:
            return builder.add(address, builder.mul(builder.extract_value(strides, array), row))

        with cgutils.for_range(builder, people) as loop:
            of_person = _load(builder, row_of(products, 2, loop.index), _VECTOR)
            along = builder.mul(loop.index, _WORD(_BYTES))
            for r in rows:
                at = builder.add(row_of(weights, 1, _WORD(r)), along)
                weight = _everywhere(builder, _load(builder, at, ir.DoubleType()))
                _add_product(builder, weight, of_person, totals[r])
        for r in rows:
            _add_to(builder, row_of(sums, 0, _WORD(r)), totals[r])
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
