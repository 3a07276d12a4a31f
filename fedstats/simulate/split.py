"""Pooled data split into one folder a site, each with a fileset and tables of its own."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from fedstats.arrays import Indices
from fedstats.errors import DataError, UsageError
from fedstats.planning.delimited import Delimited, read_delimited
from fedstats.simulate.plink_files import HEADER, beside, without_padding

#: Bytes of the pooled .bed that are worked on at a time.
CHUNK_BYTES = 2 << 20

#: Four codes of a byte, as four bytes of a little-endian word.
_QUADS = np.zeros(256, "<u4")
for _shift in (0, 2, 4, 6):
    _QUADS |= ((np.arange(256, dtype=np.uint32) >> _shift) & 3) << (4 * _shift)

#: A byte with A1 and A2 exchanged in each of its calls: 00 and 11 change places, 01 and 10 stay.
_EXCHANGED = np.array(
    [sum((c if c in (1, 2) else 3 - c) << s for s in (0, 2, 4, 6) for c in [byte >> s & 3]) for byte in range(256)],
    np.uint8,
)


@dataclass(frozen=True)
class SiteFolder:
    """One site's folder: genotypes.bed/.bim/.fam, phenotypes.tsv, covariates.tsv, and how many people it has."""

    name: str
    folder: Path
    people: int


@dataclass(frozen=True)
class Split:
    """The folders of all sites, in order of their names, and people who are in none, having no site."""

    sites: tuple[SiteFolder, ...]
    left_out: int


def split_by_site(
    bfile: Path, phenotypes: Path, covariates: Path, site_column: str, out: Path, *, swap: Sequence[str] = ()
) -> Split:
    """Write OUT/<site>/ for every site that a column of the tables names.

    Parameters
    ----------
    bfile
        Prefix of the pooled fileset.
    phenotypes, covariates
        Tables with the header habits of `docs`: FID and IID, or IID.
    site_column
        In either table; people without a value are left out and counted.
    out
        Folder that the sites' folders are made in.
    swap
        Sites whose files get A1 and A2 exchanged, in .bim and .bed alike.

    Raises
    ------
    UsageError
        Where the column is not there, or a site cannot name a folder.
    DataError
        Where a file cannot be read or the .bed does not fit.
    """
    fam = _read(beside(bfile, "fam"), "fam", header=False)
    tables = {"phenotypes": _read(phenotypes, "phenotypes"), "covariates": _read(covariates, "covariates")}
    bim = beside(bfile, "bim").read_bytes()
    sites = _sites(fam, tables, site_column)
    names = [name for name in sorted(set(sites.tolist())) if name]
    _check_names(names, swap, site_column)
    rows = {name: np.flatnonzero(sites == name) for name in names}
    for name in names:
        (out / name).mkdir(parents=True, exist_ok=True)
        _write_fam(out / name, fam, rows[name])
        (out / name / "genotypes.bim").write_bytes(_exchange_alleles(bim) if name in swap else bim)
        for role, table in tables.items():
            _write_rows(out / name / f"{role}.tsv", table, fam, rows[name])
    _split_bed(beside(bfile, "bed"), len(sites), {out / name: (rows[name], name in swap) for name in names})
    return Split(tuple(SiteFolder(name, out / name, len(rows[name])) for name in names), int((sites == "").sum()))


def _read(path: Path, role: str, *, header: bool = True) -> Delimited:
    table, faults = read_delimited(path, role, header=header)
    if faults:
        raise DataError(f"the file {path.name}", [str(fault) for fault in faults])
    return table


def _keys(table: Delimited, *, families: bool) -> list[tuple[str, str]]:
    """What people of a table are joined by: FID and IID, or an empty family and IID."""
    names = [name.removeprefix("#") for name in table.names]
    if table.names[0] == "f0":  # a .fam file
        names[:2] = ["FID", "IID"]
    if "IID" not in names:
        raise UsageError("a table has no column IID", code="NO_IID")
    individuals = table.columns[names.index("IID")].to_pylist()
    family = table.columns[names.index("FID")].to_pylist() if families else [""] * len(individuals)
    return list(zip(family, individuals, strict=True))


def _with_families(table: Delimited) -> bool:
    return "FID" in [name.removeprefix("#") for name in table.names]


