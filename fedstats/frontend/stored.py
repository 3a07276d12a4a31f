"""Associations that lie in a file and are read when they are first looked at."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from fedstats.results.associations import Associations, TraitKind
from fedstats.results.summary import Summary


class StoredAssociations(Associations):
    """Associations of one trait in the Parquet file that a run has written.

    What was gathered while the rows were written needs no reading: their number and the summary. The file is held open,
    so that a later run of the same name does not change this result.
    """

    _file: pa.NativeFile

    def __init__(
        self, path: Path, trait: str, kind: TraitKind, summary: Summary, provenance: Mapping[str, Any]
    ) -> None:
        # The parent is frozen; what it would be given is laid where it looks.
        file = pa.memory_map(str(path))
        vars(self).update(trait=trait, kind=kind, summary=summary, provenance=provenance, _file=file)

    @cached_property
    def table(self) -> pa.Table:
        """The rows."""
        return Associations.read(self._file).table

    def __len__(self) -> int:
        """Number of variants."""
        return self.summary.rows
