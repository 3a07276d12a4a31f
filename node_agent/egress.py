"""THE way out of this node: nothing computed from data leaves except through `release`, one screen to read.

1 authorise · 2 load · 3 compute · 4 review · 5 protect · 6 record; then it may be fetched, from the spool only.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from fedstats.additive import Limits
from fedstats.arrays import Indices, Ring
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset, with_block
from fedstats.fixed_point import encode
from fedstats.privacy.conceal import Conceal
from fedstats.privacy.transcript import with_check_word
from fedstats.step import Step, from_arrays
from fedstats.study import Block, Floors, Model
from fedstats.wire.contribution import Contribution
from fedstats.wire.passes import word_widths
from node_agent.disclosure import Ask, review

Load = Callable[[], tuple[Dataset, Cohort]]
Record = Callable[[int, bytes], None]
Keep = Callable[[int, Ring], None]
Noise = Callable[[int, Ring, Mapping[str, int]], Ring]
#: Calls functions, perhaps several at a time, and gives their results in order.
InOrder = Callable[[Iterable[Callable[[], Contribution]]], Iterator[Contribution]]


def not_noised(number: int, words: Ring, sizes: Mapping[str, int]) -> Ring:  # noqa: ARG001  # as it is
    """Leave the words of an ask as they are."""
    return words


def not_kept(number: int, words: Ring) -> None:
    """Keep nothing of an ask but what leaves."""


@dataclass(frozen=True)
class Job:
    """One pass to compute.

    Attributes
    ----------
    authorise
        Raises Refused where policy, plan or lock do not allow this pass.
    load
        The data set and the cohort of the model.
    step, model, floors, nodes
        What runs, on whom, above which floors (this node's own), in a sum over how many nodes.
    asks
        For each block the panel indices, or None, and the parameters by name.
    first_words
        Where each ask's words start in the layout.
    conceal, transcript, node_index
        The setting's protection; what check words are made from; this node's place in the run roster.
    keep
        Keeps the words of an ask as they are, on this node's disk, where their total is to be certified.
    noise
        Adds this node's share of the noise to the words of an ask, once it is paid for; under `dp` only.
    """

    authorise: Callable[[], None]
    load: Load
    step: Step[Any, Any]
    model: Model
    floors: Floors
    nodes: int
    asks: tuple[tuple[Indices | None, Mapping[str, np.ndarray]], ...]
    first_words: tuple[int, ...]
    conceal: Conceal
    transcript: str
    node_index: int
    keep: Keep = not_kept
    noise: Noise = not_noised


def release(job: Job, done: int, in_order: InOrder, record: Record) -> None:
    """Compute, protect and record the asks of a pass from number `done` on; what was recorded is never made again.

    Raises
    ------
    Refused
        Policy or a floor says no; nothing of the ask at hand was recorded or sent.
    Failed
        It could not be recorded; then nothing leaves.
    """
    # 1 Authorise, before any data are read: parameters are attack surface.
    job.authorise()
    parameters = [from_arrays(job.step.parameters, arrays) for _, arrays in job.asks]
    for asked in parameters:
        job.step.admissible(asked, job.floors)
    # 2 Load
    dataset, cohort = job.load()
    # 3 to 5, several blocks at a time
    todo = range(done, len(job.asks))
    contributions = in_order(partial(_protected, job, dataset, cohort, number, parameters[number]) for number in todo)
    # 6 Record, in order, durably, before anything of it can be fetched
    for number, contribution in zip(todo, contributions, strict=True):
        record(number, contribution.data)


def _protected(job: Job, dataset: Dataset, cohort: Cohort, number: int, parameters: Any) -> Contribution:
    variants, _ = job.asks[number]
    # 3 Compute
    block = None if variants is None else Block(variants)
    at_hand = cohort if variants is None else with_block(cohort, dataset, variants)
    found = job.step(at_hand, parameters)
    # 4 Review
    review(found, cohort, job.model, job.floors, Ask(job.nodes, parameters, job.noise is not not_noised))
    # 5 Protect: integers modulo 2^64, noise that is charged first, a check word, masks
    sizes, limits, first_word = job.step.sizes(job.model, parameters, block), Limits(), job.first_words[number]
    words = job.noise(number, encode(found, sizes, limits), sizes)
    job.keep(number, words)
    checked = with_check_word(words, job.transcript, number, job.node_index)
    return Contribution(first_word, job.conceal.protect(checked, first_word, word_widths(job.step, sizes, limits)))
