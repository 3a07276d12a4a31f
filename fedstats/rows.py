"""What a plan yields: rows of results, and notes for whoever reads the log."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fedstats.arrays import Indices


@dataclass(frozen=True, eq=False)
class Filtered:
    """Variants that a filter, named as in `Filters`, took from the results of some traits: there they have no row."""

    name: str
    traits: tuple[str, ...]
    variants: Indices


@dataclass(frozen=True, eq=False)
class Rows:
    """Result of one chunk: for each table, columns of equal length by name.

    The column "variant" holds panel indices. Association analyses have one table per trait, named after it.
    `filtered` are the variants that were left out without a row. `people` is how many people were counted with the
    genotypes, 0 where an analysis counts them apart.
    """

    tables: Mapping[str, Mapping[str, np.ndarray]]
    filtered: Sequence[Filtered] = ()
    people: int = 0


@dataclass(frozen=True)
class Note:
    """Something that a reader of the log must know: a warning, a fit, a decision."""

    code: str
    message: str
    warning: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
