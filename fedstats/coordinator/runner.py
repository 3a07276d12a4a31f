"""RunFederation: sums over the nodes of a run, through passes, with everything settled kept on disk.

A plan that is executed again after an interruption asks the same questions in the same order; what was settled before
is answered from the checkpoint, so that a finished run is the same bytes however often it was interrupted.
"""

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fedstats.additive import Limits
from fedstats.arrays import Ring
from fedstats.coordinator.certifying import certify_total
from fedstats.coordinator.checkpoint import WHOLE, Place
from fedstats.coordinator.encrypted import total_of
from fedstats.coordinator.passes import Opened, open_pass
from fedstats.coordinator.receipts import send_receipts_aside, settle
from fedstats.coordinator.run import Run
from fedstats.coordinator.splitting import Largest, PassWork, make_ask, make_pass, passes
from fedstats.errors import Failed
from fedstats.federation import Federation
from fedstats.fixed_point import decode
from fedstats.privacy.masking_coordinator import sum_uploads
from fedstats.privacy.transcript import without_check_word
from fedstats.rows import Rows
from fedstats.step import Q, S, Step
from fedstats.study import Block, Chunk, Model
from fedstats.wire.contribution import open_contribution
from fedstats.wire.noise import multiplier_of, total_deviations

#: Chunks that are computed at the same time: counting of one overlaps the scan of another.
CHUNKS_IN_FLIGHT = 3
#: How often a failure of another chunk is looked for while the first one is under way.
LOOK_SECONDS = 0.25


@dataclass
class RunFederation:
    """A `Federation` over the nodes of a run; one object a scope, used from one thread.

    Attributes
    ----------
    scope
        "whole", or the number of the chunk that is computed through this object.
    """

    run: Run
    scope: str = WHOLE
    chunks_in_flight: int = CHUNKS_IN_FLIGHT
    largest: Largest = field(default_factory=Largest)
    limits: Limits = field(default_factory=Limits)
    _calls: "itertools.count[int]" = field(default_factory=itertools.count)

    @property
    def exact(self) -> bool:
        """Totals carry no noise but under `dp`."""
        return not self.run.plan.noise

    def noise(self, step: Step[Any, Any], model: Model) -> Mapping[str, float]:
        """Deviation of the noise of all nodes in each field of a total, as the plan has it."""
        if self.exact:
            return dict.fromkeys(step.release.schema(), 0.0)
        return total_deviations(step, multiplier_of(self.run.plan.noise, model.id, step.name), len(self.run.names))

    def sum(self, step: Step[Q, S], model: Model, parameters: Q) -> S:
        """The total of one release over all people of a model."""
        work = make_pass(step, model, [make_ask(step, model, parameters, None)])
        return self._totals(work)[0]

    def each(self, step: Step[Q, S], model: Model, asks: Iterable[tuple[Block, Q]]) -> Iterator[tuple[Block, S]]:
        """The total of one release for each block, in the order of the asks."""
        for work in passes(step, model, asks, self.largest):
            for ask, total in zip(work.asks, self._totals(work), strict=True):
                if ask.block is None:
                    raise Failed("an ask of `each` has no block", code="NO_BLOCK")
                yield ask.block, total

    def map(self, function: Callable[[Federation, Chunk], Rows], chunks: Sequence[Chunk]) -> Iterator[Rows]:
        """Rows of each chunk, in order; a few chunks are computed at a time."""
        if self.scope != WHOLE:
            raise Failed("map was called within a chunk", code="NESTED_MAP")
        waiting = iter(chunks)
        pool = ThreadPoolExecutor(self.chunks_in_flight, thread_name_prefix="chunk")
        try:
            under_way = deque(
                pool.submit(self._rows, function, chunk) for chunk in itertools.islice(waiting, self.chunks_in_flight)
            )
            while under_way:
                yield _result(under_way)
                under_way.extend(pool.submit(self._rows, function, chunk) for chunk in itertools.islice(waiting, 1))
            self.run.aside.finish()
        except BaseException:
            # Whoever waits for a node ends at once, also within a call; what is settled stays on disk.
            self.run.nodes.transport.close()
            raise
        finally:
            pool.shutdown(cancel_futures=True)
            # A run that goes on with this one must not find its files go.
            self.run.aside.wait()

    def _rows(self, function: Callable[[Federation, Chunk], Rows], chunk: Chunk) -> Rows:
        """Rows of one chunk: kept ones, or computed and kept."""
        rows = self.run.checkpoint.rows(chunk.number)
        if rows is None:
            own = RunFederation(self.run, str(chunk.number), 1, self.largest, self.limits)
            rows = function(own, chunk)
            self.run.checkpoint.keep_rows(chunk.number, rows)
            self.run.crash("after:rows")
        return rows

    def _totals(self, work: PassWork[Q, S]) -> list[S]:
        """Totals of the asks of a pass: kept ones, or opened, checked and kept."""
        place = Place(self.scope, next(self._calls))
        words = self.run.checkpoint.total(place, work.asked)
        if words is not None:
            interrupted = self.run.checkpoint.kept_pass(place)
            if interrupted is not None and interrupted.steers:
                certify_total(self.run, interrupted, work, words)
            return _decoded(work, words, self.limits)
        self._tell("asked", work, place)
        opened = open_pass(self.run, work, place)
        words = _opened_sum(opened, work, len(self.run.names))
        totals = _decoded(work, words, self.limits)
        self.run.checkpoint.keep_total(place, work.asked, words)
        self.run.crash("after:total")
        folder = self.run.checkpoint.pass_folder(place, opened.order.attempt)
        if folder.steers:
            certify_total(self.run, folder, work, words)
        else:
            send_receipts_aside(self.run, folder)
        self.run.progress.one_more_pass()
        self._tell("opened", work, place)
        return totals

    def _tell(self, state: str, work: PassWork[Q, S], place: Place) -> None:
        data = {"state": state, "pass": place.name, "step": work.step.name, "model": work.model.id}
        self.run.emit("pass", {**data, "variants": work.variants, "words": work.words})


