"""Models whose people and columns are the same share their whole-cohort sums: when they are, and what follows."""

from dataclasses import replace

import numpy as np
import pytest

from fedstats.dataset import Column, Dataset, cohort_of
from fedstats.genotypes import pack
from fedstats.study import Model, Study, Term, Trait

AGE, SEX = Term("age", "age"), Term("sex", "sex")
AUTOSOMES = Model("a0", "autosome", (Trait("q1", "quantitative"),), (AGE, SEX))
X = replace(AUTOSOMES, id="x0", kind="x")


def study(*models: Model) -> Study:
    return Study(analysis="gwas/linear", models=models, nodes=("EE", "FI", "NO"))


def test_autosomes_and_x_are_twins_where_sex_is_a_covariate_of_both():
    assert study(AUTOSOMES, X).twin(X) == AUTOSOMES
    assert study(AUTOSOMES, X).twin(AUTOSOMES) == AUTOSOMES


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (replace(AUTOSOMES, terms=(AGE,)), X),  # sex is added on X alone
        (replace(AUTOSOMES, terms=(AGE,)), replace(X, terms=(AGE,))),  # people of unknown sex are out on X alone
        (AUTOSOMES, replace(X, terms=(SEX, AGE))),
        (AUTOSOMES, replace(X, traits=(Trait("q2", "quantitative"),))),
        (AUTOSOMES, replace(X, site_effects=True)),
        (AUTOSOMES, replace(X, kind="y")),  # males
        (AUTOSOMES, replace(X, common=(Trait("q2", "quantitative"),))),
        (replace(AUTOSOMES, accounting=True), X),
        (replace(AUTOSOMES, terms=(AGE, Term("sex_2", "sex", "2", True))), replace(X, terms=(AGE, SEX))),
    ],
)
def test_models_that_differ_in_people_or_columns_are_no_twins(one: Model, other: Model):
    assert study(one, other).twin(other) == other


def test_people_of_unknown_sex_are_out_on_both_once_that_is_asked_for():
    one, other = replace(AUTOSOMES, terms=(AGE,), sex_known=True), replace(X, terms=(AGE,))

    assert study(one, other).twin(other) == one


def test_cohorts_of_twins_are_the_same_array_for_array():
    rng = np.random.default_rng(4)
    values = {name: np.where(rng.random(200) < 0.1, np.nan, rng.normal(size=200)) for name in ("age", "q1")}
    names = np.array([f"P{n}" for n in range(200)])
    columns = {name: Column(name, numbers, numbers.astype(str)) for name, numbers in values.items()}
    genotypes = pack(np.zeros((1, 200), np.int8))
    dataset = Dataset(names, names, rng.integers(0, 3, 200).astype(np.int8), columns, _Source(genotypes))
    allowed = rng.random(200) < 0.9

    one, other = (cohort_of(dataset, model, allowed) for model in (AUTOSOMES, X))

    assert 0 < one.size < 200
    for name in ("people", "covariates", "traits", "site", "male"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


class _Source:
    """Genotypes that are there and never read."""

    def __init__(self, block):
        self._block = block

    def block(self, variants):
        return self._block
