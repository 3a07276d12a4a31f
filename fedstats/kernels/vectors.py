"""Eight doubles as one value, whose operators build the vector instructions that a kernel will run.

Where the processor has no vectors of eight, the compiler makes two of four of each.
"""

from typing import Any

from llvmlite import ir
from numba.core import cgutils, config
from numba.core.codegen import get_host_cpu_features

#: Doubles in one vector: 64 bytes, a cache line.
LANES = 8
BYTES = 8
_FEATURES: str = config.CPU_FEATURES or get_host_cpu_features()  # type: ignore[attr-defined]  # set from the environment


def processor_has(*features: str) -> bool:
    """Whether it has all of these, by LLVM's names, and numba was not told to do without (NUMBA_CPU_FEATURES)."""
    return {f"+{feature}" for feature in features} <= set(_FEATURES.split(","))


#: Whether the processor has vectors of eight.
WHOLE_VECTORS = processor_has("avx512f")

KIND = ir.VectorType(ir.DoubleType(), LANES)
WORDS = ir.VectorType(ir.IntType(64), LANES)

#: A product and a sum may become one instruction, which rounds once.
_FLAGS = ("contract", "nsz")


class Eight:
    """Eight doubles; a number beside them stands for eight of it.

    Attributes
    ----------
    builder
        What instructions are added to.
    value
        The vector they made.
    """

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    @classmethod
    def load(cls, builder: Any, address: Any) -> "Eight":
        """Those at an address, whatever its alignment."""
        return cls(builder, builder.load(builder.inttoptr(address, KIND.as_pointer()), align=BYTES, typ=KIND))

    @classmethod
    def repeat(cls, builder: Any, address: Any) -> "Eight":
        """Eight times the number at an address."""
        number = builder.load(builder.inttoptr(address, ir.DoubleType().as_pointer()), align=BYTES)
        return cls(builder, everywhere(builder, number))

    def store(self, address: Any) -> None:
        """Put them at an address."""
        self.builder.store(self.value, self.builder.inttoptr(address, KIND.as_pointer()), align=BYTES)

    def __add__(self, other: "Eight | float") -> "Eight":
        return self._made(self.builder.fadd, other)

    def __sub__(self, other: "Eight | float") -> "Eight":
        return self._made(self.builder.fsub, other)

    def __mul__(self, other: "Eight | float") -> "Eight":
        return self._made(self.builder.fmul, other)

    __radd__, __rmul__ = __add__, __mul__

    def __rsub__(self, other: float) -> "Eight":
        return Eight(self.builder, self._eight(other)) - self

    def __neg__(self) -> "Eight":
        return Eight(self.builder, self.builder.fneg(self.value))

    def at_least(self, least: float) -> "Eight":
        """The greater of each and a number."""
        return self._chosen(">", least)

    def at_most(self, most: float) -> "Eight":
        """The smaller of each and a number."""
        return self._chosen("<", most)

    def with_bits_moved_up(self, bits: int) -> "Eight":
        """Those whose representation is moved by so many bits."""
        words = self.builder.bitcast(self.value, WORDS)
        moved = self.builder.shl(words, ir.Constant(WORDS, [bits] * LANES))
        return Eight(self.builder, self.builder.bitcast(moved, KIND))

    def reciprocal(self) -> "Eight":
        """1 over each, to the last bit but one.

        A division takes as long as twenty additions; a guess of 14 bits and two of Newton's steps take a third of it.
        """
        if not WHOLE_VECTORS:
            return Eight(self.builder, self.builder.fdiv(self._eight(1.0), self.value))
        arguments = [self.value, self._eight(1.0), ir.IntType(8)(255)]
        found = Eight(self.builder, call(self.builder, "llvm.x86.avx512.rcp14.pd.512", KIND, arguments))
        for _ in range(2):
            found = found + found * (1.0 - self * found)
        return found

    def _made(self, operation: Any, other: "Eight | float") -> "Eight":
        value = other.value if isinstance(other, Eight) else self._eight(other)
        return Eight(self.builder, operation(self.value, value, flags=_FLAGS))

    def _chosen(self, comparison: str, number: float) -> "Eight":
        limit = self._eight(number)
        keeps = self.builder.fcmp_ordered(comparison, self.value, limit)
        return Eight(self.builder, self.builder.select(keeps, self.value, limit))

    def _eight(self, number: float) -> Any:
        return ir.Constant(KIND, [number] * LANES)


class Running:
    """A sum of eights that a loop adds to; the compiler keeps in registers what looks here like memory of its own."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder
        self._kept = cgutils.alloca_once_value(builder, ir.Constant(KIND, [0.0] * LANES))

    def add(self, more: Eight) -> None:
        """Add to the sum."""
        self.builder.store((self._total() + more).value, self._kept)

    def add_to(self, address: Any) -> None:
        """Add the sum to the eight at an address."""
        (Eight.load(self.builder, address) + self._total()).store(address)

    def _total(self) -> Eight:
        return Eight(self.builder, self.builder.load(self._kept))


def call(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """What an instruction with a name of LLVM's makes of its arguments."""
    kind = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)


def everywhere(builder: Any, value: Any) -> Any:
    """A vector of one number."""
    kind, place = ir.VectorType(value.type, LANES), ir.IntType(32)
    first = builder.insert_element(ir.Constant(kind, ir.Undefined), value, place(0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(place, LANES), [0] * LANES))
