"""Was this person in the study? The attack on what a noised run opens, and on the same sums without noise."""

from dataclasses import replace

import numpy as np
import pytest

from fedstats.analyses.bounded_columns import ranges_of
from fedstats.analyses.noised_null import least_squares
from fedstats.analyses.noised_scan import ResidualAsk, ResidualScan, residual_scan
from fedstats.comparison.membership import attack, auc
from fedstats.local import LocalSums
from fedstats.privacy.zcdp import rho_of
from fedstats.study import Block
from tests.analyses.noised import DELTA, SITES, noise, study
from tests.analyses.planted import dataset, federation, one_chunk

PEOPLE, OUTSIDERS, VARIANTS = 1500, 500, 1000
REPEATS = 10
#: The issue's bound on the mean over repeats, and what shows that the attack is alive without noise.
HIDDEN, ALIVE = 0.55, 0.62


class Game:
    """People in a study and others like them; what the study opened, and what an attacker makes of it."""

    def __init__(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.frequency = rng.uniform(0.05, 0.5, VARIANTS)
        everybody = rng.binomial(2, self.frequency[:, None], (VARIANTS, PEOPLE + OUTSIDERS))
        self.trait = rng.normal(size=PEOPLE + OUTSIDERS)
        self.dosages = everybody
        data = dataset(everybody[:, :PEOPLE], {"q": self.trait[:PEOPLE]})
        self.sums = federation(data, np.arange(PEOPLE) % SITES)
        self.asked, self.chunks = study("q", covariates=()), one_chunk(VARIANTS)

    def opened(self, epsilon: float, key: bytes) -> tuple[ResidualScan, dict[str, float]]:
        """The totals of a run, and the deviations of their noise."""
        source = noise(self.asked, self.chunks, epsilon, key)
        sums = LocalSums(self.sums.sites, noise_source=source)
        model = self.asked.models[0]
        null = least_squares(sums, model, ranges_of(self.asked, model))
        ask = ResidualAsk(**vars(null.ranges), effects=null.effects, limits=null.limits, logistic=False)
        ((_, total),) = sums.each(residual_scan, model, [(Block(np.arange(VARIANTS)), ask)])
        return total, dict(source.deviations(residual_scan, model))

    def by_frequencies(self, total: ResidualScan) -> float:
        """AUC of the likelihood ratio on the frequencies that the totals give."""
        seen = (1 + total.real("centred") / PEOPLE) / 2
        members, others = self.dosages[:, :OUTSIDERS].T, self.dosages[:, PEOPLE:].T
        return attack(members, others, np.clip(seen, 0.0, 1.0), self.frequency)

    def by_everything(self, total: ResidualScan, deviations: dict[str, float]) -> float:
        """AUC of whoever knows each candidate's trait too, and weighs every opened number by its noise."""
        centred = self.dosages - 1.0 - (2 * self.frequency - 1)[:, None]
        residual = self.trait * 0.25
        seen = total.real("centred") - PEOPLE * (2 * self.frequency - 1)
        scores = centred.T @ seen / deviations["centred"] ** 2
        scores += (centred * residual).T @ total.real("score")[:, 0] / deviations["score"] ** 2
        return auc(scores[:OUTSIDERS], scores[PEOPLE:])


@pytest.fixture(scope="module")
def games() -> list[Game]:
    return [Game(seed) for seed in range(REPEATS)]


def test_noised_output_tells_members_from_strangers_no_better_than_a_coin(games: list[Game]) -> None:
    opened = [game.opened(1.0, bytes([number])) for number, game in enumerate(games)]

    frequencies = [game.by_frequencies(total) for game, (total, _) in zip(games, opened, strict=True)]
    everything = [game.by_everything(*found) for game, found in zip(games, opened, strict=True)]
    assert 0.45 < np.mean(frequencies) < HIDDEN
    assert 0.45 < np.mean(everything) < HIDDEN


def test_the_attack_is_alive_on_the_same_sums_without_noise(games: list[Game]) -> None:
    found = [game.by_frequencies(game.opened(1e8, b"")[0]) for game in games]

    assert np.mean(found) > ALIVE


def test_no_attacker_at_all_does_better_than_the_budget_says() -> None:
    # Of two worlds that differ by one person, everything that a run opens tells no more than a Gaussian shift does.
    from scipy.stats import norm

    best = norm.cdf(np.sqrt(2 * rho_of(1.0, DELTA)) / np.sqrt(2))
    assert best < 0.57


def test_averaging_many_answers_gains_no_more_than_was_paid_for(games: list[Game]) -> None:
    game = games[0]
    exact = game.opened(1e8, b"")[0].real("centred")

    # The same question again and again: the same totals, so the mean is no better than one.
    again = np.array([game.opened(1.0, b"one")[0].real("centred") for _ in range(4)])
    assert (again == again[0]).all()
    # A node that drew noise anew each time would give itself away by the root of the number of answers.
    anew = np.array([game.opened(1.0, bytes([number]))[0].real("centred") for number in range(4)])
    assert (anew.mean(axis=0) - exact).std() < 0.6 * (again.mean(axis=0) - exact).std()


def test_a_person_left_out_does_not_show_in_the_difference(games: list[Game]) -> None:
    game = games[0]
    without = replace(game.sums.sites[0], allowed=game.sums.sites[0].allowed & (np.arange(PEOPLE) != 0))
    smaller = Game.__new__(Game)
    smaller.__dict__.update(game.__dict__, sums=LocalSums([without, *game.sums.sites[1:]]))

    person = game.dosages[:, 0] - 1.0
    exact = game.opened(1e9, b"")[0].real("centred") - smaller.opened(1e9, b"")[0].real("centred")
    assert np.array_equal(np.rint(exact), person)
    noised = game.opened(1.0, b"k")[0].real("centred") - smaller.opened(1.0, b"k")[0].real("centred")
    assert np.mean(np.rint(noised) == person) < 0.05
