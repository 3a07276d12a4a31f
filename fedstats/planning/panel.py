"""The variant panel: which variants a federation speaks of, in which order, with which alleles.

Effect allele is ALT: column 5 (A1) of a .bim file.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.arrays import Indices
from fedstats.study import KINDS

if TYPE_CHECKING:
    import polars as pl

#: Chromosomes by code, as PLINK numbers them; 0 is none that is known.
CHROMOSOMES = ("0", *(str(number) for number in range(1, 23)), "X", "Y", "XY", "MT")
UNPLACED = 0

#: What a node's file has of a variant of the panel: nothing, the variant, the variant with A1 and A2 the other way
#: round, or other alleles at its position (A/C where the panel has A/G; the other strand counts as other alleles).
ABSENT, PRESENT, SWAPPED, ALLELES_DIFFER = range(4)

_CODES = {name: code for code, name in enumerate(CHROMOSOMES)} | {
    **{str(code): code for code in range(23, 27)},
    **{f"0{digit}": digit for digit in range(1, 10)},
    "M": 26,
    "PAR": 25,
    "PAR1": 25,
    "PAR2": 25,
}

#: Kind of variant by chromosome code, as an index into `KINDS`; XY is analysed like an autosome.
KIND_OF_CHROMOSOME = np.array(
    [KINDS.index({"X": "x", "Y": "y", "MT": "mt"}.get(name, "autosome")) for name in CHROMOSOMES], np.uint8
)


def chromosome_code(name: str) -> int:
    """Code of a chromosome by any of its names (7, 07, chr7, 23, X, chrM), 0 where it is not known."""
    upper = name.strip().upper()
    return _CODES.get(upper.removeprefix("CHR"), UNPLACED)


@dataclass(frozen=True, eq=False)
class Panel:
    """Variants in order.

    Attributes
    ----------
    chromosome
        Code of each variant's chromosome, an index into `CHROMOSOMES`, shape (variant,).
    position
        Base pair, from 1, shape (variant,).
    ids
        Names, shape (variant,); not unique, and never what variants are matched by.
    ref, alt
        Indices into `alleles`, shape (variant,).
    alleles
        The distinct alleles as the file writes them.
    left_out
        Variants of the file that are not in the panel, having no known chromosome or position.
    """

    chromosome: npt.NDArray[np.uint8]
    position: npt.NDArray[np.int64]
    ids: pa.LargeStringArray
    ref: npt.NDArray[np.int32]
    alt: npt.NDArray[np.int32]
    alleles: tuple[str, ...]
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.position)

    @property
    def kinds(self) -> npt.NDArray[np.uint8]:
        """Kind of each variant as an index into `fedstats.study.KINDS`, shape (variant,)."""
        return KIND_OF_CHROMOSOME[self.chromosome]

    def take(self, variants: Indices) -> "Panel":
        """The panel of some variants, in the order given."""
        return Panel(
            self.chromosome[variants],
            self.position[variants],
            self.ids.take(pa.array(variants)),
            self.ref[variants],
            self.alt[variants],
            self.alleles,
        )

    def columns(self, variants: Indices | None = None) -> dict[str, pa.Array]:
        """Columns CHROM, POS, ID, REF, ALT of some variants or all, chromosomes named as PLINK 2 prints them.

        Chromosomes and alleles come as codes with their names.
        """
        chosen = self if variants is None else self.take(variants)
        alleles = pa.array(chosen.alleles, pa.string())
        return {
            "CHROM": pa.DictionaryArray.from_arrays(chosen.chromosome, pa.array(CHROMOSOMES)),
            "POS": pa.array(chosen.position),
            "ID": chosen.ids,
            "REF": pa.DictionaryArray.from_arrays(chosen.ref, alleles),
            "ALT": pa.DictionaryArray.from_arrays(chosen.alt, alleles),
        }

    def frame(self, variants: Indices | None = None) -> "pl.DataFrame":
        """The same columns as a polars data frame."""
        import polars as pl  # where it is needed: a run does without it, and importing it takes as long as a short one

        columns = self.columns(variants)
        texts = {name: pl.Series(column.cast(pa.large_string())) for name, column in columns.items() if name != "POS"}
        frame = pl.DataFrame({**texts, "POS": columns["POS"].to_numpy()})
        return frame.select(list(columns))

    def lines(self, block: int = 1 << 16) -> Iterator[bytes]:
        """The panel as runs of bytes: lines of CHROM, POS, ID, REF, ALT, tabs between and a line feed after each."""
        text = pa.large_string()
        chromosomes, alleles = pa.array(CHROMOSOMES, text), pa.array(self.alleles, text)
        last_cells = pa.array([f"{allele}\n" for allele in self.alleles], text)
        for first in range(0, len(self), block):
            part = slice(first, first + block)
            cells = (
                chromosomes.take(pa.array(self.chromosome[part])),
                pa.array(self.position[part]).cast(text),
                self.ids[part],
                alleles.take(pa.array(self.ref[part])),
                last_cells.take(pa.array(self.alt[part])),
            )
            joined = pc.binary_join_element_wise(*cells, pa.scalar("\t", text))
            _, ends, characters = joined.buffers()
            yield bytes(memoryview(characters)[: int(np.frombuffer(ends, np.int64)[len(joined)])])

    def digest(self) -> str:
        """SHA-256 of `lines`, in hexadecimal: of the panel, whatever file it came from."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        hashed = hashlib.sha256()
        for run in self.lines():
            hashed.update(run)
        return hashed.hexdigest()

    @classmethod
    def of_columns(
        cls,
        chromosome: pa.ChunkedArray,
        position: npt.NDArray[np.int64],
        ids: pa.ChunkedArray,
        ref: pa.ChunkedArray,
        alt: pa.ChunkedArray,
    ) -> "Panel":
        """The panel of columns of text; a chromosome that is not known becomes UNPLACED."""
        codes, alleles = _alleles(ref, alt)
        return cls(_chromosomes(chromosome), position, _one_array(ids), codes[0], codes[1], alleles)


def _chromosomes(column: pa.ChunkedArray) -> npt.NDArray[np.uint8]:
    encoded = _one_array(column).dictionary_encode()
    codes = np.array([chromosome_code(name) for name in encoded.dictionary.to_pylist()], np.uint8)
    of_variant: npt.NDArray[np.uint8] = codes[np.asarray(encoded.indices)]
    return of_variant


def _alleles(
    ref: pa.ChunkedArray, alt: pa.ChunkedArray
) -> tuple[tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]], tuple[str, ...]]:
    encoded = pa.chunked_array([*ref.chunks, *alt.chunks], pa.string()).dictionary_encode().unify_dictionaries()
    codes = np.concatenate([np.asarray(chunk.indices) for chunk in encoded.chunks] or [np.zeros(0)]).astype(np.int32)
    names = encoded.chunks[0].dictionary.to_pylist() if encoded.num_chunks else []
    return (codes[: len(ref)], codes[len(ref) :]), tuple(names)


def _one_array(column: pa.ChunkedArray) -> pa.LargeStringArray:
    found = column.cast(pa.large_string()).combine_chunks()
    return found if isinstance(found, pa.Array) else pa.concat_arrays(found.chunks)
