"""The variant panel: which variants a federation speaks of, in which order, with which alleles.

Columns are kept as arrays (about 40 bytes a variant beside the identifiers), so that 20 million variants fit a laptop.
Effect allele is ALT: column 5 (A1) of a .bim file.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.arrays import Bools, Indices
from fedstats.errors import DataError, UsageError
from fedstats.planning.delimited import Delimited, Fault, at_lines, line_blocks, parse_delimited, read_delimited
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

#: Text that is read at once.
_PART_BYTES = 1 << 21

#: Columns of a .bim file with and without centimorgans.
_BIM = {6: (0, 1, 3, 4, 5), 5: (0, 1, 2, 3, 4)}


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

    def take(self, variants: Indices, *, left_out: int = 0) -> "Panel":
        """The panel of some variants, in the order given."""
        return Panel(
            self.chromosome[variants],
            self.position[variants],
            self.ids.take(pa.array(variants)),
            self.ref[variants],
            self.alt[variants],
            self.alleles,
            left_out,
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


def joined_panels(parts: Iterable[Panel]) -> Panel:
    """Panels one behind the other as one; of the parts no more is held beside it than a column."""
    codes: dict[str, int] = {}
    names = ("chromosome", "position", "ref", "alt")
    pieces: dict[str, list[Any]] = {name: [] for name in (*names, "ids")}
    left_out = 0
    for part in parts:
        of_part = np.array([codes.setdefault(allele, len(codes)) for allele in part.alleles], np.int32)
        for name in ("chromosome", "position", "ids"):
            pieces[name].append(getattr(part, name))
        for name in ("ref", "alt"):
            pieces[name].append(of_part[getattr(part, name)])
        left_out += part.left_out
    ids = pa.concat_arrays(pieces.pop("ids"))
    columns = {name: np.concatenate(pieces.pop(name)) for name in names}
    return Panel(**columns, ids=ids, alleles=tuple(codes), left_out=left_out)


def read_panel(path: Path) -> Panel:
    """The panel that a file holds: a PLINK .bim, or a table whose header has CHROM POS ID REF ALT.

    Variants without a known chromosome or position cannot be matched; they are left out and counted.

    Raises
    ------
    DataError
        With every fault of the file.
    """
    variants, faults = read_variants(path, "panel")
    if variants is None:
        raise DataError(f"the variant panel {path.name}", [str(fault) for fault in faults], code="BAD_PANEL")
    placed = np.flatnonzero((variants.chromosome != UNPLACED) & (variants.position > 0))
    if not len(placed):
        raise DataError(f"the variant panel {path.name}", ["no variant has a known chromosome and position"])
    unplaced = len(variants) - len(placed)
    return variants.take(placed, left_out=unplaced) if unplaced else variants


def read_variants(path: Path, role: str) -> tuple[Panel | None, list[Fault]]:
    """All variants of a .bim file or table, row by row, or None and the faults that were found."""
    header = _has_header(path)
    try:
        if path.stat().st_size > _PART_BYTES:
            return joined_panels(_parts(path, role, header=header)), []
    except (_NotByPartsError, OSError):
        pass  # what is wrong is said of the whole file
    return _variants_of(*read_delimited(path, role, header=header, widths=_widths(header=header)), role, header=header)


class _NotByPartsError(Exception):
    """A part of a file cannot be read by itself."""


def _parts(path: Path, role: str, *, header: bool) -> Iterator[Panel]:
    """The variants of a large file, part after part: text takes several times what is kept of it."""
    names: tuple[str, ...] = ()
    for block in line_blocks(path, _PART_BYTES, header=header):
        text, faults = parse_delimited(block, role, header=header, widths=_widths(header=header))
        names = names or text.names
        variants, faults = _variants_of(text, faults, role, header=header)
        if variants is None or text.names != names:
            raise _NotByPartsError
        yield variants
    if not names:
        raise _NotByPartsError


def _widths(*, header: bool) -> tuple[int, ...]:
    return () if header else tuple(_BIM)


def _variants_of(text: Delimited, faults: list[Fault], role: str, *, header: bool) -> tuple[Panel | None, list[Fault]]:
    """The variants of columns of text, unless faults were found in these or were before."""
    if not text.columns:
        return None, faults
    found = _table_columns(text) if header else [text.columns[i] for i in _BIM[len(text.names)]]
    if found is None:
        message = "the header lacks one of CHROM POS ID REF ALT, or has one twice"
        return None, [*faults, Fault("HEADER", role, message)]
    chromosome, ids, position, alt, ref = found
    base_pairs, more = _positions(position, text, role)
    faults = [*faults, *more, *_empty_cells({"ID": ids, "REF": ref, "ALT": alt}, text, role)]
    if faults or base_pairs is None:
        return None, faults
    return Panel.of_columns(chromosome, base_pairs, ids, ref, alt), []


def _has_header(path: Path) -> bool:
    """Whether the first line that is no comment names columns."""
    try:
        with path.open("rb") as lines:
            first = next((line for line in lines if not line.startswith(b"##")), b"")
    except OSError:
        return False
    return first.removeprefix(b"\xef\xbb\xbf").lstrip(b"#").split()[:1] in ([b"CHROM"], [b"CHR"])


def _table_columns(text: Delimited) -> list[pa.ChunkedArray] | None:
    names = [{"CHR": "CHROM", "BP": "POS"}.get(name.lstrip("#"), name.lstrip("#")) for name in text.names]
    wanted = ("CHROM", "ID", "POS", "ALT", "REF")
    if any(names.count(name) != 1 for name in wanted):
        return None
    return [text.columns[names.index(name)] for name in wanted]


def _positions(column: pa.ChunkedArray, text: Delimited, role: str) -> tuple[npt.NDArray[np.int64] | None, list[Fault]]:
    # PLINK allows 0 (not placed) and negative positions (to be ignored); the largest it allows is 2^31 - 3.
    good = np.asarray(pc.match_substring_regex(column, r"^-?[0-9]{1,10}$"))
    values = np.asarray(pc.cast(pc.if_else(pa.chunked_array([pa.array(good)]), column, "0"), pa.int64()))
    good = good & (values < 2**31 - 2)
    if good.all():
        return values, []
    lines = text.lines(np.flatnonzero(~good))
    return None, [Fault("BAD_POSITION", role, f"{at_lines(lines)}: the position is not a base pair", len(lines))]


def _empty_cells(columns: dict[str, pa.ChunkedArray], text: Delimited, role: str) -> list[Fault]:
    faults = []
    for name, column in columns.items():
        empty = np.flatnonzero(np.asarray(pc.equal(column, "")))
        if len(empty):
            message = f"{at_lines(text.lines(empty))}: {name} is empty"
            faults.append(Fault("EMPTY_CELL", role, message, len(empty)))
    return faults


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


@dataclass(frozen=True, eq=False)
class Selection:
    """Variants of a panel that an analyst chose.

    Attributes
    ----------
    variants
        Increasing panel indices.
    left_out
        How many variants each option left out, in the order chr, extract, exclude.
    warnings
        What the analyst should know, in words: identifiers that the panel does not have, chromosomes without variants.
    """

    variants: Indices
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def select(
    panel: Panel, chromosomes: str = "", *, extract: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> Selection:
    """The variants on some chromosomes, among those to extract, without those to exclude.

    Parameters
    ----------
    panel
        The panel.
    chromosomes
        Names and ranges with commas between, as "1-22,X"; all where empty.
    extract, exclude
        Identifiers of variants; None for no such list.

    Raises
    ------
    UsageError
        Where a chromosome is not known, or nothing is left.
    """
    kept, left_out, warnings = np.ones(len(panel), np.bool_), {}, []
    if chromosomes:
        codes = parse_chromosomes(chromosomes)
        on, absent = np.isin(panel.chromosome, codes), sorted(set(codes) - set(np.unique(panel.chromosome).tolist()))
        left_out["chr"], kept = int((kept & ~on).sum()), kept & on
        if absent:
            warnings.append(f"--chr: the panel has no variant on {', '.join(CHROMOSOMES[code] for code in absent)}")
    for option, listed in (("extract", extract), ("exclude", exclude)):
        if listed is None:
            continue
        identifiers = set(listed)
        named, unknown = _named(panel, identifiers)
        left = kept & (~named if option == "extract" else named)
        left_out[option], kept = int(left.sum()), kept & ~left
        if not identifiers:
            warnings.append(f"--{option} names no variant and changes nothing")
        if unknown:
            warnings.append(f"--{option}: {unknown} identifiers are not in the panel")
    if not kept.any():
        raise UsageError("no variant is left after --chr, --extract and --exclude", code="NO_VARIANTS")
    return Selection(np.flatnonzero(kept), left_out, tuple(warnings))


def _named(panel: Panel, listed: set[str]) -> tuple[Bools, int]:
    """Which variants are on a list, and how many of the list the panel does not have."""
    named = np.asarray(pc.is_in(panel.ids, value_set=pa.array(sorted(listed), pa.large_string())))
    found = pc.count_distinct(panel.ids.filter(pa.array(named))).as_py()
    return named, len(listed) - int(found)


def parse_chromosomes(text: str) -> list[int]:
    """Codes of the chromosomes that a text as "1-22,X" names, increasing; an unknown name is a UsageError."""
    codes: set[int] = set()
    for item in text.replace(" ", ",").split(","):
        ends = [_known(part, text) for part in item.split("-", 1)] if item else []
        if len(ends) == 2 and ends[0] > ends[1]:
            raise UsageError(f"--chr {text}: the range {item} runs backwards", code="UNKNOWN_CHROMOSOME")
        codes.update(range(ends[0], ends[-1] + 1) if ends else ())
    if not codes:
        raise UsageError("--chr names no chromosome", code="UNKNOWN_CHROMOSOME")
    return sorted(codes)


def _known(name: str, text: str) -> int:
    code = chromosome_code(name)
    if code == UNPLACED:
        raise UsageError(
            f"--chr {text}: chromosome {name.strip()!r} is not known",
            code="UNKNOWN_CHROMOSOME",
            hint="Known are 1-22, X, Y, XY and MT (or 23 to 26), with or without 'chr'.",
        )
    return code
