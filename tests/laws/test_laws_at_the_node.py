"""Laws that need a node: every privacy setting gives the same bits, and a cohort that is too small is refused.

Both run on every registered step by themselves, as the laws of arithmetic do.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

import fedstats.analyses  # noqa: F401  # fills the table of steps
from fedstats.arrays import Ring
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset
from fedstats.errors import DisclosureRefused
from fedstats.fixed_point import encode
from fedstats.genotypes import PackedBlock
from fedstats.privacy import masking_coordinator, paillier
from fedstats.privacy.conceal import Setting
from fedstats.privacy.masking import Masks
from fedstats.privacy.paillier_tasks import decryption, encryption
from fedstats.privacy.paillier_workers import InProcess
from fedstats.privacy.plain import Plain
from fedstats.privacy.primitives.paillier import PrivateKey, generate
from fedstats.privacy.transcript import check_total
from fedstats.step import STEPS, to_arrays
from fedstats.study import Floors
from fedstats.wire.passes import word_widths
from node_agent.egress import Job, not_noised, release
from tests.laws.examples import example
from tests.laws.laws import LIMITS, Example
from tests.security.driver import context_of, federation_of, plain_total, play_pass

NAMES = sorted(STEPS)
NODES = 3


@pytest.fixture(params=NAMES)
def found(request: pytest.FixtureRequest) -> Example:
    return example(request.param, np.random.default_rng(11))


def words_of(found: Example, people: np.ndarray) -> np.ndarray:
    return encode(found.step(found.cohort.restrict(people), found.parameters), found.sizes, LIMITS)


def test_every_setting_has_its_law() -> None:
    assert {setting.value for setting in Setting} == {"plain", "masked", "paillier"}


def test_masked_sums_are_the_bits_of_plain_sums(found: Example) -> None:
    node_of = np.random.default_rng(5).integers(0, NODES, len(found.cohort.people))
    federation = federation_of(NODES)
    blocks = {name: [words_of(found, node_of == i)] for i, name in enumerate(federation.parties)}

    played = play_pass(federation, blocks)

    assert np.array_equal(played.total, plain_total(blocks))
    assert all(not np.array_equal(played.uploads[name][: len(b[0])], b[0]) for name, b in blocks.items() if len(b[0]))


@cache
def short_key() -> PrivateKey:
    return generate(512, smallest=512)


@cache
def tasks() -> tuple[InProcess, InProcess]:
    return InProcess(encryption(short_key().public)), InProcess(decryption(short_key()))


def through_the_key_holder(blocks: list[np.ndarray], widths: np.ndarray, self_masks: Masks | None) -> np.ndarray:
    """Words of every node to their total: encrypted, multiplied, opened, unmasked."""
    public, (encrypt, decrypt) = short_key().public, tasks()
    uploads = [paillier.encrypt_block(public, encrypt, words, widths) for words in blocks]
    opened = paillier.open_block(public, decrypt, paillier.multiply(public, uploads), widths)
    return paillier.totals_of(opened, 0, widths, self_masks)


def test_encrypted_sums_are_the_bits_of_plain_sums_with_masks_and_without(found: Example) -> None:
    node_of = np.random.default_rng(5).integers(0, NODES, len(found.cohort.people))
    federation = federation_of(NODES)
    blocks = {name: [words_of(found, node_of == i)] for i, name in enumerate(federation.parties)}
    played = play_pass(federation, blocks)
    context = context_of(federation)
    own = masking_coordinator.self_masks(context, played.transcript, played.pass_keys, played.seed_shares)
    widths = word_widths(found.step, found.sizes, LIMITS)

    masked = through_the_key_holder(list(played.uploads.values()), widths, own)
    open_words = [np.append(words, np.uint64(0)) for (words,) in blocks.values()]  # where the check word would be
    unmasked = through_the_key_holder(open_words, widths, None)

    assert np.array_equal(masked[:-1], plain_total(blocks))
    assert int(masked[-1]) == check_total(played.transcript, 0, NODES)
    assert np.array_equal(unmasked[:-1], plain_total(blocks))


@dataclass
class _Source:
    """The example's block, whatever variants are asked for."""

    found: Example
    reads: list[int] = field(default_factory=list)

    def block(self, variants: np.ndarray) -> PackedBlock:
        self.reads.append(len(variants))
        return self.found.cohort.block()


def job_of(found: Example, cohort: Cohort) -> Job:
    ids = np.array([str(number) for number in range(len(cohort.people))])
    dataset = Dataset(ids, ids, np.zeros(len(ids), np.int8), {}, _Source(found))
    variants = np.arange(len(found.cohort.block())) if found.step.genotypes else None
    return Job(
        authorise=lambda: None,
        load=lambda: (dataset, cohort),
        step=found.step,
        model=found.model,
        floors=Floors(min_people=60, min_arm=1, min_level=1, min_mac=1, min_carrier_nodes=1, parameters_per_person=1.0),
        nodes=3,
        asks=((variants, to_arrays(found.parameters)),),
        first_words=(0,),
        conceal=Plain(),
        transcript="ab" * 32,
        node_index=0,
        noise=_without_noise if found.step.name.startswith("noised_") else not_noised,
    )


def _without_noise(number: int, words: Ring, sizes: Mapping[str, int]) -> Ring:
    """Sums that only ever leave with noise, told from those that leave as they are; here there is none."""
    return words


def released(job: Job, recorded: list[bytes]) -> None:
    release(job, 0, lambda calls: (call() for call in calls), lambda _, data: recorded.append(data))


def test_a_cohort_below_the_floor_is_refused_and_nothing_is_recorded(found: Example) -> None:
    few = found.cohort.rows[:59]
    people = np.isin(np.arange(len(found.cohort.people)), few)

    recorded: list[bytes] = []

    with pytest.raises(DisclosureRefused, match="min_people"):
        released(job_of(found, found.cohort.restrict(people)), recorded)

    assert recorded == []


def test_the_same_cohort_above_the_floor_is_answered(found: Example) -> None:
    recorded: list[bytes] = []

    released(job_of(found, found.cohort), recorded)

    assert len(recorded) == 1
