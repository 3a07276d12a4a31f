"""Many words in one large integer, each in a lane of its own width, with room for the sum over up to 256 nodes.

A word that is meant modulo 2^w lies in a lane of w + 8 bits. Adding the integers of up to 256 nodes adds every lane,
and no lane runs over into the next; the low w bits of a lane are then the sum modulo 2^w. Lanes follow each other from
the lowest bit up; where the next lane does not fit, a new integer begins.
Integers are rows of 64-bit limbs, the least significant first.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Ring = npt.NDArray[np.uint64]
Limbs = npt.NDArray[np.uint64]
Widths = npt.NDArray[np.uint8]

#: Bits of a lane above its word: 2^8 nodes may be added.
GUARD_BITS = 8
_LIMB_BITS = 64


@dataclass(frozen=True)
class Lanes:
    """Where each word of a block lies.

    Attributes
    ----------
    widths
        Bits of each word, shape (word,), from 1 to 64.
    first_bit
        Where its lane begins, in bits over all rows of limbs, shape (word,).
    rows, limbs
        Number of integers, and limbs of each.
    """

    widths: Widths
    first_bit: npt.NDArray[np.int64]
    rows: int
    limbs: int

    @cached_property
    def _limb(self) -> npt.NDArray[np.int64]:
        return self.first_bit // _LIMB_BITS

    @cached_property
    def _shift(self) -> Ring:
        return (self.first_bit % _LIMB_BITS).astype(np.uint64)

    @cached_property
    def _mask(self) -> Ring:
        return np.uint64(2**64 - 1) >> (_LIMB_BITS - self.widths).astype(np.uint64)

    @cached_property
    def _spills(self) -> npt.NDArray[np.bool_]:
        """Which words reach into the limb after the one that they begin in."""
        return self._shift + self.widths > _LIMB_BITS

    def pack(self, words: Ring) -> Limbs:
        """Words modulo two to their widths, shape (word,), as integers, shape (row, limb)."""
        packed = np.zeros(self.rows * self.limbs, np.uint64)
        if not words.size:
            return packed.reshape(self.rows, self.limbs)
        values = words & self._mask
        # Words that begin in one limb stand side by side: their sum is their union.
        begins = np.flatnonzero(np.diff(self._limb, prepend=-1))
        packed[self._limb[begins]] = np.add.reduceat(values << self._shift, begins)
        # At most one word reaches into a limb from below.
        spills = self._spills
        packed[self._limb[spills] + 1] |= values[spills] >> (_LIMB_BITS - self._shift[spills])
        return packed.reshape(self.rows, self.limbs)

    def unpack(self, packed: Limbs) -> Ring:
        """The low bits of every lane, shape (word,): words modulo two to their widths."""
        flat = packed.reshape(-1)
        words = flat[self._limb] >> self._shift
        spills = self._spills
        words[spills] |= flat[self._limb[spills] + 1] << (_LIMB_BITS - self._shift[spills])
        return words & self._mask


def lay_out(widths: Widths, plaintext_bits: int) -> Lanes:
    """Lanes for words of these widths in integers of at most `plaintext_bits` bits."""
    if widths.size and not (widths.min() >= 1 and widths.max() <= _LIMB_BITS):
        raise ValueError("a word has from 1 to 64 bits")
    if plaintext_bits < _LIMB_BITS + GUARD_BITS:
        raise ValueError(f"{plaintext_bits} bits do not hold one lane")
    limbs = -(-(plaintext_bits + 1) // _LIMB_BITS)
    ends = np.cumsum(widths.astype(np.int64) + GUARD_BITS)
    first_bit = np.empty(len(widths), np.int64)
    row, first, before = 0, 0, 0
    while first < len(widths):
        last = int(np.searchsorted(ends, before + plaintext_bits, side="right"))
        first_bit[first + 1 : last] = ends[first : last - 1] - before
        first_bit[first] = 0
        first_bit[first:last] += row * limbs * _LIMB_BITS
        row, first, before = row + 1, last, int(ends[last - 1])
    return Lanes(widths, first_bit, row, limbs)


def extend_sign(words: Ring, widths: Widths) -> Ring:
    """Words modulo two to their widths, read as two's complement, as words modulo 2^64."""
    unused = (_LIMB_BITS - widths).astype(np.int64)
    return ((words.view(np.int64) << unused) >> unused).view(np.uint64)
