"""Totals that this node has certified, kept for as long as their run: what later asks of the run must follow from.

A row says which blobs hold what a pass had asked and what its total is; what they say is read when it is needed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from fedstats.additive import Additive, Limits, layout, total_words
from fedstats.arrays import Indices
from fedstats.certified import uncertified
from fedstats.fixed_point import decode
from fedstats.ledger import Ledger
from fedstats.privacy.certify import words_of
from fedstats.step import STEPS, Step, from_arrays
from fedstats.study import Block, Model
from fedstats.wire.arrays import asks_from_bytes
from fedstats.wire.messages import PassOrder
from node_agent.blob_folder import BlobFolder
from node_agent.last_used import LastUsed

TABLES = """
CREATE TABLE IF NOT EXISTS certified (
  pass_id TEXT PRIMARY KEY, run TEXT NOT NULL, model TEXT NOT NULL, step TEXT NOT NULL, asks TEXT NOT NULL,
  total TEXT NOT NULL, first INTEGER NOT NULL, last INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS certified_by_step ON certified (run, model, step);
"""

#: Passes whose totals are kept read, and things derived from totals: a scan needs one and a few at a time.
_READ_KEPT, _DERIVED_KEPT = 8, 256

V = TypeVar("V")


@dataclass(frozen=True)
class _Read:
    """The totals of one pass as its step released them: one release over all its variants, or one for each ask."""

    parameters: tuple[Any, ...]
    totals: tuple[Any, ...]
    variants: Indices


@dataclass(frozen=True)
class CertifiedTotals:
    """The table of certified totals of one agent."""

    ledger: Ledger
    blobs: BlobFolder
    _read: LastUsed[str, _Read] = field(default_factory=lambda: LastUsed(_READ_KEPT), repr=False)
    _derived: LastUsed[tuple[str, str, str], Any] = field(default_factory=lambda: LastUsed(_DERIVED_KEPT), repr=False)

    def keep(self, order: PassOrder, total: str, variants: Sequence[Indices | None]) -> None:
        """Keep that `total`, a blob, is the total of a pass; called within a transaction of the ledger."""
        ends = [int(end) for block in variants if block is not None and len(block) for end in (block[0], block[-1])]
        first, last = (min(ends), max(ends)) if ends else (-1, -1)
        values = (order.pass_id, order.run, order.model, order.step, order.asks, total, first, last)
        self.ledger.write("INSERT OR IGNORE INTO certified VALUES (?, ?, ?, ?, ?, ?, ?, ?)", *values)
        self.ledger.append("certified", {"run": order.run, "pass": order.pass_id, "total": total})

    def forget(self, run: str) -> None:
        """The run is over."""
        self.ledger.write("DELETE FROM certified WHERE run = ?", run)

    def asks(self) -> set[str]:
        """Digests of the blobs that say what certified totals are of."""
        return {str(asks) for (asks,) in self.ledger.rows("SELECT asks FROM certified")}

    def of(self, run: str, model: Model, twin: Model) -> "OfModel":
        """What is certified of one model in a run; its whole-cohort sums are those of its twin (`Study.twin`)."""
        return OfModel(self, run, model, twin)

    def find(self, run: str, model: Model, step: str, first: int, last: int) -> list[_Read]:
        """Passes of a step that cover some of a range of variants (-1, -1: whole-cohort sums), in order."""
        query = (
            "SELECT pass_id, asks, total FROM certified WHERE run = ? AND model = ? AND step = ?"
            " AND last >= ? AND first <= ? ORDER BY first, rowid"
        )
        found = self.ledger.rows(query, run, model.id, step, first, last)
        return [self._totals(str(name), STEPS[step], model, str(asks), str(total)) for name, asks, total in found]

    def derive(self, key: tuple[str, str, str], make: Callable[[], V]) -> V:
        """What `make` gives, computed once for a run, a model and a name."""
        found: V = self._derived.get(key, make)
        return found

    def _totals(self, pass_id: str, step: Step[Any, Any], model: Model, asks: str, total: str) -> _Read:
        def make() -> _Read:
            asked = asks_from_bytes(self.blobs.read(asks, "what a certified pass asked"))
            words = words_of(self.blobs.read(total, "a certified total"))
            return _decoded(step, model, asked, words)

        return self._read.get(pass_id, make)


@dataclass(frozen=True)
class OfModel:
    """`fedstats.certified.Certified` of one model in one run."""

    totals: CertifiedTotals
    run: str
    model: Model
    twin: Model

    def sums(self, step: str) -> Sequence[tuple[Any, Any]]:
        """Parameters and totals of the whole-cohort sums of a step, in order."""
        found = self.totals.find(self.run, self.twin, step, -1, -1)
        return [pair for read in found for pair in zip(read.parameters, read.totals, strict=True)]

    def over(self, step: str, variants: Indices) -> Any:
        """The totals of a step for these panel indices, as one release; refused where one is not certified."""
        if not len(variants):
            raise uncertified(step)
        found = self.totals.find(self.run, self.model, step, int(variants[0]), int(variants[-1]))
        # Variants increase within a pass, and most chunks are counted in one.
        known, order = _in_order([read.variants for read in found])
        rows = _places(known, variants, order)
        if rows is None:
            raise uncertified(step)
        parts = [read.totals[0] for read in found]
        return _of_variants(type(parts[0]), parts, rows)

    def once(self, name: str, make: Callable[[], V]) -> V:
        """What `make` gives, computed once for this run and model."""
        return self.totals.derive((self.run, self.model.id, name), make)


def _in_order(parts: Sequence[Indices]) -> tuple[Indices, Indices | None]:
    """Variants of some passes together, and the order that sorts them; None where they are sorted as they are."""
    if len(parts) == 1:
        return parts[0], None
    known = _joined(parts) if parts else np.zeros(0, np.int64)
    return known, np.argsort(known, kind="stable")


def _places(known: Indices, variants: Indices, order: Indices | None) -> slice | Indices | None:
    """Where variants are among the known ones, a slice where they follow one another there; None where one is not."""
    if order is None:
        first = int(np.searchsorted(known, variants[0]))
        if np.array_equal(known[first : first + len(variants)], variants):
            return slice(first, first + len(variants))
    at = np.searchsorted(known, variants, sorter=order)
    if (at == len(known)).any():
        return None
    rows = at if order is None else order[at]
    return rows if (known[rows] == variants).all() else None


def _of_variants(kind: type[Additive], releases: Sequence[Any], rows: slice | Indices) -> Any:
    """Releases of several blocks as one of some of their variants; what does not run along variants is that of all."""
    found = {}
    for name, declared in kind.schema().items():
        values = [getattr(release, name) for release in releases]
        found[name] = _joined(values)[rows] if "variant" in declared.dims else values[0]
    return kind(**found)


def _joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _decoded(
    step: Step[Any, Any], model: Model, asked: Sequence[tuple[Indices | None, dict[str, np.ndarray]]], words: np.ndarray
) -> _Read:
    parameters, totals, first = [], [], 0
    for variants, arrays in asked:
        at = from_arrays(step.parameters, arrays)
        sizes = step.sizes(model, at, None if variants is None else Block(variants))
        last = first + total_words(layout(step.release, sizes))
        parameters.append(at)
        totals.append(decode(words[first:last], step.release, sizes, Limits()))
        first = last
    if not step.genotypes:
        return _Read(tuple(parameters), tuple(totals), np.zeros(0, np.int64))
    blocks = [variants for variants, _ in asked if variants is not None]
    together = _of_variants(step.release, totals, slice(None))
    return _Read(tuple(parameters), (together,), np.concatenate(blocks))
