"""Phenotype and covariate tables: columns aligned with the people of the genotype file.

A header names the columns: FID and IID (either with #), or IID alone, and then one column a measurement.
Tables join on FID and IID where both sides have family identifiers, else on IID, which must then be unique.
Missing is NA, NaN, a dot or an empty cell; whether -9 is missing is decided for the whole federation, not here.
"""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.arrays import Bools, Indices
from fedstats.dataset import Column
from fedstats.planning.delimited import Delimited, Fault, at_lines, read_delimited
from node_agent.datasets.plink import People, repeats

MISSING = ("", ".", "na", "nan")
NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"

#: Columns that identify people and parents; they are no measurements.
IDENTIFIERS = ("FID", "IID", "SID", "PAT", "MAT")

#: A column of text of which at least this share is numbers is pointed out: a slip rather than a category.
MOSTLY_NUMBERS = 0.5


@dataclass(frozen=True, eq=False)
class Table:
    """A table of measurements, aligned with the people of a fileset.

    Attributes
    ----------
    columns
        By name, in the order of the header.
    matched
        People of the fileset that the table has.
    strangers
        Rows of people that the fileset does not have.
    warnings
        What the custodian should know, in words.
    """

    columns: dict[str, Column]
    matched: int
    strangers: int
    warnings: tuple[str, ...]


def read_table(path: Path, role: str, people: People) -> tuple[Table | None, list[Fault]]:
    """The table of a file, or None and every fault of it.

    Parameters
    ----------
    path
        The file, tab-separated or split at spaces.
    role
        "phenotypes" or "covariates", for messages.
    people
        Of the genotype file.
    """
    text, faults = read_delimited(path, role, header=True)
    if not text.names:
        return None, faults
    names = [_plain(name) for name in text.names]
    faults += _header_faults(names, role)
    if not len(text) and not faults:
        faults.append(Fault("EMPTY", role, "the table has a header and no rows"))
    if faults:
        return None, faults
    rows, faults = _rows_of_people(text, names, role, people)
    if faults:
        return None, faults
    return _aligned(text, names, rows, role), []


def _plain(name: str) -> str:
    bare = name.removeprefix("#")
    return bare.upper() if bare.upper() in IDENTIFIERS else name


def _header_faults(names: list[str], role: str) -> list[Fault]:
    faults = []
    if "IID" not in names:
        hint = "; commas do not separate columns here" if any("," in name for name in names) else ""
        faults.append(Fault("NO_IID", role, f"the header has no column IID{hint}"))
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        faults.append(Fault("DUPLICATE_COLUMNS", role, f"the header has twice: {', '.join(twice[:8])}", len(twice)))
    if "" in names:
        faults.append(Fault("UNNAMED_COLUMN", role, "a column has no name"))
    if not faults and all(name in IDENTIFIERS for name in names):
        faults.append(Fault("NO_COLUMNS", role, "the table has no column beside the identifiers"))
    return faults


def _rows_of_people(
    text: Delimited, names: list[str], role: str, people: People
) -> tuple[npt.NDArray[np.int64], list[Fault]]:
    """For each person of the fileset the row of the table, -1 where there is none, shape (person,)."""
    families = text.columns[names.index("FID")] if "FID" in names else None
    individuals = text.columns[names.index("IID")]
    with_families = families is not None and _has_families(families) and _has_families(people.family_ids)
    keys, persons = individuals, pa.chunked_array([pa.array(people.individual_ids)])
    if with_families:
        keys = pc.binary_join_element_wise(families, individuals, "\t")
        persons = pc.binary_join_element_wise(pa.array(people.family_ids), pa.array(people.individual_ids), "\t")
        persons = pa.chunked_array([persons])
    faults = _key_faults(keys, persons, text, role, "FID and IID" if with_families else "IID")
    found = pc.fill_null(pc.index_in(persons, value_set=keys.combine_chunks()), -1)
    rows = np.asarray(found).astype(np.int64)
    if not faults and (rows < 0).all():
        message = f"none of its {len(text)} people is in the genotype file; see whether FID and IID are alike there"
        faults.append(Fault("NOBODY_MATCHES", role, message))
    return rows, faults


def _has_families(families: pa.ChunkedArray | npt.NDArray[np.str_]) -> bool:
    """Whether family identifiers are there: PLINK writes 0 for none."""
    return not all(
        family in ("0", "")
        for family in pc.unique(pa.array(families) if isinstance(families, np.ndarray) else families).to_pylist()
    )


def _key_faults(keys: pa.ChunkedArray, persons: pa.ChunkedArray, text: Delimited, role: str, what: str) -> list[Fault]:
    faults = []
    later = repeats(keys)
    if len(later):
        message = f"{at_lines(text.lines(later))}: {what} were there before"
        faults.append(Fault("DUPLICATE_PEOPLE", role, message, len(later)))
    shared = repeats(persons)
    if len(shared):
        message = f"the genotype file has {len(shared)} people whose {what} is not unique; give the table a column FID"
        faults.append(Fault("AMBIGUOUS_PEOPLE", role, message, len(shared)))
    return faults


def _aligned(text: Delimited, names: list[str], rows: Indices, role: str) -> Table:
    columns: dict[str, Column] = {}
    warnings: list[str] = []
    for name, cells in zip(names, text.columns, strict=True):
        if name in IDENTIFIERS:
            continue
        columns[name], slips = _column(name, cells, rows)
        if len(slips):
            where = at_lines(text.lines(slips))
            warnings.append(f"{role}: column {name!r} is read as text, for it holds no number on {where}")
    matched = int((rows >= 0).sum())
    strangers = len(text) - matched
    if strangers:
        warnings.append(f"{role}: {strangers} people are not in the genotype file")
    if matched < len(rows):
        warnings.append(f"{role}: {len(rows) - matched} people of the genotype file are not in the table")
    return Table(columns, matched, strangers, tuple(warnings))


def _column(name: str, cells: pa.ChunkedArray, rows: Indices) -> tuple[Column, Indices]:
    """A column aligned with people, and the rows that keep a mostly numeric one from being numbers."""
    cells = pc.utf8_trim_whitespace(cells)
    missing = np.asarray(pc.is_in(pc.ascii_lower(cells), value_set=pa.array(MISSING)))
    numeric = np.asarray(pc.match_substring_regex(cells, NUMBER))
    values = _numbers(cells, numeric)
    numeric &= np.isfinite(values) | ~numeric
    strange = ~missing & ~numeric
    written = np.where(missing, "", np.array(cells.to_pylist(), np.str_))
    text = np.where(rows >= 0, written[rows], "")
    if not strange.any():
        return Column(name, np.where(rows >= 0, values[rows], np.nan), text), np.zeros(0, np.int64)
    slips = strange if numeric.sum() >= MOSTLY_NUMBERS * (~missing).sum() else np.zeros(0, np.bool_)
    return Column(name, None, text), np.flatnonzero(slips)


def _numbers(cells: pa.ChunkedArray, numeric: Bools) -> npt.NDArray[np.float64]:
    """Cells as numbers, NaN where they are none."""
    plain = pc.if_else(pa.chunked_array([pa.array(numeric)]), pc.ascii_ltrim(cells, "+"), "nan")
    return np.array(pc.cast(plain, pa.float64()), np.float64)
