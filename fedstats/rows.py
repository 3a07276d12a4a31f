"""What a plan yields: rows of results, and notes for whoever reads the log."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class Rows:
    """Result of one chunk: for each table, columns of equal length by name.

    The column "variant" holds panel indices. Association analyses have one table per trait, named after it.
    `filtered` counts, per filter, variants that were left out without a row. `people` is how many people were counted
    with the genotypes, 0 where an analysis counts them apart.
    """

    tables: Mapping[str, Mapping[str, np.ndarray]]
    filtered: Mapping[str, int] = field(default_factory=dict)
    people: int = 0


@dataclass(frozen=True)
class Note:
    """Something that a reader of the log must know: a warning, a fit, a decision."""

    code: str
    message: str
    warning: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
