"""Results of the analyses that have one table for all variants: frequencies, Hardy-Weinberg, missing calls."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from fedstats.results.columns import Columns, Values, chosen, table
from fedstats.results.summary import level_counts
from fedstats.results.tables import SUFFIXES

if TYPE_CHECKING:
    import pandas
    import polars

#: Columns that the panel fills, by their name in a table.
_FROM_PANEL = {"#CHROM": "CHROM", "POS": "POS", "ID": "ID", "REF": "REF", "ALT": "ALT", "A1": "REF", "AX": "ALT"}


@dataclass(frozen=True, eq=False, repr=False)
class VariantTable:
    """A table with a row per variant, and where it came from."""

    name: str
    table: pa.Table
    provenance: Mapping[str, Any] = field(default_factory=dict)  # Any: JSON as the run's file has it

    def __len__(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def __getitem__(self, column: str) -> Any:  # Any: numpy array of the column's type
        """A column as a numpy array; missing numbers are NaN."""
        return self.table[column].to_numpy()

    @property
    def status_counts(self) -> dict[str, int]:
        """How many variants have each STATUS, the most frequent first."""
        return dict(level_counts(self.table["STATUS"]).most_common())

    def to_arrow(self) -> pa.Table:
        """The table; missing values are null."""
        return self.table

    def to_polars(self) -> "polars.DataFrame":
        """The table as a polars data frame."""
        import polars

        frame = polars.from_arrow(self.table)
        if not isinstance(frame, polars.DataFrame):
            raise TypeError("polars made no data frame of a table")
        return frame

    def to_pandas(self) -> "pandas.DataFrame":
        """The table as a pandas data frame; needs the extra ``fedstats[pandas]``."""
        return self.table.to_pandas()

    def __repr__(self) -> str:
        return f"<{self.name} of {len(self):,} variants>"


def full_rows(suffix: str, panel: Mapping[str, Values], results: Mapping[str, Values]) -> dict[str, Values]:
    """Every column of the table OUT.<suffix> for one chunk, with what the panel knows of its variants."""
    columns: Columns = SUFFIXES[suffix]
    place = results["variant"]
    known = {name: chosen(panel[source], place) for name, source in _FROM_PANEL.items() if name in columns}
    return {**known, **{name: values for name, values in results.items() if name != "variant"}}


def arrow_rows(suffix: str, values: Mapping[str, Values]) -> pa.Table:
    """The same as an Arrow table."""
    return table(SUFFIXES[suffix], values, len(values["ID"]))
