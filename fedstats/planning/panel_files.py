"""Panels from files: a PLINK .bim, or a table with a header; large ones are read part by part."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.errors import DataError
from fedstats.planning.delimited import Delimited, Fault, at_lines, line_blocks, parse_delimited, read_delimited
from fedstats.planning.long_panels import joined_panels
from fedstats.planning.panel import UNPLACED, Panel
from fedstats.scratch import indices_where, slices

#: Text that is read at once.
_PART_BYTES = 1 << 21

#: Columns of a .bim file with and without centimorgans.
_BIM = {6: (0, 1, 3, 4, 5), 5: (0, 1, 2, 3, 4)}


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
    placed = indices_where((variants.chromosome != UNPLACED) & (variants.position > 0))
    if not len(placed):
        raise DataError(f"the variant panel {path.name}", ["no variant has a known chromosome and position"])
    if len(placed) == len(variants):
        return variants
    kept = joined_panels(variants.take(placed[part]) for part in slices(len(placed)))
    return replace(kept, left_out=len(variants) - len(placed))


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