def start(run: Run) -> RunFederation:
    """The federation of a run, after receipts that an interrupted part of it still owed."""
    settle(run)
    return RunFederation(run, largest=Largest(variants=run.plan.pass_variants))


def _result(under_way: "deque[Future[Rows]]") -> Rows:
    """The rows of the first chunk; a failure of any chunk is raised at once."""
    first = under_way[0]
    while not first.done():
        done, _ = wait(under_way, return_when=FIRST_COMPLETED)
        failed = next((future for future in done if future.exception() is not None), None)
        if failed is not None:
            failed.result()
        if first.done():
            break
        wait([first], timeout=LOOK_SECONDS)
    return under_way.popleft().result()


def _opened_sum(opened: Opened, work: PassWork[Q, S], n_nodes: int) -> Ring:
    """The total in ring words, check words verified; contributions are read one after another.

    Raises
    ------
    MaskMismatch
        The nodes did not share one view of the pass; nothing of it is kept.
    """
    if opened.opened is not None:
        return total_of(opened.opened, opened.transcript, opened.masks, work.widths, n_nodes)
    total: Ring | None = None
    for path in opened.words.values():
        words = open_contribution(np.fromfile(path, np.uint8), work.words)
        total = words if total is None else sum_uploads((total, words))
    if total is None:
        raise Failed("a pass has no nodes", code="NO_NODES")
    if opened.masks is not None:
        total = opened.masks.apply(total, 0)
    first = 0
    for number, ask in enumerate(work.asks):
        without_check_word(total[first : first + ask.words], opened.transcript, number, n_nodes)
        first += ask.words
    return total


def _decoded(work: PassWork[Q, S], words: Ring, limits: Limits) -> list[S]:
    """Totals of the asks in order; each value is checked against its bound."""
    if len(words) != work.words:
        raise Failed(f"a total has {len(words)} words where {work.words} are due", code="MALFORMED")
    totals: list[S] = []
    first = 0
    for ask in work.asks:
        last = first + ask.words - 1  # the check word
        totals.append(decode(words[first:last], work.step.release, ask.sizes, limits))
        first = last + 1
    return totals
