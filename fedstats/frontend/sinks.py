"""Where rows go: to files as they come, or to memory; all tables of a run appear together, or none does."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from fedstats.analyses.statuses import MISSING, STATUSES, TESTS
from fedstats.errors import Failed, FedstatsError
from fedstats.frontend.stored import StoredAssociations
from fedstats.frontend.tables import VariantTable, arrow_rows, full_rows
from fedstats.results.association_writer import AssociationWriter, RowAssembler
from fedstats.results.associations import Associations, TraitKind
from fedstats.results.columns import Values, schema
from fedstats.results.scratch_table import ScratchTable
from fedstats.results.shared_rows import SharedRows
from fedstats.results.summary import Summary
from fedstats.results.table_writers import deflating_thread
from fedstats.results.tables import SUFFIXES, TableWriter

Result = Associations | VariantTable
Provenance = Mapping[str, Any]  # Any: JSON


class Sink(Protocol):
    """Takes the rows of one table and ends as a result, or as nothing."""

    def append(self, results: Mapping[str, Values]) -> None:
        """Add the rows of a chunk; "variant" holds their panel indices."""
        ...

    def finish(self) -> None:
        """Give the table its final form."""
        ...

    def abandon(self, *, keep_rows: bool) -> None:
        """Leave nothing behind, or what there is under a name that says that it is partial."""
        ...

    def result(self, provenance: Provenance) -> Result:
        """The finished table."""
        ...

    @property
    def paths(self) -> tuple[Path, ...]:
        """Files of the table."""
        ...


class AssociationMemory:
    """Associations of one trait in memory."""

    def __init__(self, trait: str, kind: TraitKind, shared: SharedRows, *, noised: bool = False) -> None:
        self.trait, self.kind = trait, kind
        self._assembler = RowAssembler(kind, shared, noised=noised)
        self._tables: list[pa.Table] = []

    def append(self, results: Mapping[str, Values]) -> None:
        self._tables.append(self._assembler.rows(*_split(results)))

    def finish(self) -> None:
        self._tables = [pa.concat_tables([*self._tables, self._assembler.nothing()]).unify_dictionaries()]

    def abandon(self, *, keep_rows: bool) -> None:  # noqa: ARG002  # nothing to keep in memory
        self._tables.clear()

    def result(self, provenance: Provenance) -> Associations:
        return Associations(trait=self.trait, kind=self.kind, table=self._tables[0], provenance=provenance)

    @property
    def paths(self) -> tuple[Path, ...]:
        return ()


class AssociationFiles:
    """Associations of one trait in OUT.<trait>.tsv.gz and OUT.<trait>.parquet."""

    def __init__(
        self,
        out: Path,
        trait: str,
        kind: TraitKind,
        shared: SharedRows,
        *,
        noised: bool = False,
        deflating: ThreadPoolExecutor | None = None,
    ) -> None:
        self._writer = AssociationWriter(out, trait, kind, shared, noised=noised, deflating=deflating)
        self._summary: Summary | None = None
        self._rows = 0

    def append(self, results: Mapping[str, Values]) -> None:
        rows, variants = _split(results)
        self._writer.append(rows, variants)
        self._rows += len(variants)

    def finish(self) -> None:
        self._summary = self._writer.close()
        for path in self.paths:
            _partial(path).unlink(missing_ok=True)

    def abandon(self, *, keep_rows: bool) -> None:
        if self._summary is not None:  # finished, but another table of the run could not be
            _remove(self.paths)
            return
        try:
            if not (keep_rows and self._rows):
                self._writer.abort()
                return
            self._writer.close()
        except FedstatsError:  # the disk may be full; what made the run end is worth more than this
            return
        for path in self.paths:
            path.replace(_partial(path))

    def result(self, provenance: Provenance) -> Associations:
        if self._summary is None:
            raise Failed("a table was asked for before it was finished", code="NOT_FINISHED")
        writer = self._writer
        return StoredAssociations(writer.parquet_path, writer.trait, writer.kind, self._summary, provenance)

    @property
    def paths(self) -> tuple[Path, ...]:
        return (self._writer.text_path, self._writer.parquet_path)


class TableSink:
    """A table with one row per variant, in OUT.<suffix> where there is an OUT, and at hand."""

    def __init__(self, out: Path | None, suffix: str, panel: Mapping[str, Values]) -> None:
        self._suffix, self._panel = suffix, panel
        self._writer = None if out is None else TableWriter(out, suffix)
        self._finished = False
        self._rows = ScratchTable(schema(SUFFIXES[suffix]))

    def append(self, results: Mapping[str, Values]) -> None:
        rows = full_rows(self._suffix, self._panel, spelt_out(results))
        if self._writer is not None:
            self._writer.append(rows)
        self._rows.append(arrow_rows(self._suffix, rows))

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._finished = True

    def abandon(self, *, keep_rows: bool) -> None:  # noqa: ARG002  # these tables are quick to make again
        if self._finished:
            _remove(self.paths)
        elif self._writer is not None:
            self._writer.abort()

    def result(self, provenance: Provenance) -> VariantTable:
        return VariantTable(self._suffix.removesuffix(".tsv.gz"), self._rows.table(), provenance)

    @property
    def paths(self) -> tuple[Path, ...]:
        return () if self._writer is None else (self._writer.path,)


class Sinks:
    """The tables of a run by name, opened when their first rows come; `noised` ones say how much noise they carry."""

    def __init__(
        self,
        out: Path | None,
        traits: Mapping[str, TraitKind],
        panel: Mapping[str, Values],
        *,
        noised: bool = False,
    ) -> None:
        self._out, self._traits, self._panel, self._noised = out, traits, panel, noised
        self._shared = shared_rows(panel)
        self._deflating = deflating_thread()
        self.open: dict[str, Sink] = {}
        try:
            for name in traits:
                self.open[name] = self._association(name)
        except BaseException:
            self.abandon(keep_rows=False)
            raise

    def append(self, tables: Mapping[str, Mapping[str, Values]]) -> None:
        """Hand each table its rows."""
        for name, rows in tables.items():
            if name not in self.open:
                self.open[name] = self._table(name)
            if len(rows["variant"]):
                self.open[name].append(rows)

    def finish(self) -> None:
        """Finish every table; where one fails, `abandon` takes back those that have their names already."""
        for sink in self.open.values():
            sink.finish()
        self._deflating.shutdown()

    def abandon(self, *, keep_rows: bool) -> None:
        """Abandon every table."""
        for sink in self.open.values():
            sink.abandon(keep_rows=keep_rows)
        self._deflating.shutdown()

    def _association(self, trait: str) -> Sink:
        kind = self._traits[trait]
        if self._out is None:
            return AssociationMemory(trait, kind, self._shared, noised=self._noised)
        shared, deflating = self._shared, self._deflating
        return AssociationFiles(self._out, trait, kind, shared, noised=self._noised, deflating=deflating)

    def _table(self, name: str) -> Sink:
        suffix = f"{name}.tsv.gz"
        if suffix not in SUFFIXES:
            raise Failed(f"an analysis made a table {name!r} that nobody knows", code="UNKNOWN_TABLE")
        return TableSink(self._out, suffix, self._panel)


#: Columns that analyses give as codes, by what the codes stand for.
_SPELT_OUT = {"STATUS": STATUSES, "TEST": TESTS, "MISSING": MISSING}


def spelt_out(results: Mapping[str, Values]) -> dict[str, Values]:
    """The same columns, with codes as text."""
    return {
        name: pa.DictionaryArray.from_arrays(values, list(_SPELT_OUT[name])) if name in _SPELT_OUT else values
        for name, values in results.items()
    }


def shared_rows(panel: Mapping[str, Values]) -> SharedRows:
    """What the traits of a run have in common: rows of its panel, with names behind the codes of analyses."""
    return SharedRows(panel, _SPELT_OUT)


def _split(results: Mapping[str, Values]) -> tuple[dict[str, Values], np.ndarray]:
    rows = {name: values for name, values in results.items() if name != "variant"}
    return rows, np.asarray(results["variant"], np.int64)


def _remove(paths: tuple[Path, ...]) -> None:
    for path in paths:
        path.unlink(missing_ok=True)


def _partial(path: Path) -> Path:
    """OUT.<trait>.partial.tsv.gz for OUT.<trait>.tsv.gz."""
    for ending in (".tsv.gz", ".parquet"):
        if path.name.endswith(ending):
            return path.with_name(f"{path.name.removesuffix(ending)}.partial{ending}")
    return path.with_name(f"{path.name}.partial")
