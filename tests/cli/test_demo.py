"""A demo of a size that cannot be analysed is refused before anything is made, and the least size is enough."""

from pathlib import Path

import numpy as np
import pytest

from fedstats.cli.demo import COVARIATES, LEAST_SAMPLES, TRAITS
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate
from node_agent.budgets import company
from node_agent.policy import Policy
from tests.cli.command import Command

#: Numbers of a variant, besides rounds, that `fedstats-node preview` shows of the demo's plans: counts (9 on X, by
#: sex), the linear scan (7), counts of cases (4), score tests (15).
BESIDES_ROUNDS = 9 + 7 + 4 + 15


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--samples", LEAST_SAMPLES - 1], [f"--samples is {LEAST_SAMPLES - 1}", "2,000 people at least"]),
        (["--samples", "900"], ["2,000 people at least"]),
        (["--variants", "50"], ["--variants is 50", "must lie between 100"]),
    ],
)
def test_a_demo_that_is_too_small_is_refused_before_anything_is_made(
    fedstats: Command, tmp_path: Path, words: list[str], said: list[str]
) -> None:
    ended = fedstats("demo", "--out", tmp_path / "demo", *words)

    assert ended.code == 2
    assert ended.output == ""
    assert all(text in ended.errors for text in said), ended.errors
    assert not (tmp_path / "demo").exists()


def test_a_demo_that_is_too_small_leaves_an_earlier_one_alone(fedstats: Command, tmp_path: Path) -> None:
    earlier = tmp_path / "demo" / "data.truth.tsv"
    earlier.parent.mkdir()
    earlier.write_text("TRAIT\n")

    fedstats("demo", "--out", tmp_path / "demo", "--samples", "900")

    assert earlier.read_text() == "TRAIT\n"


def test_the_least_demo_has_the_numbers_that_five_rounds_take(tmp_path: Path) -> None:
    simulate(tmp_path / "data", Recipe(samples=LEAST_SAMPLES, variants=100))
    lines = (tmp_path / "data.covar.tsv").read_text().splitlines()
    site = lines[0].split("\t").index("site")
    smallest = int(np.unique([line.split("\t")[site] for line in lines[1:]], return_counts=True)[1].min())
    coefficients = len(COVARIATES) + 2  # with the intercept and the genotype
    a_round = coefficients + coefficients * (coefficients + 1) // 2

    policy = Policy()
    people = smallest + company([policy.min_people] * 2, 3)

    assert TRAITS == ("q1", "b1")
    assert BESIDES_ROUNDS + 5 * a_round <= policy.numbers_per_person * people
