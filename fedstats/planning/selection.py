"""Which variants of a panel an analyst chose: by chromosome, and by lists of identifiers."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from fedstats.arrays import Bools, Indices
from fedstats.errors import UsageError
from fedstats.planning.panel import CHROMOSOMES, UNPLACED, Panel, chromosome_code
from fedstats.scratch import indices_where


@dataclass(frozen=True, eq=False)
class Selection:
    """Variants of a panel that an analyst chose.

    Attributes
    ----------
    variants
        Increasing panel indices.
    left_out
        How many variants each option left out, in the order chr, extract, exclude.
    warnings
        What the analyst should know, in words: identifiers that the panel does not have, chromosomes without variants.
    """

    variants: Indices
    left_out: dict[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def select(
    panel: Panel, chromosomes: str = "", *, extract: Iterable[str] | None = None, exclude: Iterable[str] | None = None
) -> Selection:
    """The variants on some chromosomes, among those to extract, without those to exclude.

    Parameters
    ----------
    panel
        The panel.
    chromosomes
        Names and ranges with commas between, as "1-22,X"; all where empty.
    extract, exclude
        Identifiers of variants; None for no such list.

    Raises
    ------
    UsageError
        Where a chromosome is not known, or nothing is left.
    """
    kept, left_out, warnings = np.ones(len(panel), np.bool_), {}, []
    if chromosomes:
        codes = parse_chromosomes(chromosomes)
        on, absent = np.isin(panel.chromosome, codes), sorted(set(codes) - set(np.unique(panel.chromosome).tolist()))
        left_out["chr"], kept = int((kept & ~on).sum()), kept & on
        if absent:
            warnings.append(f"--chr: the panel has no variant on {', '.join(CHROMOSOMES[code] for code in absent)}")
    for option, listed in (("extract", extract), ("exclude", exclude)):
        if listed is None:
            continue
        identifiers = set(listed)
        named, unknown = _named(panel, identifiers)
        left = kept & (~named if option == "extract" else named)
        left_out[option], kept = int(left.sum()), kept & ~left
        if not identifiers:
            warnings.append(f"--{option} names no variant and changes nothing")
        if unknown:
            warnings.append(f"--{option}: {unknown} identifiers are not in the panel")
    if not kept.any():
        raise UsageError("no variant is left after --chr, --extract and --exclude", code="NO_VARIANTS")
    return Selection(indices_where(kept), left_out, tuple(warnings))


def _named(panel: Panel, listed: set[str]) -> tuple[Bools, int]:
    """Which variants are on a list, and how many of the list the panel does not have."""
    named = np.asarray(pc.is_in(panel.ids, value_set=pa.array(sorted(listed), pa.large_string())))
    found = pc.count_distinct(panel.ids.filter(pa.array(named))).as_py()
    return named, len(listed) - int(found)


def parse_chromosomes(text: str) -> list[int]:
    """Codes of the chromosomes that a text as "1-22,X" names, increasing; an unknown name is a UsageError."""
    codes: set[int] = set()
    for item in text.replace(" ", ",").split(","):
        ends = [_known(part, text) for part in item.split("-", 1)] if item else []
        if len(ends) == 2 and ends[0] > ends[1]:
            raise UsageError(f"--chr {text}: the range {item} runs backwards", code="UNKNOWN_CHROMOSOME")
        codes.update(range(ends[0], ends[-1] + 1) if ends else ())
    if not codes:
        raise UsageError("--chr names no chromosome", code="UNKNOWN_CHROMOSOME")
    return sorted(codes)


def _known(name: str, text: str) -> int:
    code = chromosome_code(name)
    if code == UNPLACED:
        raise UsageError(
            f"--chr {text}: chromosome {name.strip()!r} is not known",
            code="UNKNOWN_CHROMOSOME",
            hint="Known are 1-22, X, Y, XY and MT (or 23 to 26), with or without 'chr'.",
        )
    return code
