"""PLINK 1 filesets: checked once with every fault listed, then read through a memory map.

A .bed file holds two bits a call, four people a byte, variant after variant, after three bytes that say so [1]_.

References
----------
.. [1] https://www.cog-genomics.org/plink/1.9/formats#bed
"""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.arrays import Bools, Indices
from fedstats.errors import Failed, ProtocolRefused
from fedstats.genotypes import PackedBlock
from fedstats.planning.delimited import Delimited, Fault, at_lines, read_delimited
from fedstats.planning.panel import SWAPPED, UNPLACED, Panel
from fedstats.planning.panel_files import read_variants
from node_agent.datasets.faults import DatasetFaults
from node_agent.datasets.matching import Availability, match
from node_agent.datasets.repeats import repeated

MAGIC = b"\x6c\x1b"
VARIANT_MAJOR = 1
HEADER_BYTES = 3

#: Rows whose unused last bits are looked at when a fileset is registered, spread evenly over the file:
#: enough to notice another program's habit without reading a whole large file.
PADDING_ROWS = 65_536

Stamp = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class People:
    """The people of a .fam file, in its order; every array has shape (person,).

    Attributes
    ----------
    family_ids, individual_ids
        As written; a family of "0" is none.
    sex
        0 unknown, 1 male, 2 female.
    """

    family_ids: npt.NDArray[np.str_]
    individual_ids: npt.NDArray[np.str_]
    sex: npt.NDArray[np.int8]

    def __len__(self) -> int:
        return len(self.individual_ids)


@dataclass(frozen=True, eq=False)
class PlinkFileset:
    """A fileset that has passed every check.

    Attributes
    ----------
    bed
        The genotype file; .bim and .fam lie beside it.
    people, variants
        What .fam and .bim say; of a variant, `alt` is A1 and `ref` is A2.
    packed
        Calls, shape (file variant, byte), mapped from the file.
    stamps
        Size, time of change and inode of each file when it was checked.
    warnings
        What the custodian should know, in words.
    """

    bed: Path
    people: People
    variants: Panel
    packed: npt.NDArray[np.uint8]
    stamps: tuple[tuple[Path, Stamp], ...]
    warnings: tuple[str, ...]

    def check_unchanged(self) -> None:
        """Raise Failed where a file is no longer the one that was checked."""
        for path, stamp in self.stamps:
            if _stamp(path) != stamp:
                raise Failed(
                    f"the .{path.suffix.lstrip('.')} file of the data set changed while a run was using it",
                    code="FILE_CHANGED",
                    hint="Restart the node agent, which checks the files again, and start the run anew.",
                )


@dataclass(frozen=True, eq=False)
class PlinkGenotypes:
    """Genotypes of a fileset by index of a panel.

    Attributes
    ----------
    fileset
        The file.
    availability
        Where each variant of the panel is in it.
    """

    fileset: PlinkFileset
    availability: Availability

    def block(self, variants: Indices) -> PackedBlock:
        """The block of these variants of the panel, in this order.

        Raises
        ------
        ProtocolRefused
            Where the file lacks one of them.
        Failed
            Where the file changed since it was checked.
        """
        self.fileset.check_unchanged()
        rows = self.availability.rows[variants].astype(np.int64)
        if (rows < 0).any():
            raise ProtocolRefused(f"{int((rows < 0).sum())} of the variants asked for are not here", code="NO_VARIANT")
        swap = self.availability.status[variants] == SWAPPED
        return PackedBlock(self.fileset.packed, rows, swap, len(self.fileset.people))


def bind(fileset: PlinkFileset, panel: Panel) -> PlinkGenotypes:
    """The genotypes of a fileset in the order of a panel."""
    return PlinkGenotypes(fileset, match(fileset.variants, panel))


def register(genotypes: Path) -> PlinkFileset:
    """Check a fileset from end to end, and map it.

    Parameters
    ----------
    genotypes
        The .bed file; .bim and .fam have the same name otherwise.

    Raises
    ------
    DatasetFaults
        With every fault of all three files.
    """
    fileset, faults = inspect(genotypes)
    if fileset is None:
        raise DatasetFaults(f"the genotype fileset {genotypes.name}", faults)
    return fileset


