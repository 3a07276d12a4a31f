"""Associations of a trait as lines of text, from cells that all traits of its model share and from its own."""

from itertools import product

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.results import lines
from fedstats.results.decimal_text import probabilities, rows_of_numbers
from fedstats.results.shared_rows import SharedBatch

#: Cells of every trait: numbers, which P follows, and then texts before the number of nodes.
_NUMBERS = ("BETA", "SE", "STAT", "LOG10P")
_TEXTS = ("TEST", "STATUS")


def association_lines(shared: SharedBatch, own: pa.Table) -> memoryview:
    """The rows of a batch as lines of text, UTF-8; P is printed from LOG10P, also where the double is zero."""
    numbers = [lines.reals(own[name]) for name in _NUMBERS]
    p = probabilities(numbers[-1].values, lines.reals(own["P"]).values)
    cells = [shared.text_before, rows_of_numbers([*numbers, p])]
    others = [name for name in own.column_names if name not in (*_NUMBERS, "P", *_TEXTS)]
    codes = [*(own[name].combine_chunks() for name in _TEXTS), shared.nodes]
    if not others:
        return lines.characters(_side_by_side([*cells, _combined(codes, "\n")]))
    rest = lines.joined(lines.cells_of(own.select(others)))
    return lines.characters(_side_by_side([*cells, _combined(codes, "\t"), rest, pa.scalar("\n")]))


def _side_by_side(cells: list[pa.StringArray | pa.StringScalar]) -> pa.StringArray:
    """What stands in each row, with nothing between; none is null."""
    return pc.binary_join_element_wise(*cells, "")


def _combined(columns: list[pa.DictionaryArray], ending: str) -> pa.StringArray:
    """Cells of columns of few levels with a tab before each and an ending, shape (row,)."""
    names: list[list[str]] = []
    code = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        levels = [*column.dictionary.to_pylist(), "NA"]
        names.append(levels)
        code = code * len(levels) + column.indices.fill_null(len(levels) - 1).to_numpy(zero_copy_only=False)
    texts = ["".join(f"\t{name}" for name in row) + ending for row in product(*names)]
    return pa.array(texts, pa.string()).take(pa.array(code))
