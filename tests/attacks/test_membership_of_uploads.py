"""Was this person at this node? The attack on one node's upload under every setting, made by the settings' own code.

The node's words are those of the step that `dp` opens; the attacker reads what it sees as if it were those words.
What totals and results tell is in `test_noised_membership.py` and `tests/comparison/test_membership.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import mean
from typing import Any

import numpy as np
import pytest

from fedstats.additive import layout
from fedstats.analyses.bounded_columns import ranges_of
from fedstats.analyses.noised_null import least_squares
from fedstats.analyses.noised_scan import ResidualAsk, ResidualScan, residual_scan
from fedstats.comparison.membership import attack
from fedstats.frontend.local_noise import LocalNoise
from fedstats.local import LocalSums
from fedstats.privacy import paillier
from fedstats.privacy.masking import Masks
from fedstats.privacy.primitives.stream import Ring
from fedstats.study import Block
from tests.analyses.noised import SITES, noise, study
from tests.analyses.planted import dataset, federation, one_chunk
from tests.security.driver import Federation, federation_of, play_pass
from tests.security.test_paillier import T, encrypting, key, opened

PEOPLE, OUTSIDERS, VARIANTS, REPEATS = 1500, 300, 1000, 10
SITE = 0
#: Ten repeats of 300 against 300: the standard error of the mean AUC is 0.0075, so 0.05 is more than six of them.
BLIND = (0.45, 0.55)
ALIVE = 0.75


@dataclass
class Kept:
    """Keeps the words of every site on their way into the sum, with their noise or without."""

    source: LocalNoise
    exact: list[Ring] = field(default_factory=list)
    noised: list[Ring] = field(default_factory=list)

    def deviations(self, step: Any, model: Any) -> Mapping[str, float]:
        return self.source.deviations(step, model)

    def added(self, step: Any, model: Any, sizes: Mapping[str, int], words: Ring, site: int) -> Ring:
        noised = self.source.added(step, model, sizes, words, site)
        if step.name == residual_scan.name:
            self.exact.append(words)
            self.noised.append(noised)
        return noised


@dataclass(frozen=True)
class Game:
    """Words of every node for one study, people of the first node, people outside, and what is known of all."""

    exact: list[Ring]
    noised: list[Ring]
    members: np.ndarray  # (person, variant)
    outsiders: np.ndarray
    known: np.ndarray
    seed: int

    def auc(self, words: Ring) -> float:
        """How well words tell members, if they are read as the first node's."""
        (slot,) = (one for one in layout(ResidualScan, self.sizes) if one.name == "centred")
        read = words[slot.first_word : slot.first_word + slot.words].view(np.int64) / 2.0**slot.field.fraction_bits
        seen = np.clip((1 + read / len(self.members)) / 2, 0.0, 1.0)
        return attack(self.members[:OUTSIDERS], self.outsiders, seen, self.known)

    @property
    def sizes(self) -> dict[str, int]:
        return {"variant": VARIANTS, "trait": 1}


def game(seed: int) -> Game:
    rng = np.random.default_rng(seed)
    known = rng.uniform(0.05, 0.5, VARIANTS)
    everybody = rng.binomial(2, known[:, None], (VARIANTS, PEOPLE + OUTSIDERS))
    sums = federation(dataset(everybody[:, :PEOPLE], {"q": rng.normal(size=PEOPLE)}), site := np.arange(PEOPLE) % SITES)
    asked, chunks = study("q", covariates=()), one_chunk(VARIANTS)
    kept = Kept(noise(asked, chunks, 1.0, bytes([seed])))
    noised, model = LocalSums(sums.sites, noise_source=kept), asked.models[0]
    null = least_squares(noised, model, ranges_of(asked, model))
    ask = ResidualAsk(**vars(null.ranges), effects=null.effects, limits=null.limits, logistic=False)
    list(noised.each(residual_scan, model, [(Block(np.arange(VARIANTS)), ask)]))
    members = everybody[:, :PEOPLE][:, site == SITE].T
    return Game(kept.exact, kept.noised, members, everybody[:, PEOPLE:].T, known, seed)


@pytest.fixture(scope="module")
def games() -> list[Game]:
    return [game(seed) for seed in range(REPEATS)]


@pytest.fixture(scope="module")
def three() -> Federation:
    return federation_of(3)


def masked(three: Federation, one: Game, words: list[Ring]) -> Ring:
    """What the first node uploads in a masked pass."""
    blocks = {name: [part] for name, part in zip(three.parties, words, strict=True)}
    uploads = play_pass(three, blocks, seed=str(one.seed)).uploads
    return uploads[next(iter(three.parties))]


def seen_by_key_holder(one: Game, masks: Masks | None) -> Ring:
    """What a key holder opens if the coordinator gives it one node's ciphertexts in place of a product."""
    words = one.exact[SITE]
    widths = np.full(len(words), 64, np.uint8)
    node = paillier.Paillier(key().public, encrypting(), T, masks)
    return opened(node.protect(words, 0, widths), widths)


def mean_auc(games: list[Game], seen: Callable[[Game], Ring]) -> float:
    return mean(one.auc(seen(one)) for one in games)


def test_a_plain_upload_tells_who_is_at_the_node(games: list[Game]) -> None:
    assert mean_auc(games, lambda one: one.exact[SITE]) > ALIVE


def test_a_masked_upload_tells_nothing(games: list[Game], three: Federation) -> None:
    assert BLIND[0] < mean_auc(games, lambda one: masked(three, one, one.exact)) < BLIND[1]


def test_a_noised_upload_is_masked_too_and_tells_nothing(games: list[Game], three: Federation) -> None:
    assert BLIND[0] < mean_auc(games, lambda one: masked(three, one, one.noised)) < BLIND[1]


def test_a_ciphertext_tells_nothing_to_who_has_no_key(games: list[Game]) -> None:
    def seen(one: Game) -> Ring:
        words = one.exact[SITE]
        upload = paillier.Paillier(key().public, encrypting(), T, None).protect(
            words, 0, np.full(len(words), 64, np.uint8)
        )
        return np.frombuffer(upload[: words.nbytes], "<u8")

    assert BLIND[0] < mean_auc(games, seen) < BLIND[1]


def test_a_dishonest_key_holder_with_the_coordinator_reads_one_node_where_masks_are_off(games: list[Game]) -> None:
    assert mean_auc(games, lambda one: seen_by_key_holder(one, None)) > ALIVE


def test_a_dishonest_key_holder_with_the_coordinator_learns_nothing_where_masks_are_on(
    games: list[Game], three: Federation
) -> None:
    masks = play_pass(three, {name: [np.zeros(1, np.uint64)] for name in three.parties}).masks
    first = masks[next(iter(three.parties))]

    assert BLIND[0] < mean_auc(games, lambda one: seen_by_key_holder(one, first)) < BLIND[1]
