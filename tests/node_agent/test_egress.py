"""The way out: authorise, load, compute, review, protect, record, in this order, and nothing after a refusal."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest

from fedstats.additive import Additive, Count, Limits
from fedstats.arrays import Counts, Indices
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset
from fedstats.errors import DisclosureRefused, ProtocolRefused, RangeOverflow, Refused
from fedstats.fixed_point import decode
from fedstats.genotypes import PackedBlock
from fedstats.privacy.masking import Masks
from fedstats.privacy.plain import Plain
from fedstats.privacy.primitives.stream import Stream
from fedstats.privacy.transcript import check_word
from fedstats.step import Along, Step
from fedstats.study import Floors, Model
from node_agent.egress import Job, release

PEOPLE = 100
MODEL = Model("a0", "autosome")
TRANSCRIPT = "ab" * 32


@dataclass(frozen=True)
class Answer(Additive):
    people: Annotated[Counts, Count("weight")]


@dataclass(frozen=True)
class Weights:
    weights: Annotated[Indices, Along("weight")]


@dataclass
class Seen:
    """What happened, in order, and what was recorded."""

    events: list[str] = field(default_factory=list)
    recorded: list[bytes] = field(default_factory=list)


class _NoGenotypes:
    def block(self, variants: Indices) -> PackedBlock:
        raise AssertionError("this step reads no genotypes")


def dataset() -> Dataset:
    ids = np.array([str(number) for number in range(PEOPLE)])
    return Dataset(ids, ids, np.zeros(PEOPLE, np.int8), {}, _NoGenotypes())


def job_of(seen: Seen, *, refuse: bool = False, scale: int = 1) -> Job:
    def answer(cohort: Cohort, at: Weights) -> Answer:
        seen.events.append("compute")
        return Answer(scale * cohort.size * at.weights)

    def authorise() -> None:
        seen.events.append("authorise")
        if refuse:
            raise Refused("policy rule analyses: no")

    def load() -> tuple[Dataset, Cohort]:
        seen.events.append("load")
        empty = np.zeros((PEOPLE, 0))
        return dataset(), Cohort(np.ones(PEOPLE, np.bool_), empty, empty, empty, np.zeros(PEOPLE, np.bool_))

    def admissible(parameters: Weights, floors: Floors) -> None:
        seen.events.append("parameters")
        if (parameters.weights > 50).any():
            raise Refused("these parameters isolate people")

    asks = tuple((None, {"weights": np.array(weights)}) for weights in ([1, 2, 3], [4, 5]))
    step = Step("test/weighted@1", answer, Weights, Answer, admissible, genotypes=False)
    return Job(authorise, load, step, MODEL, Floors(), 3, asks, (0, 4), Plain(), TRANSCRIPT, 1)


def run(job: Job, seen: Seen, done: int = 0) -> None:
    def in_order(calls) -> Iterator:
        return (call() for call in calls)

    def record(number: int, data: bytes) -> None:
        seen.events.append(f"record {number}")
        seen.recorded.append(data)

    release(job, done, in_order, record)


def test_steps_come_in_order():
    seen = Seen()

    run(job_of(seen), seen)

    before = ["authorise", "parameters", "parameters", "load"]
    assert seen.events == [*before, "compute", "record 0", "compute", "record 1"]


def test_words_are_the_release_and_the_check_word_of_the_block():
    seen = Seen()

    run(job_of(seen), seen)

    words = np.frombuffer(seen.recorded[1], "<u8")
    np.testing.assert_array_equal(decode(words[:-1], Answer, {"weight": 2}, Limits()).people, [400, 500])
    assert int(words[-1]) == check_word(TRANSCRIPT, 1, 1)


def test_nothing_is_read_when_the_policy_says_no():
    seen = Seen()

    with pytest.raises(Refused, match="rule analyses"):
        run(job_of(seen, refuse=True), seen)

    assert seen.events == ["authorise"]


def test_nothing_is_read_when_any_parameter_isolates_people():
    seen = Seen()
    job = job_of(seen)
    job = replace(job, asks=(*job.asks, (None, {"weights": np.array([51])})), first_words=(0, 4, 7))

    with pytest.raises(Refused, match="isolate"):
        run(job, seen)

    assert "load" not in seen.events


def test_parameters_of_another_shape_are_refused_before_data_are_read():
    seen = Seen()
    job = replace(job_of(seen), asks=((None, {"weights": np.array([[1]])}),), first_words=(0,))

    with pytest.raises(ProtocolRefused, match="wrong type or shape"):
        run(job, seen)

    assert "load" not in seen.events


def test_nothing_is_recorded_below_a_floor():
    seen = Seen()

    with pytest.raises(DisclosureRefused, match="min_people"):
        run(replace(job_of(seen), floors=Floors(min_people=PEOPLE + 1)), seen)

    assert seen.recorded == []


def test_a_value_beyond_its_bound_is_not_recorded():
    seen = Seen()

    with pytest.raises(RangeOverflow, match="exceeds its bound"):
        run(job_of(seen, scale=2**21), seen)

    assert seen.recorded == []


def test_what_was_recorded_is_not_computed_again():
    seen = Seen()

    run(job_of(seen), seen, done=1)

    assert seen.events[-2:] == ["compute", "record 1"]
    assert seen.events.count("compute") == 1


def test_masks_stand_where_the_words_stand_in_the_layout():
    seen, plain = Seen(), Seen()
    masks = Masks((Stream(b"k" * 32, 1),))

    run(replace(job_of(seen), conceal=masks), seen)
    run(job_of(plain), plain)

    whole = np.frombuffer(b"".join(plain.recorded), "<u8").astype(np.uint64)
    assert b"".join(seen.recorded) == masks.apply(whole, 0).tobytes()
    assert seen.recorded[0] != plain.recorded[0]


def test_the_egress_fits_on_a_screen_and_is_the_only_one_to_make_contributions():
    folder = Path(__file__).resolve().parents[2] / "node_agent"

    assert len((folder / "egress.py").read_text().splitlines()) <= 120
    importing = [path.name for path in folder.rglob("*.py") if "wire.contribution" in path.read_text()]
    assert importing == ["egress.py"]