def _sites(fam: Delimited, tables: dict[str, Delimited], column: str) -> npt.NDArray[np.str_]:
    """Site of each person of the fileset, "" where it is not known."""
    holder = next((table for table in tables.values() if column in table.names), None)
    if holder is None:
        raise UsageError(f"neither table has the site column {column!r}", code="NO_SITE_COLUMN")
    families = _with_families(holder)
    of = dict(zip(_keys(holder, families=families), holder.column(column).to_pylist(), strict=True))
    found = [of.get(key, "") for key in _keys(fam, families=families)]
    return np.array(["" if site.lower() in ("na", "nan", ".") else site for site in found], np.str_)


def _check_names(names: list[str], swap: Sequence[str], column: str) -> None:
    if not names:
        raise UsageError(f"the site column {column!r} names no site of anybody in the fileset", code="NO_SITES")
    bad = [name for name in names if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", name)]
    if bad:
        raise UsageError(
            f"the site column {column!r} has {bad[0]!r}, which cannot name a site",
            code="BAD_SITE_NAME",
            hint="Use letters, digits, '_' and '-', at most 32 of them.",
        )
    unknown = sorted(set(swap) - set(names))
    if unknown:
        raise UsageError(f"no site is called {unknown[0]!r}; there are {', '.join(names)}", code="UNKNOWN_SITE")


def _write_fam(folder: Path, fam: Delimited, rows: Indices) -> None:
    columns = [column.take(pa.array(rows)).to_pylist() for column in fam.columns]
    lines = ("\t".join(cells) + "\n" for cells in zip(*columns, strict=True))
    (folder / "genotypes.fam").write_text("".join(lines), encoding="utf-8")


def _write_rows(path: Path, table: Delimited, fam: Delimited, rows: Indices) -> None:
    """The rows of a table that are of these people, as they were written, with tabs."""
    families = _with_families(table)
    everybody = _keys(fam, families=families)
    here = {everybody[row] for row in rows.tolist()}
    keep = np.array([key in here for key in _keys(table, families=families)], np.bool_)
    frame = pl.DataFrame(
        {name: pl.Series(pl.from_arrow(c)) for name, c in zip(table.names, table.columns, strict=True)}
    )
    frame.filter(keep).write_csv(path, separator="\t", quote_style="never")


def _exchange_alleles(bim: bytes) -> bytes:
    """A .bim file with its last two columns exchanged."""
    return re.sub(rb"(?m)(\S+)([ \t]+)(\S+)[ \t]*(\r?)$", rb"\3\2\1\4", bim)


def _split_bed(bed: Path, people: int, folders: dict[Path, tuple[Indices, bool]]) -> None:
    """Write each folder's genotypes.bed, reading the pooled file once."""
    row_bytes = -(-people // 4)
    size = bed.stat().st_size - len(HEADER)
    with bed.open("rb") as pooled:
        if pooled.read(len(HEADER)) != HEADER or size % row_bytes:
            raise DataError(f"the file {bed.name}", [f"it is no variant-major .bed file of {people} people"])
    packed = np.memmap(bed, np.uint8, "r", len(HEADER), (size // row_bytes, row_bytes))
    step = max(1, CHUNK_BYTES // row_bytes)
    for folder in folders:
        (folder / "genotypes.bed").write_bytes(HEADER)
    for first in range(0, len(packed), step):
        codes = _QUADS[packed[first : first + step]].view(np.uint8)
        for folder, (rows, exchanged) in folders.items():
            with (folder / "genotypes.bed").open("ab") as out:
                out.write(_repacked(codes, rows, exchanged=exchanged).tobytes())


def _repacked(codes: npt.NDArray[np.uint8], rows: Indices, *, exchanged: bool) -> npt.NDArray[np.uint8]:
    """Packed calls of some people, from codes of shape (variant, person)."""
    chosen = np.take(codes, np.pad(rows, (0, -len(rows) % 4)), axis=1)  # the last calls are cleared below
    words = chosen.view("<u4")
    packed = (words | words >> 6 | words >> 12 | words >> 18).astype(np.uint8)
    return without_padding(_EXCHANGED[packed] if exchanged else packed, len(rows))
