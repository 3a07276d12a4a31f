"""A table gathered chunk by chunk is the chunks' rows, wherever it lies."""

import pyarrow as pa
import pytest

from fedstats import scratch
from fedstats.results.scratch_table import ScratchTable

SCHEMA = pa.schema([("ID", pa.string()), ("N", pa.int64()), ("F", pa.float64())])
CHUNKS = [
    pa.table({"ID": ["rs1", None], "N": [1, None], "F": [0.1, None]}, SCHEMA),
    pa.table({"ID": [], "N": [], "F": []}, SCHEMA),
    pa.table({"ID": ["", "rs4"], "N": [-1, 2**62], "F": [float("inf"), 1e-300]}, SCHEMA),
]


@pytest.mark.parametrize("held_bytes", [0, 1 << 20])
@pytest.mark.parametrize("chunks", [0, 1, 3])
def test_rows_are_those_of_the_chunks(monkeypatch: pytest.MonkeyPatch, held_bytes: int, chunks: int) -> None:
    monkeypatch.setattr(scratch, "HELD_BYTES", held_bytes)
    gathered = ScratchTable(SCHEMA)
    for chunk in CHUNKS[:chunks]:
        gathered.append(chunk)

    found = gathered.table()

    assert found.schema == SCHEMA
    assert found.equals(pa.concat_tables([SCHEMA.empty_table(), *CHUNKS[:chunks]]))
