"""A data set from its files: genotypes, phenotypes and covariates, registered together or refused together."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedstats.dataset import Column, Dataset
from fedstats.identity.signing import framed
from fedstats.planning.delimited import Fault
from fedstats.planning.panel import Panel
from node_agent.datasets.faults import DatasetFaults
from node_agent.datasets.matching import Availability
from node_agent.datasets.plink import People, PlinkFileset, bind, inspect, read_people
from node_agent.datasets.tables import Table, read_table

_SEX_CODES = {"1": 1, "m": 1, "male": 1, "2": 2, "f": 2, "female": 2, "0": 0, "": 0, "-9": 0}


@dataclass(frozen=True)
class DatasetFiles:
    """Where a data set lies; the .bim and .fam files are beside the .bed file."""

    genotypes: Path
    phenotypes: Path | None = None
    covariates: Path | None = None


@dataclass(frozen=True, eq=False)
class RegisteredDataset:
    """A data set that has passed every check, before it is bound to a panel.

    Attributes
    ----------
    fileset
        The genotypes.
    columns
        Of both tables by name, and "sex" (1 male, 2 female) wherever anybody's is known.
    sex
        0 unknown, 1 male, 2 female, shape (person,).
    warnings
        What the custodian should know, in words.
    """

    fileset: PlinkFileset
    columns: dict[str, Column]
    sex: npt.NDArray[np.int8]
    warnings: tuple[str, ...]

    @property
    def people(self) -> int:
        """Number of people in the genotype file."""
        return len(self.fileset.people)

    @property
    def variants(self) -> int:
        """Number of variants in the genotype file."""
        return len(self.fileset.variants)

    @cached_property
    def fingerprint(self) -> str:
        """What tells one state from another: its tables, and size, time and inode of its genotype files."""
        found = hashlib.sha256(repr(self.fileset.stamps).encode())
        found.update(self.sex.tobytes())
        for name, column in sorted(self.columns.items()):
            found.update(framed(name.encode(), "\n".join(column.text.tolist()).encode()))
        return found.hexdigest()

    def bind(self, panel: Panel) -> "LoadedDataset":
        """The data set in the order of a panel."""
        genotypes, people = bind(self.fileset, panel), self.fileset.people
        dataset = Dataset(people.family_ids, people.individual_ids, self.sex, self.columns, genotypes)
        ambiguous = genotypes.availability.ambiguous
        notes = [f"bim: {ambiguous} variants of the panel fit several rows; the first is used"] if ambiguous else []
        return LoadedDataset(dataset, genotypes.availability, (*self.warnings, *notes))


@dataclass(frozen=True, eq=False)
class LoadedDataset:
    """A data set ready for steps, what it has of the panel, and what the custodian should know."""

    dataset: Dataset
    availability: Availability
    warnings: tuple[str, ...]


def load_dataset(files: DatasetFiles, panel: Panel) -> LoadedDataset:
    """Check the files of a data set and bind them to a panel; see `register_dataset`."""
    return register_dataset(files).bind(panel)


def register_dataset(files: DatasetFiles) -> RegisteredDataset:
    """Check every file of a data set and read its tables.

    Raises
    ------
    DatasetFaults
        With every fault of every file; where the .fam file is faulty, tables cannot be judged and are not.
    """
    fileset, faults = inspect(files.genotypes)
    people = read_people(files.genotypes.with_suffix(".fam"))[0] if fileset is None else fileset.people
    if people is None:
        raise DatasetFaults(f"the data set of {files.genotypes.name}", faults)
    tables = _tables(files, people, faults)
    columns = _merged(tables, faults)
    sex, warnings = _sex(columns, people.sex, faults)
    if faults or fileset is None:
        raise DatasetFaults(f"the data set of {files.genotypes.name}", faults)
    if sex.any():
        columns["sex"] = _sex_column(sex)
    notes = [note for table in tables for note in table.warnings]
    return RegisteredDataset(fileset, columns, sex, (*fileset.warnings, *notes, *warnings))


def _tables(files: DatasetFiles, people: People, faults: list[Fault]) -> list[Table]:
    listed = [("phenotypes", files.phenotypes), ("covariates", files.covariates)]
    if files.phenotypes is not None and files.phenotypes == files.covariates:
        listed = listed[:1]
    found = []
    for role, path in listed:
        if path is None:
            continue
        table, more = read_table(path, role, people)
        faults += more
        if table is not None:
            found.append(table)
    return found


def _merged(tables: Sequence[Table], faults: list[Fault]) -> dict[str, Column]:
    """Columns of all tables by name; a name may be in two tables only with the same content."""
    columns: dict[str, Column] = {}
    for table in tables:
        for name, column in table.columns.items():
            if name in columns and not _same(columns[name], column):
                message = f"column {name!r} is in the phenotypes, too, with other content; rename one"
                faults.append(Fault("COLUMNS_DIFFER", "covariates", message))
            columns.setdefault(name, column)
    return columns


def _same(one: Column, other: Column) -> bool:
    if one.numbers is not None and other.numbers is not None:
        return np.array_equal(one.numbers, other.numbers, equal_nan=True)
    return np.array_equal(one.text, other.text)


def _sex(
    columns: dict[str, Column], in_fam: npt.NDArray[np.int8], faults: list[Fault]
) -> tuple[npt.NDArray[np.int8], list[str]]:
    """Sex of everybody, from the tables where they know it, else from the .fam file."""
    named = [name for name in columns if name.casefold() == "sex"]
    if not named:
        return in_fam, []
    if len(named) > 1:
        faults.append(Fault("DUPLICATE_COLUMNS", "covariates", f"several columns say the sex: {', '.join(named)}"))
        return in_fam, []
    stated = _stated_sex(columns[named[0]], faults)
    contradicted = int(((stated > 0) & (in_fam > 0) & (stated != in_fam)).sum())
    if contradicted:
        message = f"column {named[0]!r} contradicts the .fam file for {contradicted} people"
        faults.append(Fault("SEX_CONTRADICTED", "covariates", message, contradicted))
    odd = (stated == 1).any() and not (stated == 2).any() and (columns[named[0]].text == "0").any()
    note = f"covariates: column {named[0]!r} has 0 and 1 but no 2; 0 is read as unknown"
    return np.where(stated > 0, stated, in_fam).astype(np.int8), [note] if odd else []


def _stated_sex(column: Column, faults: list[Fault]) -> npt.NDArray[np.int8]:
    written, of_person = np.unique(column.text, return_inverse=True)
    codes = np.array([_sex_code(text) for text in written.tolist()], np.int8)[of_person]
    bad = int((codes < 0).sum())
    if bad:
        message = f"column {column.name!r} has {bad} values that are none of 1, 2, M, F, male, female, 0"
        faults.append(Fault("BAD_SEX", "covariates", message, bad))
    return codes.astype(np.int8)


def _sex_code(text: str) -> int:
    """1 male, 2 female, 0 unknown, -1 where the text says none of these."""
    try:
        text = f"{float(text):g}"
    except ValueError:
        text = text.casefold()
    return _SEX_CODES.get(text, -1)


def _sex_column(sex: npt.NDArray[np.int8]) -> Column:
    text = np.array(["", "1", "2"])[sex]
    return Column("sex", np.where(sex > 0, sex, np.nan).astype(np.float64), text)
