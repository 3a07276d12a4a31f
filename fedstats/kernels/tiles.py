"""Tiles: sixteen rows of 64 bytes that a processor multiplies at once (Intel AMX, from Sapphire Rapids on).

One instruction adds sixteen thousand products of bytes to sums of 32 bits, in the time in which vectors add two.
The left tile holds a row of 64 dosages for each of 16 variants; the right one, for every four of those people a row
with their bytes of 16 columns; the sums are those of 16 variants and 16 columns. Two tiles of each side are kept at
a time, so that every one that is loaded is used twice; eight registers hold them and the four tiles of sums.
"""

import ctypes
import sys
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import extending
from numba.core import types

from fedstats.kernels import aligned
from fedstats.kernels.vectors import call, processor_has

# numba gives the types of an intrinsic to its typing function, and the values only to the generator inside:
# its arguments are named for the reader.
# ruff: noqa: ARG001
_intrinsic: Any = extending.intrinsic

#: Rows of a tile, sums in a row of one, and bytes of a whole tile.
ROWS = 16
TILE_BYTES = 1024
#: Variants and columns in the four tiles of sums.
AT_ONCE = 2 * ROWS

_ROW_BYTES = aligned.LINE
_BYTE = ir.IntType(8)
_WORD = ir.IntType(64)
_NOTHING = ir.VoidType()
_BYTES = ir.VectorType(_BYTE, _ROW_BYTES)
#: Registers by what they hold; sums are numbered by rows.
_SUMS, _LEFT, _RIGHT = (0, 1, 2, 3), (4, 5), (6, 7)

#: arch_prctl of Linux on x86-64, and what it is asked: to let this process use tiles, whose registers are so large
#: that the kernel makes room for them only where somebody wants them.
_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA = 158, 0x1023, 18


@cache
def usable() -> bool:
    """Whether the processor has tiles and the system lets this process use them; asked once."""
    if not (sys.platform == "linux" and processor_has("amx-tile", "amx-int8", "avx512bw")):
        return False
    arguments = (ctypes.c_long(each) for each in (_ARCH_PRCTL, _ARCH_REQ_XCOMP_PERM, _XFEATURE_XTILEDATA))
    return bool(ctypes.CDLL(None).syscall(*arguments) == 0)


def configuration() -> npt.NDArray[np.uint8]:
    """What the processor is told: that all eight registers have sixteen rows of 64 bytes."""
    told = aligned.zeros((64,), np.uint8)
    told[0] = 1  # the only layout that there is
    told[16:32:2] = _ROW_BYTES
    told[48:56] = ROWS
    return told


@_intrinsic
def begin_tiles(typing_context: Any, configuration: Any) -> Any:
    """Set the registers of this thread up, by the address of a configuration."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.ldtilecfg", _NOTHING, [_pointer(builder, arguments[0])])
        return context.get_dummy_value()

    return types.void(configuration), generate


@_intrinsic
def end_tiles(typing_context: Any) -> Any:
    """Give the registers back, so that the system need not save them when it turns to another thread."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        call(builder, "llvm.x86.tilerelease", _NOTHING, [])
        return context.get_dummy_value()

    return types.void(), generate


@_intrinsic
def load_sums(typing_context: Any, address: Any, stride: Any) -> Any:
    """Load sums of 32 variants and 32 columns from rows that lie `stride` bytes apart."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, stride = arguments
        for register, quarter in zip(_SUMS, _quarters(builder, address, stride), strict=True):
            _load(builder, register, quarter, stride)
        return context.get_dummy_value()

    return types.void(address, stride), generate


@_intrinsic
def store_sums(typing_context: Any, address: Any, stride: Any) -> Any:
    """Store what `load_sums` loads."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, stride = arguments
        for register, quarter in zip(_SUMS, _quarters(builder, address, stride), strict=True):
            operands = [_BYTE(register), _pointer(builder, quarter), stride]
            call(builder, "llvm.x86.tilestored64", _NOTHING, operands)
        return context.get_dummy_value()

    return types.void(address, stride), generate


@_intrinsic
def add_products(typing_context: Any, left: Any, right: Any) -> Any:
    """Add products over 64 people to the sums; of each side, two tiles lie one after the other."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for registers, address in zip((_LEFT, _RIGHT), arguments, strict=True):
            for number, register in enumerate(registers):
                _load(builder, register, builder.add(address, _WORD(number * TILE_BYTES)), _WORD(_ROW_BYTES))
        for total in _SUMS:
            factors = [_BYTE(total), _BYTE(_LEFT[total // 2]), _BYTE(_RIGHT[total % 2])]
            call(builder, "llvm.x86.tdpbusd", _NOTHING, factors)
        return context.get_dummy_value()

    return types.void(left, right), generate


@_intrinsic
def spread_dosages(typing_context: Any, target: Any, source: Any, apart: Any) -> Any:
    """Dosages of the first allele, no call as none, of the 256 calls at `source`.

    Four rows, `apart` bytes from each other: the first calls of all 64 bytes, the second ones, and so on.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        target, source, apart = arguments
        packed = builder.load(builder.inttoptr(source, _BYTES.as_pointer()), align=8, typ=_BYTES)
        of_code = ir.Constant(_BYTES, [2, 0, 1, 0] * ROWS)
        for position in range(4):
            shifted = builder.lshr(packed, _everywhere(2 * position))
            codes = builder.and_(shifted, _everywhere(3))
            dosages = call(builder, "llvm.x86.avx512.pshuf.b.512", _BYTES, [of_code, codes])
            address = builder.add(target, builder.mul(apart, _WORD(position)))
            builder.store(dosages, builder.inttoptr(address, _BYTES.as_pointer()), align=_ROW_BYTES)
        return context.get_dummy_value()

    return types.void(target, source, apart), generate


def _everywhere(byte: int) -> Any:
    return ir.Constant(_BYTES, [byte] * _ROW_BYTES)


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _BYTE.as_pointer())


def _load(builder: Any, register: int, address: Any, stride: Any) -> None:
    call(builder, "llvm.x86.tileloadd64", _NOTHING, [_BYTE(register), _pointer(builder, address), stride])


def _quarters(builder: Any, address: Any, stride: Any) -> list[Any]:
    """Where each of the four tiles of sums begins."""
    below = builder.add(address, builder.mul(stride, _WORD(ROWS)))
    return [builder.add(row, _WORD(beside)) for row in (address, below) for beside in (0, _ROW_BYTES)]
