"""Which variants a run touches: chosen by the analyst, had by every node; and why the others fell out."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Counts, Indices
from fedstats.errors import UsageError
from fedstats.planning.faults import listing
from fedstats.planning.panel import ALLELES_DIFFER, PRESENT, SWAPPED, Panel
from fedstats.rows import Filtered
from fedstats.study import KINDS, VariantKind

#: Stands for all results of a run, where a variant is in none.
EVERY_RESULT = "all"

Availability = Mapping[str, npt.NDArray[np.uint8]]


@dataclass(frozen=True, eq=False)
class Chosen:
    """Variants of a run.

    Attributes
    ----------
    variants
        Panel indices of variants that every node has, increasing.
    fallen
        Chosen ones that fell out, increasing.
    reasons
        Why each of `fallen` did: ABSENT, ALLELES_DIFFER, or NOT_SERVED where a kind has too few people.
    nodes
        At how many nodes each of `fallen` is there, shape (fallen variant,).
    swapped
        By node, how many of `variants` have alleles the other way round there and were turned.
    """

    variants: Indices
    fallen: Indices
    reasons: npt.NDArray[np.str_]
    nodes: Counts
    swapped: Mapping[str, int]

    def counts(self) -> dict[str, int]:
        """How many variants fell out, by reason."""
        names, numbers = np.unique(self.reasons, return_counts=True)
        return dict(zip(names.tolist(), numbers.tolist(), strict=True))


def choose(selected: Indices, availability: Availability) -> Chosen:
    """The selected variants that every node has.

    Raises
    ------
    UsageError
        No variant is left; the nodes that have none are named.
    """
    codes = np.stack([codes[selected] for codes in availability.values()])
    present = (codes == PRESENT) | (codes == SWAPPED)
    everywhere = present.all(axis=0)
    if not everywhere.any():
        raise UsageError(
            f"no selected variant is at every node: {_where(dict(zip(availability, present, strict=True)))}",
            code="NO_VARIANTS",
            hint="Nodes match variants by chromosome, position and alleles; do all use the build of the panel?",
        )
    swapped = {
        name: int((of_node[everywhere] == SWAPPED).sum()) for name, of_node in zip(availability, codes, strict=True)
    }
    lost = np.flatnonzero(~everywhere)
    # Of those alone: as text, a reason takes more room than all else that is known of a variant.
    reasons = np.where((codes[:, lost] == ALLELES_DIFFER).any(axis=0), "ALLELES_DIFFER", "ABSENT")
    return Chosen(selected[everywhere], selected[lost], reasons, present[:, lost].sum(axis=0), swapped)


def _where(present: Mapping[str, Bools]) -> str:
    """Which nodes have none of the selected variants or, where each has some, how many."""
    selected = len(next(iter(present.values())))
    counts = {node: int(there.sum()) for node, there in present.items()}
    without = [node for node, count in counts.items() if not count]
    if not without:
        return ", ".join(f"{node} has {count:,} of {selected:,}" for node, count in counts.items())
    return f"{listing(without)} {'have' if len(without) > 1 else 'has'} none of {selected:,}"


def kinds_of(panel: Panel, variants: Indices) -> tuple[VariantKind, ...]:
    """Kinds that occur among some variants."""
    return tuple(KINDS[code] for code in np.unique(panel.kinds[variants]).tolist())


def without_kinds(chosen: Chosen, panel: Panel, dropped: Collection[VariantKind], nodes: int) -> Chosen:
    """The same without variants of kinds that some of the `nodes` do not serve."""
    if not dropped:
        return chosen
    leave = np.isin(panel.kinds[chosen.variants], [KINDS.index(kind) for kind in dropped])
    left = chosen.variants[leave]
    fallen = np.concatenate([chosen.fallen, left])
    order = np.argsort(fallen)
    reasons = np.concatenate([chosen.reasons, np.full(len(left), "NOT_SERVED")])
    there = np.concatenate([chosen.nodes, np.full(len(left), nodes)])
    return Chosen(chosen.variants[~leave], fallen[order], reasons[order], there[order], chosen.swapped)


def panel_columns(panel: Panel) -> dict[str, object]:
    """Columns CHROM, POS, ID, REF, ALT as result tables take them."""
    return {**panel.columns(), "POS": panel.position}


def fallen_columns(panel: Panel, chosen: Chosen, filtered: Sequence[Filtered], nodes: int) -> dict[str, object]:
    """Columns of OUT.variants.tsv.gz, in the order of the panel.

    Parameters
    ----------
    panel, chosen
        What there is, and what was chosen of it.
    filtered
        What filters took; a variant has a line for each group of traits from whose results it was taken.
    nodes
        How many nodes there are: filters take from variants that all of them have.
    """
    parts: list[tuple[Indices, Any, Any, str]] = [(chosen.fallen, chosen.reasons, chosen.nodes, EVERY_RESULT)]
    parts += [(one.variants, one.name.upper(), nodes, ",".join(one.traits) or EVERY_RESULT) for one in filtered]
    lengths = [len(part[0]) for part in parts]
    variants = np.concatenate([part[0] for part in parts])
    order = np.argsort(variants, kind="stable")

    def column(number: int) -> npt.NDArray[Any]:
        spread = [np.broadcast_to(part[number], length) for part, length in zip(parts, lengths, strict=True)]
        return np.concatenate(spread)[order]

    columns = panel_columns(panel.take(variants[order]))
    return {**columns, "REASON": column(1), "NODES": column(2), "RESULTS": column(3)}
