"""Panels of any length from panels of a part each: columns that are long lie in files, see `fedstats.scratch`."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from fedstats.planning.panel import Panel
from fedstats.scratch import Scratch


class _Texts:
    """Texts that come part by part and are read whole."""

    def __init__(self) -> None:
        self._ends, self._characters = Scratch(np.int64), Scratch(np.uint8)
        self._ends.append([0])

    def append(self, texts: pa.LargeStringArray) -> None:
        """Put texts behind the others."""
        _, ends, characters = texts.buffers()
        if not len(texts):
            return
        at = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
        self._ends.append(at[1:] - at[0] + self._characters.nbytes)
        self._characters.append(np.frombuffer(characters or b"", np.uint8)[at[0] : at[-1]])

    def array(self) -> pa.LargeStringArray:
        """All of them, shape (text,)."""
        ends, characters = self._ends.array(), self._characters.array()
        return pa.LargeStringArray.from_buffers(len(ends) - 1, pa.py_buffer(ends), pa.py_buffer(characters))


def joined_panels(parts: Iterable[Panel]) -> Panel:
    """Panels one behind the other as one, whose columns are not held in memory where they are long."""
    codes: dict[str, int] = {}
    chromosome, position = Scratch(np.uint8), Scratch(np.int64)
    ref, alt = Scratch(np.int32), Scratch(np.int32)
    ids = _Texts()
    for part in parts:
        of_part = np.array([codes.setdefault(allele, len(codes)) for allele in part.alleles], np.int32)
        chromosome.append(part.chromosome)
        position.append(part.position)
        ref.append(of_part[part.ref])
        alt.append(of_part[part.alt])
        ids.append(part.ids)
    return Panel(chromosome.array(), position.array(), ids.array(), ref.array(), alt.array(), tuple(codes))
