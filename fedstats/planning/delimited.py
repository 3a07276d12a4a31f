"""Delimited text as columns of text, fast, with every faulty line found and numbered.

Tab-separated files keep empty cells; other files are split at runs of spaces.
Nothing is guessed about types here: a cell stays the text that was written.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from fedstats.arrays import Indices

#: Line numbers that a message lists before it says how many more there are.
LISTED_LINES = 8

#: Longest line that is read, in bytes: a table of some hundred thousand columns.
LONGEST_LINE_BYTES = 1 << 25


@dataclass(frozen=True)
class Fault:
    """Something wrong with a file.

    Attributes
    ----------
    code
        What kind of fault, for programs: "BAD_POSITION".
    role
        Which file, by its role: "bed", "bim", "fam", "phenotypes", "covariates", "panel".
    message
        What is wrong and on which lines; for whoever owns the file, never sent to anybody else.
    count
        How often it was found.
    """

    code: str
    role: str
    message: str
    count: int = 1

    @property
    def public(self) -> str:
        """The fault without anything from the file: role, code and count."""
        return f"{self.role}: {self.code} ({self.count})"

    def __str__(self) -> str:
        return f"{self.role}: {self.message}"


@dataclass(frozen=True, eq=False)
class Delimited:
    """Columns of a text file.

    Attributes
    ----------
    names
        Header, or "f0", "f1", ... where the file has none.
    columns
        Cells of each column as text, all of equal length.
    first_line
        Number of the line of the first row, from 1.
    skipped
        Increasing numbers of the lines, after the header, that are no rows: blank or of the wrong length.
    """

    names: tuple[str, ...]
    columns: tuple[pa.ChunkedArray, ...]
    first_line: int
    skipped: Indices

    def __len__(self) -> int:
        return len(self.columns[0]) if self.columns else 0

    def column(self, name: str) -> pa.ChunkedArray:
        """Cells of the column of this name."""
        return self.columns[self.names.index(name)]

    def lines(self, rows: Indices) -> Indices:
        """Numbers of the lines that these rows stand on."""
        numbers = np.arange(self.first_line, self.first_line + len(self) + len(self.skipped))
        return np.asarray(np.delete(numbers, self.skipped - self.first_line)[rows], np.int64)


def at_lines(lines: Sequence[int] | Indices) -> str:
    """Words for line numbers: "line 4", "lines 4, 9 and 12 more"."""
    listed = ", ".join(str(int(line)) for line in lines[:LISTED_LINES])
    more = len(lines) - LISTED_LINES
    return f"line{'s' * (len(lines) > 1)} {listed}" + (f" and {more} more" if more > 0 else "")


def read_delimited(path: Path, role: str, *, header: bool, widths: Sequence[int] = ()) -> tuple[Delimited, list[Fault]]:
    """Columns of a text file, and the faults of its form; rows with faults are left out.

    Parameters
    ----------
    path
        The file; UTF-8, with or without byte order mark, any line ends.
    role
        What faults call the file.
    header
        Whether its first line has the names of the columns; lines that begin with ## before it are passed over.
    widths
        Permitted numbers of columns; any where empty.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        nothing = Delimited((), (), 1, np.zeros(0, np.int64))
        return nothing, [Fault("UNREADABLE", role, f"{path}: {error.strerror or error}")]
    return parse_delimited(data, role, header=header, widths=widths)


def parse_delimited(
    data: bytes, role: str, *, header: bool, widths: Sequence[int] = ()
) -> tuple[Delimited, list[Fault]]:
    """The same of the bytes of a file."""
    nothing = Delimited((), (), 1, np.zeros(0, np.int64))
    problem = _form(data, role)
    if problem is not None:
        return nothing, [problem]
    start, line = _body(data, comments=header)
    data, separator = _separated(data[start:] if start else data, header=header)
    names, data, first = _header(data, separator, line, header=header)
    if widths and len(names) not in widths:
        wanted = " or ".join(map(str, widths))
        return nothing, [Fault("COLUMNS", role, f"line {line} has {len(names)} columns where {wanted} are expected")]
    return _parse(data, separator, names, first, role)


def line_blocks(path: Path, size: int, *, header: bool) -> Iterator[bytes]:
    """The text of a file in blocks of whole lines, `size` bytes or a line more, each after the header if there is one.

    Raises
    ------
    OSError
        The file cannot be read.
    """
    with path.open("rb") as file:
        head = b""
        while header:
            line = file.readline()
            head, header = head + line, line.startswith(b"##")
        while block := file.read(size):
            yield head + block + file.readline()


