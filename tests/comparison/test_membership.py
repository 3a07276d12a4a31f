"""Membership inference: the attack is alive where nothing protects, and blind where something does."""

from itertools import product
from statistics import mean

import numpy as np
import pytest

from fedstats.arrays import Reals
from fedstats.comparison.membership import attack, auc, log_likelihood_ratio
from fedstats.comparison.uploads import CONCEALED, seen_in_upload

NODE, NODES, VARIANTS, OUTSIDERS, REPEATS = 500, 3, 1_000, 300, 10
#: Ten repeats of 300 against 300: the standard error of the mean AUC is 0.0075, so 0.05 is more than six of them.
BLIND = (0.45, 0.55)
ALIVE = 0.75


def test_auc_is_the_share_of_pairs_in_order_with_ties_half() -> None:
    rng = np.random.default_rng(1)
    members, others = (rng.integers(0, 6, size).astype(float) for size in (23, 31))

    pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a, b in product(members, others)]

    assert auc(members, others) == pytest.approx(mean(pairs), rel=1e-12)  # the same fraction, added up otherwise


def test_likelihood_ratio_is_the_binomial_one() -> None:
    dosage, seen, known = np.array([[0.0, 1.0, 2.0]]), np.array([0.2, 0.3, 0.4]), np.array([0.25, 0.25, 0.5])
    naive = np.prod(
        [(p / q) ** g * ((1 - p) / (1 - q)) ** (2 - g) for g, p, q in zip(dosage[0], seen, known, strict=True)]
    )

    assert log_likelihood_ratio(dosage, seen, known)[0] == pytest.approx(np.log(naive), rel=1e-12)


@pytest.mark.parametrize("seen", sorted(set(CONCEALED) - {"plain"}))
def test_an_upload_that_is_concealed_tells_nothing_of_members(seen: str) -> None:
    found = [_attack_on_upload(repeat, seen) for repeat in range(REPEATS)]

    assert BLIND[0] < mean(found) < BLIND[1]


def test_the_same_upload_tells_members_where_it_is_plain() -> None:
    assert mean(_attack_on_upload(repeat, "plain") for repeat in range(REPEATS)) > ALIVE


def test_a_total_of_few_people_tells_members_under_every_setting_without_noise() -> None:
    """What masks do not hide: the threat model says so, and differential privacy is for that."""
    found = []
    for repeat in range(REPEATS):
        study, outsiders, known = _people(repeat)
        found.append(attack(study[:OUTSIDERS], outsiders, study.mean(axis=0) / 2, known))

    assert mean(found) > 0.65  # 1,500 people and 1,000 variants: about the root of variants over people


def _attack_on_upload(repeat: int, seen: str) -> float:
    study, outsiders, known = _people(repeat)
    node = study[:NODE]
    return attack(node[:OUTSIDERS], outsiders, seen_in_upload(node, seen), known)


def _people(seed: int) -> tuple[Reals, Reals, Reals]:
    """Dosages of the study and of people outside, of common variants that are independent, and their frequencies."""
    rng = np.random.default_rng(seed)
    known = rng.uniform(0.05, 0.5, VARIANTS)
    study, outsiders = (
        rng.binomial(2, known, (people, VARIANTS)).astype(float) for people in (NODE * NODES, OUTSIDERS)
    )
    return study, outsiders, known