def inspect(genotypes: Path) -> tuple[PlinkFileset | None, list[Fault]]:
    """The fileset, or None and all its faults."""
    bim, fam = genotypes.with_suffix(".bim"), genotypes.with_suffix(".fam")
    if genotypes.suffix != ".bed":
        return None, [Fault("NOT_BED", "bed", f"{genotypes.name} does not end in .bed")]
    stamps = tuple((path, _stamp(path)) for path in (genotypes, bim, fam))
    variants, faults = read_variants(bim, "bim")
    people, more = read_people(fam)
    faults += [*more, *_place_faults(variants)]
    faults += _bed_faults(
        genotypes, None if variants is None else len(variants), None if people is None else len(people)
    )
    if faults or variants is None or people is None:
        return None, faults
    shape = (len(variants), -(-len(people) // 4))
    packed = np.asarray(np.memmap(genotypes, np.uint8, "r", HEADER_BYTES, shape))
    warnings = (*_variant_warnings(variants), *_padding_warnings(packed, len(people)))
    return PlinkFileset(genotypes, people, variants, packed, stamps, warnings), []


def _stamp(path: Path) -> Stamp:
    try:
        found = path.stat()
    except OSError:
        return (-1, -1, -1)
    return (found.st_size, found.st_mtime_ns, found.st_ino)


def _bed_faults(bed: Path, variants: int | None, people: int | None) -> list[Fault]:
    try:
        with bed.open("rb") as file:
            start = file.read(HEADER_BYTES)
            size = os.fstat(file.fileno()).st_size
    except OSError as error:
        return [Fault("UNREADABLE", "bed", f"{bed}: {error.strerror or error}")]
    if not size:
        return [Fault("EMPTY", "bed", "the file is empty")]
    faults = []
    if start[:2] != MAGIC:
        faults.append(Fault("BAD_MAGIC", "bed", f"the file begins with {start[:2].hex()}, not with 6c1b: no .bed file"))
    elif start[2:] != bytes([VARIANT_MAJOR]):
        faults.append(Fault("NOT_VARIANT_MAJOR", "bed", "the file is sample-major; plink --make-bed turns it"))
    if variants is not None and people is not None:
        faults += _size_faults(size, variants, people)
    return faults


def _size_faults(size: int, variants: int, people: int) -> list[Fault]:
    expected = HEADER_BYTES + variants * -(-people // 4)
    if size == expected:
        return []
    message = f"the file has {size} bytes where {variants} variants of {people} people take {expected}"
    return [Fault("TRUNCATED" if size < expected else "TOO_LONG", "bed", message)]


def read_people(fam: Path) -> tuple[People | None, list[Fault]]:
    """The people of a .fam file, or None and its faults."""
    text, faults = read_delimited(fam, "fam", header=False, widths=(6, 5))
    if not text.columns:
        return None, faults
    families, individuals, sex = (pa.chunked_array(text.columns[i].chunks, pa.string()) for i in (0, 1, 4))
    faults += _identity_faults(families, individuals, text)
    if faults:
        return None, faults
    codes = np.select([np.asarray(pc.equal(sex, "1")), np.asarray(pc.equal(sex, "2"))], [1, 2], 0).astype(np.int8)
    return People(_text(families), _text(individuals), codes), []


def _identity_faults(families: pa.ChunkedArray, individuals: pa.ChunkedArray, text: Delimited) -> list[Fault]:
    faults = []
    blank = np.flatnonzero(np.asarray(pc.or_(pc.equal(individuals, "0"), pc.equal(individuals, ""))))
    if len(blank):
        message = f"{at_lines(text.lines(blank))}: the individual identifier is 0 or empty"
        faults.append(Fault("NO_IDENTIFIER", "fam", message, len(blank)))
    later = repeats(pc.binary_join_element_wise(families, individuals, "\t"))
    if len(later):
        message = f"{at_lines(text.lines(later))}: family and individual identifier were there before"
        faults.append(Fault("DUPLICATE_PEOPLE", "fam", message, len(later)))
    return faults


def repeats(keys: pa.ChunkedArray) -> Indices:
    """Rows whose key stands in an earlier row."""
    codes = keys.combine_chunks().dictionary_encode()
    codes = np.asarray((codes if isinstance(codes, pa.Array) else codes.combine_chunks()).indices)
    first = np.unique(codes, return_index=True)[1]
    return np.setdiff1d(np.arange(len(codes)), first)


def _text(column: pa.ChunkedArray) -> npt.NDArray[np.str_]:
    return np.array(column.to_pylist(), np.str_)


def _place_faults(variants: Panel | None) -> list[Fault]:
    if variants is None or not _without_place(variants).all():
        return []
    message = "no variant has a known chromosome and position, so none can match a variant of a panel"
    return [Fault("NO_PLACED_VARIANT", "bim", message, len(variants))]


def _without_place(variants: Panel) -> Bools:
    return np.asarray((variants.chromosome == UNPLACED) | (variants.position <= 0))


def _variant_warnings(variants: Panel) -> list[str]:
    warnings = []
    again = repeated(variants.ids)
    if again:
        warnings.append(f"bim: {again} variants have an identifier that was there before")
    unplaced = int(_without_place(variants).sum())
    if unplaced:
        warnings.append(f"bim: {unplaced} variants have no known chromosome or position and match nothing")
    return warnings


def _padding_warnings(packed: npt.NDArray[np.uint8], people: int) -> list[str]:
    if people % 4 == 0:
        return []
    rows = np.unique(np.linspace(0, len(packed) - 1, min(len(packed), PADDING_ROWS)).astype(np.int64))
    used = (1 << 2 * (people % 4)) - 1
    dirty = int((packed[rows, -1] & ~np.uint8(used) != 0).sum())
    return [f"bed: the unused bits at the end of {dirty} variants are not zero"] if dirty else []
