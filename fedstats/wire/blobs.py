"""Blobs that a coordinator puts at nodes before a run, each bound by the SHA-256 of its bytes.

=========  =================  ==================================================================================
purpose    named in           bytes
=========  =================  ==================================================================================
panel      `Plan.panel`       lines of CHROM, POS, ID, REF, ALT (tabs, line feeds, no header): their SHA-256 is
                              `Panel.digest()`
variants   `Plan.variants`    increasing panel indices, int64, little-endian
people     `Request.people`   `fedstats.planning.people_lists.people_bytes`; no blob where it is ""
asks       `PassOrder.asks`   `fedstats.wire.arrays.asks_to_bytes`
total      `CertifyOrder`     words of a claimed total without check words, uint64, little-endian
=========  =================  ==================================================================================
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
from pyarrow import csv

from fedstats.arrays import Bytes, Indices
from fedstats.errors import ProtocolRefused
from fedstats.planning.delimited import LONGEST_LINE_BYTES
from fedstats.planning.long_panels import joined_panels
from fedstats.planning.panel import UNPLACED, Panel
from fedstats.scratch import slices

PURPOSES = ("panel", "variants", "people", "asks", "total")

#: Text of a panel that is read at once.
_BLOCK_BYTES = 1 << 22

_COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT")


def panel_to_bytes(panel: Panel) -> Iterator[bytes]:
    """The panel as runs of bytes; the SHA-256 of all of them is the digest of the panel."""
    return panel.lines()


def panel_from_bytes(body: Bytes) -> Panel:
    """The panel that `panel_to_bytes` wrote.

    Raises
    ------
    ProtocolRefused
        The bytes are something else.
    """
    # A block is read at a time, for text takes several times what is kept of it; a block has to hold whole lines.
    size = _BLOCK_BYTES if _longest_line(body) < _BLOCK_BYTES else LONGEST_LINE_BYTES
    try:
        return joined_panels(_panel_of(pa.Table.from_batches([batch])) for batch in _batches(body, size))
    except pa.ArrowInvalid:
        raise ProtocolRefused("the panel is not well formed", code="MALFORMED") from None


def _longest_line(body: Bytes) -> int:
    """Bytes of the longest line and one more, for its end."""
    characters, longest, last = np.frombuffer(body, np.uint8), 0, -1
    for first in range(0, len(characters), _BLOCK_BYTES):
        ends = first + np.flatnonzero(characters[first : first + _BLOCK_BYTES] == ord("\n"))
        if len(ends):
            longest, last = max(longest, int(np.diff(ends, prepend=last).max())), int(ends[-1])
    return max(longest, len(characters) - last)


def _batches(body: Bytes, block_bytes: int) -> Iterator[pa.RecordBatch]:
    types = {name: pa.int64() if name == "POS" else pa.string() for name in _COLUMNS}
    return iter(
        csv.open_csv(
            pa.BufferReader(body),
            read_options=csv.ReadOptions(column_names=list(_COLUMNS), block_size=block_bytes, use_threads=False),
            parse_options=csv.ParseOptions(delimiter="\t", quote_char=False, ignore_empty_lines=False),
            convert_options=csv.ConvertOptions(column_types=types, null_values=[""], strings_can_be_null=True),
        )
    )


def _panel_of(table: pa.Table) -> Panel:
    """Some lines of a panel."""
    if any(column.null_count for column in table.columns):
        raise _unplaced()
    position = table["POS"].to_numpy().astype(np.int64)
    panel = Panel.of_columns(table["CHROM"], position, table["ID"], table["REF"], table["ALT"])
    if (panel.chromosome == UNPLACED).any():
        raise _unplaced()
    return panel


def _unplaced() -> ProtocolRefused:
    return ProtocolRefused("the panel has variants without a place or without alleles", code="MALFORMED")


def variants_to_bytes(variants: Indices) -> memoryview:
    """Panel indices of the variants of a run; where they are in that order of bytes already, no copy."""
    return np.ascontiguousarray(variants, "<i8").data.cast("B") if len(variants) else memoryview(b"")


def variants_from_bytes(body: Bytes, panel_size: int) -> Indices:
    """The indices that bytes hold, not copied where this machine has the same order of bytes.

    They must increase and lie in the panel.
    """
    if len(body) % 8:
        raise ProtocolRefused("the list of variants is not well formed", code="MALFORMED")
    found = np.frombuffer(body, "<i8").astype(np.int64, copy=False)
    if not _increases(found) or (len(found) and (found[0] < 0 or found[-1] >= panel_size)):
        raise ProtocolRefused("the list of variants does not increase within the panel", code="MALFORMED")
    return found


def _increases(found: Indices) -> bool:
    return all((np.diff(found[part.start : part.stop + 1]) > 0).all() for part in slices(len(found)))
