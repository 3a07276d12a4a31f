"""Which variants a run touches: chosen by the analyst, had by every node; and why the others fell out."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Counts, Indices
from fedstats.errors import UsageError
from fedstats.planning.faults import listing
from fedstats.planning.panel import ALLELES_DIFFER, PRESENT, SWAPPED, Panel
from fedstats.rows import Filtered
from fedstats.scratch import Scratch, elements_where, slices
from fedstats.study import KINDS, VariantKind

#: Stands for all results of a run, where a variant is in none.
EVERY_RESULT = "all"

#: Why variants fall out: not at every node, with other alleles at some node, of a kind with too few people at some.
REASONS = np.array(["ABSENT", "ALLELES_DIFFER", "NOT_SERVED"])
_ABSENT, _DIFFER, _NOT_SERVED = range(len(REASONS))

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
        Why each of `fallen` did, as an index into `REASONS`.
    nodes
        At how many nodes each of `fallen` is there, shape (fallen variant,).
    swapped
        By node, how many of `variants` have alleles the other way round there and were turned.
    """

    variants: Indices
    fallen: Indices
    reasons: npt.NDArray[np.uint8]
    nodes: Counts
    swapped: Mapping[str, int]

    def counts(self) -> dict[str, int]:
        """How many variants fell out, by reason."""
        numbers = np.bincount(self.reasons, minlength=len(REASONS)).tolist()
        return {name: number for name, number in zip(REASONS.tolist(), numbers, strict=True) if number}


def choose(selected: Indices, availability: Availability) -> Chosen:
    """The selected variants that every node has.

    Raises
    ------
    UsageError
        No variant is left; the nodes that have none are named.
    """
    chosen, fallen, reasons, nodes = Scratch(np.int64), Scratch(np.int64), Scratch(np.uint8), Scratch(np.int64)
    there, turned = np.zeros(len(availability), np.int64), np.zeros(len(availability), np.int64)
    for part in slices(len(selected)):
        asked = selected[part]
        codes = np.stack([of_node[asked] for of_node in availability.values()])
        present = (codes == PRESENT) | (codes == SWAPPED)
        everywhere = present.all(axis=0)
        lost = np.flatnonzero(~everywhere)
        chosen.append(asked[everywhere])
        fallen.append(asked[lost])
        reasons.append(np.where((codes[:, lost] == ALLELES_DIFFER).any(axis=0), _DIFFER, _ABSENT))
        nodes.append(present[:, lost].sum(axis=0))
        there += present.sum(axis=1)
        turned += (codes[:, everywhere] == SWAPPED).sum(axis=1)
    if not chosen.nbytes:
        where = _where(dict(zip(availability, there.tolist(), strict=True)), len(selected))
        raise UsageError(
            f"no selected variant is at every node: {where}",
            code="NO_VARIANTS",
            hint="Nodes match variants by chromosome, position and alleles; do all use the build of the panel?",
        )
    swapped = dict(zip(availability, turned.tolist(), strict=True))
    return Chosen(chosen.array(), fallen.array(), reasons.array(), nodes.array(), swapped)


def _where(there: Mapping[str, int], selected: int) -> str:
    """Which nodes have none of the selected variants or, where each has some, how many."""
    without = [node for node, count in there.items() if not count]
    if not without:
        return ", ".join(f"{node} has {count:,} of {selected:,}" for node, count in there.items())
    return f"{listing(without)} {'have' if len(without) > 1 else 'has'} none of {selected:,}"


def kinds_of(panel: Panel, variants: Indices) -> tuple[VariantKind, ...]:
    """Kinds that occur among some variants."""
    return tuple(KINDS[code] for code in np.unique(panel.kinds[variants]).tolist())


def without_kinds(chosen: Chosen, panel: Panel, dropped: Collection[VariantKind], nodes: int) -> Chosen:
    """The same without variants of kinds that some of the `nodes` do not serve."""
    if not dropped:
        return chosen
    leave = np.isin(panel.kinds[chosen.variants], [KINDS.index(kind) for kind in dropped])
    left = elements_where(leave, chosen.variants)
    fallen = np.concatenate([chosen.fallen, left])
    order = np.argsort(fallen)
    reasons = np.concatenate([chosen.reasons, np.full(len(left), _NOT_SERVED, np.uint8)])
    there = np.concatenate([chosen.nodes, np.full(len(left), nodes)])
    kept = elements_where(~leave, chosen.variants)
    return Chosen(kept, fallen[order], reasons[order], there[order], chosen.swapped)


def panel_columns(panel: Panel) -> dict[str, object]:
    """Columns CHROM, POS, ID, REF, ALT as result tables take them."""
    return {**panel.columns(), "POS": panel.position}


def fallen_columns(
    panel: Panel, chosen: Chosen, filtered: Sequence[Filtered], nodes: int
) -> Iterator[dict[str, object]]:
    """Columns of OUT.variants.tsv.gz, in the order of the panel, a stretch of it at a time.

    Parameters
    ----------
    panel, chosen
        What there is, and what was chosen of it.
    filtered
        What filters took; a variant has a line for each group of traits from whose results it was taken.
    nodes
        How many nodes there are: filters take from variants that all of them have.
    """
    for stretch in slices(len(panel)):
        at = _within(chosen.fallen, stretch)
        parts: list[_Fallen] = [(chosen.fallen[at], REASONS[chosen.reasons[at]], chosen.nodes[at], EVERY_RESULT)]
        for one in filtered:
            taken = one.variants[_within(one.variants, stretch)]
            parts.append((taken, one.name.upper(), nodes, ",".join(one.traits) or EVERY_RESULT))
        if any(len(part[0]) for part in parts):
            yield _columns(panel, parts)


def _within(variants: Indices, stretch: slice) -> slice:
    """Where increasing indices lie within a stretch of the panel."""
    first, last = np.searchsorted(variants, [stretch.start, stretch.stop])
    return slice(int(first), int(last))


#: Variants, and for each or for all of them why they fell out, how many nodes have them, and which results lack them.
_Fallen = tuple[Indices, Any, Any, str]


def _columns(panel: Panel, parts: Sequence[_Fallen]) -> dict[str, object]:
    lengths = [len(part[0]) for part in parts]
    variants = np.concatenate([part[0] for part in parts])
    order = np.argsort(variants, kind="stable")

    def column(number: int) -> npt.NDArray[Any]:
        spread = [np.broadcast_to(part[number], length) for part, length in zip(parts, lengths, strict=True)]
        return np.concatenate(spread)[order]

    columns = panel_columns(panel.take(variants[order]))
    return {**columns, "REASON": column(1), "NODES": column(2), "RESULTS": column(3)}
