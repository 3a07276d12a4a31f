"""Names for the arrays that fedstats speaks of; the meaning is in the name, the shape in the docstring or schema."""

from mmap import mmap
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Reals: TypeAlias = npt.NDArray[np.float64]
"""Real numbers."""

Counts: TypeAlias = npt.NDArray[np.int64]
"""How many people, calls, alleles or nodes."""

Indices: TypeAlias = npt.NDArray[np.int64]
"""Positions in the variant panel, or within a block."""

Bools: TypeAlias = npt.NDArray[np.bool_]
"""Yes or no, per person or variant."""

Fixed: TypeAlias = npt.NDArray[np.int64]
"""Fixed-point reals: integers in units of 2^-fraction_bits, as declared beside the name."""

Wide: TypeAlias = npt.NDArray[Any]
"""Exact integers of any size (dtype object), in units of 2^-fraction_bits; small arrays only."""

Bytes: TypeAlias = bytes | memoryview | mmap
"""A run of bytes, in memory or mapped from a file."""

Ring: TypeAlias = npt.NDArray[np.uint64]
"""Elements of the integers modulo 2^64, in which everything that leaves a node is added."""
