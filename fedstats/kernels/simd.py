"""Machine instructions that a kernel must be able to force: eight-lane adds, bit counts and bit scans.

LLVM does not vectorise the loops of byte tables by itself, because the pointers might alias;
these intrinsics spell out the vector code. They are referred to as globals of the kernels that use them,
so that numba's cache on disk keeps working.
"""

from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside:
# its arguments are named for the reader.
# ruff: noqa: ARG001

#: numba's decorator, whose types do not know that the typing context is not passed by callers.
_intrinsic: Any = extending.intrinsic

#: Columns of int64 in one vector: 64 bytes, a cache line.
LANES = 8
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)
_FOUR = ir.VectorType(ir.DoubleType(), 4)


def _load(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _VECTOR.as_pointer()), align=64, typ=_VECTOR)


@_intrinsic
def add_four_rows(typing_context: Any, addresses: Any) -> Any:
    """Add the vectors at addresses 1 to 4 to the vector at address 0; every address a multiple of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = [builder.extract_value(arguments[0], i) for i in range(5)]
        a, b, c, d = (_load(builder, address[i]) for i in range(1, 5))
        total = builder.add(_load(builder, address[0]), builder.add(builder.add(a, b), builder.add(c, d)))
        builder.store(total, builder.inttoptr(address[0], _VECTOR.as_pointer()), align=64)
        return context.get_dummy_value()

    return types.void(addresses), generate


@_intrinsic
def add_row(typing_context: Any, target: Any, source: Any) -> Any:
    """Add the vector at `source` to the vector at `target`; both addresses multiples of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = builder.add(_load(builder, arguments[0]), _load(builder, arguments[1]))
        builder.store(total, builder.inttoptr(arguments[0], _VECTOR.as_pointer()), align=64)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@_intrinsic
def copy_four_reals(typing_context: Any, target: Any, source: Any) -> Any:
    """Copy four float64 from one address to another, whatever their alignment."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        four = builder.load(builder.inttoptr(arguments[1], _FOUR.as_pointer()), align=8, typ=_FOUR)
        builder.store(four, builder.inttoptr(arguments[0], _FOUR.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(types.intp, types.intp), generate


@_intrinsic
def word_at(typing_context: Any, address: Any) -> Any:
    """The uint64 at any address, low byte first."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(builder.inttoptr(arguments[0], _WORD.as_pointer()), align=1, typ=_WORD)

    return types.uint64(types.intp), generate


@_intrinsic
def popcount(typing_context: Any, word: Any) -> Any:
    """Number of bits set in a uint64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@_intrinsic
def lowest_bit(typing_context: Any, word: Any) -> Any:
    """Position of the lowest bit set in a uint64 that is not zero."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.cttz(arguments[0], ir.Constant(ir.IntType(1), 1))

    return types.uint64(types.uint64), generate