def _form(data: bytes, role: str) -> Fault | None:
    if not data or data.isspace():
        return Fault("EMPTY", role, "the file is empty")
    if data.startswith(b"\x1f\x8b"):
        return Fault("COMPRESSED", role, "the file is compressed with gzip; unpack it first")
    if b"\0" in data[:65536]:
        return Fault("NOT_TEXT", role, "the file is not text")
    return None


def _body(data: bytes, *, comments: bool) -> tuple[int, int]:
    """Where the first line begins that is not blank, nor a comment where there may be any, and its number."""
    start, line = (3 if data.startswith(b"\xef\xbb\xbf") else 0), 1
    while (end := data.find(b"\n", start)) >= 0:
        if data[start:end].strip() and not (comments and data.startswith(b"##", start)):
            break
        start, line = end + 1, line + 1
    return start, line


def _separated(text: bytes, *, header: bool) -> tuple[bytes, bytes]:
    """The text with one separator between cells, and that separator."""
    # Files without a header come from PLINK, to which a tab is a space; in tables a tab ends a cell that may be empty.
    if b"\t" in _first_line(text) and (header or b" " not in text):
        return text, b"\t"
    untidy = b"\t" in text or b"  " in text or b" \n" in text or b"\n " in text or b" \r" in text or text[:1] == b" "
    if untidy:
        text = re.sub(rb"(?m)^[ \t]+|[ \t]+(?=\r?$)", b"", text)
        text = re.sub(rb"[ \t]+", b" ", text)
    return text, b" "


def _header(data: bytes, separator: bytes, line: int, *, header: bool) -> tuple[tuple[str, ...], bytes, int]:
    first = _first_line(data)
    cells = first.rstrip(b"\r").split(separator)
    if not header:
        return tuple(f"f{i}" for i in range(len(cells))), data, line
    return tuple(cell.decode("utf-8", "replace").strip() for cell in cells), data[len(first) + 1 :], line + 1


def _first_line(text: bytes) -> bytes:
    """The first line without its end; the text, which may be large, is not copied for it."""
    end = text.find(b"\n")
    return text if end < 0 else text[:end]


def _parse(
    data: bytes, separator: bytes, names: tuple[str, ...], first: int, role: str
) -> tuple[Delimited, list[Fault]]:
    keys = [f"f{i}" for i in range(len(names))]  # header names may repeat, which is for the caller to judge
    ragged: list[tuple[int, int]] = []

    def keep_for_the_list(row: csv.InvalidRow) -> str:
        # A line of spaces alone is a short row to the parser and blank to people: it counts no cells.
        ragged.append((row.number + first - 1, row.actual_columns if row.text.strip() else 0))
        return "skip"

    try:
        table = csv.read_csv(
            pa.BufferReader(b"\n" if not data or data.isspace() else data),
            # One thread, for only then are rows numbered.
            read_options=csv.ReadOptions(use_threads=False, column_names=keys, block_size=LONGEST_LINE_BYTES),
            parse_options=csv.ParseOptions(
                delimiter=separator.decode(),
                quote_char=False,
                ignore_empty_lines=False,
                invalid_row_handler=keep_for_the_list,
            ),
            convert_options=csv.ConvertOptions(
                column_types={key: pa.string() for key in keys}, strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid:
        return Delimited((), (), first, np.zeros(0, np.int64)), [Fault("NOT_TEXT", role, "the file is not UTF-8 text")]
    return _without_blank_rows(table, names, first, ragged, role)


def _without_blank_rows(
    table: pa.Table, names: tuple[str, ...], first: int, ragged: list[tuple[int, int]], role: str
) -> tuple[Delimited, list[Fault]]:
    passed_over = np.array([line for line, _ in ragged], np.int64)
    whole = Delimited(names, tuple(table.columns), first, passed_over)
    blank = np.flatnonzero(_blank(table))
    skipped = np.union1d(passed_over, whole.lines(blank)) if len(blank) else passed_over
    if len(blank):
        keep = np.ones(table.num_rows, np.bool_)
        keep[blank] = False
        table = table.filter(pa.array(keep))
    return Delimited(names, tuple(table.columns), first, skipped), _ragged(ragged, len(names), role)


def _ragged(rows: list[tuple[int, int]], expected: int, role: str) -> list[Fault]:
    """The fault of lines with another number of cells, of which those with none are blank and no fault."""
    lines = [line for line, count in rows if count]
    if not lines:
        return []
    counts = ", ".join(map(str, sorted({count for _, count in rows if count})[:4]))
    return [Fault("RAGGED", role, f"{at_lines(lines)}: {counts} cells where {expected} are expected", len(lines))]


def _blank(table: pa.Table) -> np.ndarray:
    blank = np.ones(table.num_rows, np.bool_)
    for column in table.columns:
        blank &= np.asarray(pc.equal(column, ""))
        if not blank.any():
            break
    return blank
