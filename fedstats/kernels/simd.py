"""Machine instructions that a kernel must be able to force: eight-lane adds, bit counts and bit scans.

LLVM does not vectorise the loops of byte tables by itself, because the pointers might alias;
these intrinsics spell out the vector code. They are referred to as globals of the kernels that use them,
so that numba's cache on disk keeps working.
"""

from typing import Any

from llvmlite import ir
from numba import extending
from numba.core import types

from fedstats.kernels.vectors import KIND, LANES, WORDS, call, everywhere

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside:
# its arguments are named for the reader.
# ruff: noqa: ARG001

#: numba's decorator, whose types do not know that the typing context is not passed by callers.
_intrinsic: Any = extending.intrinsic

_WORD = ir.IntType(64)
_TWO_BYTES = ir.IntType(16)
_FOUR = ir.VectorType(ir.DoubleType(), 4)


def _load(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, WORDS.as_pointer()), align=64, typ=WORDS)


@_intrinsic
def add_four_rows(typing_context: Any, addresses: Any) -> Any:
    """Add the vectors at addresses 1 to 4 to the vector at address 0; every address a multiple of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address = [builder.extract_value(arguments[0], i) for i in range(5)]
        a, b, c, d = (_load(builder, address[i]) for i in range(1, 5))
        total = builder.add(_load(builder, address[0]), builder.add(builder.add(a, b), builder.add(c, d)))
        builder.store(total, builder.inttoptr(address[0], WORDS.as_pointer()), align=64)
        return context.get_dummy_value()

    return types.void(addresses), generate


@_intrinsic
def add_row(typing_context: Any, target: Any, source: Any) -> Any:
    """Add the vector at `source` to the vector at `target`; both addresses multiples of 64."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        total = builder.add(_load(builder, arguments[0]), _load(builder, arguments[1]))
        builder.store(total, builder.inttoptr(arguments[0], WORDS.as_pointer()), align=64)
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


@_intrinsic
def values_of_eight_codes(typing_context: Any, target: Any, source: Any, values: Any) -> Any:
    """Set eight float64 at `target` to the value, of four, of each 2-bit code in the two bytes at `source`.

    Only where there are whole vectors.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source, values = arguments
        table = ir.Constant(KIND, ir.Undefined)
        for lane in range(LANES):  # the four twice: three bits choose, of which the third is the next code's
            table = builder.insert_element(table, builder.extract_value(values, lane % 4), ir.IntType(32)(lane))
        codes = builder.load(builder.inttoptr(source, _TWO_BYTES.as_pointer()), align=1, typ=_TWO_BYTES)
        shifts = ir.Constant(WORDS, [2 * lane for lane in range(LANES)])
        shifted = builder.lshr(everywhere(builder, builder.zext(codes, _WORD)), shifts)
        found = call(builder, "llvm.x86.avx512.permvar.df.512", KIND, [table, shifted])
        builder.store(found, builder.inttoptr(target, KIND.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(target, source, values), generate


@_intrinsic
def use_whole_vectors(typing_context: Any) -> Any:
    """Let the compiler turn loops of the calling kernel into vectors as long as the processor has.

    For Intel's processors, of which early ones slowed down on long vectors, it takes half of them unless told so.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # llvmlite lists no attributes with values, but writes what it is given.
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), generate
