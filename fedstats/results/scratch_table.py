"""A table that is made chunk by chunk and then read whole; a long one lies in a file, see `fedstats.scratch`."""

import numpy as np
import pyarrow as pa

from fedstats.scratch import Scratch


class ScratchTable:
    """Takes tables of one schema; what they hold is kept as it is."""

    def __init__(self, schema: pa.Schema) -> None:
        self._body = Scratch(np.uint8)
        self._writer = pa.ipc.new_stream(pa.PythonFile(_Sink(self._body), mode="w"), schema)

    def append(self, table: pa.Table) -> None:
        """Put rows behind the others."""
        self._writer.write_table(table)

    def table(self) -> pa.Table:
        """All rows; none can be added any more."""
        self._writer.close()
        return pa.ipc.open_stream(pa.py_buffer(self._body.array())).read_all()


class _Sink:
    """What Arrow takes for a file to write to."""

    closed = False

    def __init__(self, body: Scratch[np.uint8]) -> None:
        self._body = body

    def write(self, data: bytes) -> int:
        self._body.append(np.frombuffer(data, np.uint8))
        return len(data)

    def flush(self) -> None:
        """Nothing waits."""

    def close(self) -> None:
        """The body stays."""
