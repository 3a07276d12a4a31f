"""Tables as lines of text: cells with tabs between them, NA for missing, doubles with eight significant digits."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.results.decimal_text import Numbers, doubles, text_of_numbers


def lines(table: pa.Table) -> memoryview:
    """The rows as lines of text, UTF-8; columns are taken in order, whatever their names."""
    return ended(cells_of(table))


def cells_of(table: pa.Table) -> list[pa.StringArray]:
    """The columns as text, in order; doubles that stand together are one column, with tabs between them."""
    cells: list[pa.StringArray] = []
    for real, group in groupby(table.columns, lambda column: pa.types.is_floating(column.type)):
        columns = list(group)
        cells.extend([text_of_numbers([reals(column) for column in columns])] if real else map(text, columns))
    return cells


def reals(column: pa.ChunkedArray) -> Numbers:
    """A column of doubles, to be printed."""
    return doubles(column.combine_chunks().to_numpy(zero_copy_only=False))


def text(column: pa.ChunkedArray) -> pa.StringArray:
    """A column as text; missing values may stay null."""
    return column.combine_chunks().cast(pa.string())


def joined(cells: Sequence[pa.StringArray]) -> pa.StringArray:
    """The cells of each row with tabs between them."""
    return pc.binary_join_element_wise(*cells, "\t", null_handling="replace", null_replacement="NA")


def ended(cells: Sequence[pa.StringArray]) -> memoryview:
    """The cells of each row with tabs between them and a line feed after them, one row after the other."""
    return characters(pc.binary_join_element_wise(joined(cells), "", "\n"))


def characters(texts: pa.StringArray) -> memoryview:
    """The characters of all texts, one after the other."""
    offsets = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return memoryview(texts.buffers()[2])[offsets[0] : offsets[-1]]
