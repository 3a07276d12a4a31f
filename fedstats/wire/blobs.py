"""Blobs that a coordinator puts at nodes before a run, each bound by the SHA-256 of its bytes.

=========  =================  ==================================================================================
purpose    named in           bytes
=========  =================  ==================================================================================
panel      `Plan.panel`       lines of CHROM, POS, ID, REF, ALT (tabs, line feeds, no header): their SHA-256 is
                              `Panel.digest()`
variants   `Plan.variants`    increasing panel indices, int64, little-endian
people     `Request.people`   `fedstats.planning.people_lists.people_bytes`; no blob where it is ""
asks       `PassOrder.asks`   `fedstats.wire.arrays.asks_to_bytes`
=========  =================  ==================================================================================
"""

import io
from collections.abc import Iterator

import numpy as np
import polars as pl
import pyarrow as pa

from fedstats.arrays import Indices
from fedstats.errors import ProtocolRefused
from fedstats.planning.panel import UNPLACED, Panel, chromosome_code

PURPOSES = ("panel", "variants", "people", "asks")

_COLUMNS = ("CHROM", "POS", "ID", "REF", "ALT")
_LINES = 1 << 18


def panel_to_bytes(panel: Panel) -> Iterator[bytes]:
    """The panel as runs of bytes; the SHA-256 of all of them is the digest of the panel."""
    for first in range(0, len(panel), _LINES):
        frame = panel.frame(np.arange(first, min(first + _LINES, len(panel))))
        yield frame.write_csv(include_header=False, separator="\t", quote_style="never").encode()


def panel_from_bytes(body: bytes) -> Panel:
    """The panel that `panel_to_bytes` wrote.

    Raises
    ------
    ProtocolRefused
        The bytes are something else.
    """
    schema = dict(zip(_COLUMNS, (pl.String, pl.Int64, pl.String, pl.String, pl.String), strict=True))
    try:
        frame = pl.read_csv(
            io.BytesIO(body), has_header=False, separator="\t", quote_char=None, schema=schema, null_values=[]
        )
    except pl.exceptions.PolarsError:
        raise ProtocolRefused("the panel is not well formed", code="MALFORMED") from None
    names, of_variant = np.unique(frame["CHROM"].to_numpy().astype(str), return_inverse=True)
    chromosome = np.array([chromosome_code(name) for name in names], np.uint8)[of_variant].astype(np.uint8)
    if (chromosome == UNPLACED).any() or frame.null_count().sum_horizontal().sum():
        raise ProtocolRefused("the panel has variants without a place or without alleles", code="MALFORMED")
    both = pl.concat([frame["REF"], frame["ALT"]])
    alleles = both.unique(maintain_order=True)
    codes = both.replace_strict(alleles, np.arange(len(alleles)), return_dtype=pl.Int32).to_numpy()
    ids = frame["ID"].to_arrow().cast(pa.large_string())
    position = frame["POS"].to_numpy().astype(np.int64)
    return Panel(chromosome, position, ids, codes[: len(frame)], codes[len(frame) :], tuple(alleles.to_list()))


def variants_to_bytes(variants: Indices) -> bytes:
    """Panel indices of the variants of a run."""
    return variants.astype("<i8").tobytes()


def variants_from_bytes(body: bytes, panel_size: int) -> Indices:
    """The indices that bytes hold; they must increase and lie in the panel."""
    if len(body) % 8:
        raise ProtocolRefused("the list of variants is not well formed", code="MALFORMED")
    found = np.frombuffer(body, "<i8").astype(np.int64)
    if len(found) and ((np.diff(found) <= 0).any() or found[0] < 0 or found[-1] >= panel_size):
        raise ProtocolRefused("the list of variants does not increase within the panel", code="MALFORMED")
    return found
