"""Writing PLINK 1 filesets and the tables beside them."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from fedstats.genotypes import pack

#: .bed: magic bytes, then 1 for variant-major.
HEADER = b"\x6c\x1b\x01"


@dataclass(frozen=True, eq=False)
class FamilyFile:
    """People of a fileset; every array has shape (person,). Sex is 0 unknown, 1 male, 2 female."""

    family_ids: npt.NDArray[np.str_]
    individual_ids: npt.NDArray[np.str_]
    sex: npt.NDArray[np.int8]


def write_plink(
    prefix: Path, people: FamilyFile, variants: pl.DataFrame, blocks: Iterable[npt.NDArray[np.int8]]
) -> None:
    """Write PREFIX.bed, .bim and .fam.

    Parameters
    ----------
    prefix
        Path without suffix.
    people
        In file order.
    variants
        Columns CHROM, POS, ID, REF, ALT.
    blocks
        Dosages of ALT, -1 missing, shape (variant, person), together all variants in order.
    """
    write_fam(beside(prefix, "fam"), people)
    write_bim(beside(prefix, "bim"), variants)
    with beside(prefix, "bed").open("wb") as bed:
        bed.write(HEADER)
        for block in blocks:
            bed.write(without_padding(pack(block).packed, len(people.sex)).tobytes())


def beside(prefix: Path, suffix: str) -> Path:
    """PREFIX.suffix, whatever dots the prefix has."""
    return prefix.with_name(f"{prefix.name}.{suffix}")


def without_padding(packed: npt.NDArray[np.uint8], people: int) -> npt.NDArray[np.uint8]:
    """The same rows with the bits behind the last person zero, in place."""
    if people % 4:
        packed[:, -1] &= (1 << 2 * (people % 4)) - 1
    return packed


def write_bim(path: Path, variants: pl.DataFrame) -> None:
    """Write a .bim file: A1 is ALT, A2 is REF, no centimorgans."""
    columns = variants.select("CHROM", "ID", pl.lit(0).alias("CM"), "POS", "ALT", "REF")
    columns.write_csv(path, include_header=False, separator="\t", quote_style="never")


def write_fam(path: Path, people: FamilyFile) -> None:
    """Write a .fam file without parents or phenotype."""
    rows = pl.DataFrame({"FID": people.family_ids, "IID": people.individual_ids, "SEX": people.sex})
    rows = rows.select("FID", "IID", pl.lit(0).alias("PAT"), pl.lit(0).alias("MAT"), "SEX", pl.lit(-9).alias("PHENO"))
    rows.write_csv(path, include_header=False, separator="\t", quote_style="never")


def write_table(path: Path, table: pl.DataFrame) -> None:
    """Write a table with tabs; NA for missing, at most 8 significant digits."""
    reals = [name for name, kind in table.schema.items() if kind == pl.Float64]
    text = [pl.Series(name, [None if x is None or x != x else f"{x:.8g}" for x in table[name]]) for name in reals]
    table.with_columns(text).write_csv(path, separator="\t", null_value="NA", quote_style="never")


def lose_calls(packed: npt.NDArray[np.uint8], first: int, last: int, lost: npt.NDArray[np.bool_]) -> None:
    """Make calls missing in rows `first` to `last` of packed calls, in place; `lost` has shape (row, person)."""
    padded = np.zeros((last - first, packed.shape[1] * 4), np.uint8)
    padded[:, : lost.shape[1]] = lost
    quads = padded.reshape(last - first, -1, 4) * np.uint8(3)
    mask = quads[..., 0] | quads[..., 1] << 2 | quads[..., 2] << 4 | quads[..., 3] << 6
    packed[first:last] = (packed[first:last] & ~mask) | (mask & 0x55)
