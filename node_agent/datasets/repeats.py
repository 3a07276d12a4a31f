"""How many texts of a long column were there before, found from their hashes: a set of the texts would be larger."""

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.scratch import Scratch, slices

Hashes = npt.NDArray[np.uint64]

#: FNV-1a of 64 bits: draft-eastlake-fnv, section 5.
_BASIS, _PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)

#: Hashes that are sorted together.
_SORTED_TOGETHER = 1 << 22


def repeated(texts: pa.LargeStringArray) -> int:
    """How many texts are equal to an earlier one; two that differ are taken for equal once in 2^64 pairs."""
    found = Scratch(np.uint64)
    for part in slices(len(texts)):
        found.append(_hashes(texts[part]))
    hashes = found.array()
    groups = -(-len(hashes) // _SORTED_TOGETHER)
    return len(hashes) - sum(_distinct(hashes, group, groups) for group in range(groups))


def _distinct(hashes: Hashes, group: int, groups: int) -> int:
    """How many of the hashes of one group differ; equal ones are in one group."""
    of_group = [hashes[part][hashes[part] % np.uint64(groups) == group] for part in slices(len(hashes))]
    ordered = np.sort(np.concatenate(of_group))
    return int((ordered[1:] != ordered[:-1]).sum()) + bool(len(ordered))


def _hashes(texts: pa.LargeStringArray) -> Hashes:
    """FNV-1a of each text."""
    _, ends, bytes_of = texts.buffers()
    at = np.frombuffer(ends, np.int64)[texts.offset : texts.offset + len(texts) + 1]
    characters = np.frombuffer(bytes_of or b"", np.uint8)
    starts, lengths = at[:-1], np.diff(at)
    found = np.full(len(texts), _BASIS)
    longer = np.flatnonzero(lengths)
    for place in range(int(lengths.max(initial=0))):
        longer = longer[lengths[longer] > place]
        found[longer] = (found[longer] ^ characters[starts[longer] + place]) * _PRIME
    return found
