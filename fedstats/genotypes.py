"""Packed genotypes: blocks of variants as they lie in a PLINK 1 .bed file, two bits a call, never unpacked whole.

Codes of a call, lowest bits first: 00 = two A1 alleles, 01 = missing, 10 = one A1 allele, 11 = none.
A1 is ALT, the effect allele. Where a file has the alleles of the panel the other way round, `swap` says so,
and dosage becomes 2 - dosage; the bits stay as they are.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Indices

#: Dosage of A1 by two-bit code; -1 is missing.
DOSAGE_OF_CODE = np.array([2, -1, 1, 0], np.int8)


@dataclass(frozen=True)
class PackedBlock:
    """Some variants of all people of a file, in file order.

    Attributes
    ----------
    packed
        Bytes of the file's variants, shape (file variant, byte); usually a memory map.
    rows
        For each variant of the block, its row in `packed`, shape (variant,).
    swap
        Whether the file has the panel's alleles the other way round, shape (variant,).
    people
        Number of people in the file; the last byte of a row may hold up to three calls of nobody.
    """

    packed: npt.NDArray[np.uint8]
    rows: Indices
    swap: Bools
    people: int

    def __len__(self) -> int:
        return len(self.rows)

    def bytes(self) -> npt.NDArray[np.uint8]:
        """Rows of the block, shape (variant, byte); a view of the file where the rows are consecutive."""
        if len(self.rows) and np.array_equal(self.rows, np.arange(self.rows[0], self.rows[0] + len(self.rows))):
            return self.packed[self.rows[0] : self.rows[0] + len(self.rows)]
        return self.packed[self.rows]

    def dosages(self) -> npt.NDArray[np.int8]:
        """Dosage of the panel's ALT allele, -1 where missing, shape (variant, person). Naive; for small blocks."""
        raw = self.bytes()
        codes = np.stack([(raw >> shift) & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(len(self), -1)
        dosage = DOSAGE_OF_CODE[codes[:, : self.people]]
        return np.where(self.swap[:, None] & (dosage >= 0), 2 - dosage, dosage).astype(np.int8)


def pack(dosages: npt.NDArray[np.int8]) -> PackedBlock:
    """A block from dosages of ALT (0, 1, 2; -1 missing), shape (variant, person)."""
    code_of_dosage = np.array([3, 2, 0, 1], np.uint8)  # index -1 is the last: missing
    variants, people = dosages.shape
    codes = np.full((variants, -(-people // 4) * 4), 3, np.uint8)
    codes[:, :people] = code_of_dosage[dosages]
    quads = codes.reshape(variants, -1, 4)
    packed = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    return PackedBlock(packed.astype(np.uint8), np.arange(variants), np.zeros(variants, np.bool_), people)


class GenotypeSource(Protocol):
    """Where blocks come from: a file behind a memory map, or an array in memory."""

    def block(self, variants: Indices) -> PackedBlock:
        """The block of these variants of the panel, in this order."""
        ...
