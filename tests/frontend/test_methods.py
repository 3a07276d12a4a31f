"""The Methods of a report say what was done, and nothing that was not."""

from dataclasses import replace

import pytest

from fedstats.frontend.methods import methods
from fedstats.study import Filters, Floors, Model, Study, Term, Trait

TRAIT = Trait("y", "quantitative")
LINEAR = Study("gwas/linear", (Model("a0", "autosome", (TRAIT,)),), ("FI", "EE", "NO"), floors=Floors())
LOGISTIC = replace(LINEAR, analysis="gwas/logistic")
LOCAL = Model("a0", "autosome", (TRAIT,), local_terms=(Term("PC1", "PC1"), Term("PC2", "PC2")), site_effects=True)


@pytest.mark.parametrize(
    ("study", "said"),
    [
        (LINEAR, "tested by linear regression with the same answer as on pooled data: 3 sites"),
        (LINEAR, "fewer than 20 minor alleles, or carriers at fewer than 2 sites, were not tested"),
        (LOGISTIC, "tested by logistic regression with"),
        (replace(LOGISTIC, test="score"), "tested by the score test of logistic regression"),
        (replace(LOGISTIC, test="score"), "Effects are one step from the model without the variant."),
        (replace(LOGISTIC, test="score-refit"), "score statistic beyond ±3 were fitted in full"),
        (replace(LOGISTIC, convergence="plink"), "followed PLINK 2's iterations"),
        (replace(LINEAR, models=(replace(LOCAL, local_terms=()),)), "Every site had an intercept of its own"),
        (replace(LINEAR, models=(LOCAL,)), "an intercept and slopes for PC1 and PC2 of its own"),
        (replace(LINEAR, missing="drop"), "left out variant by variant, or replaced by the mean dosage"),
        (replace(LINEAR, missing="drop-strict"), "have no result"),
        (
            replace(LINEAR, filters=Filters(maf=0.01, geno=0.05, hwe=1e-6)),
            "at most 5 % missing genotypes, a minor allele frequency of at least 0.01 and a Hardy-Weinberg P",
        ),
        (
            replace(LINEAR, filters=Filters(hwe_pooled=1e-6)),
            "an exact Hardy-Weinberg P of at least 1e-06, sites pooled",
        ),
        (replace(LINEAR, analysis="freq"), "Counts were summed over 3 sites"),
        (replace(LINEAR, analysis="gwas/linear-noised"), "score tests of linear regression on sums over 3 sites"),
    ],
)
def test_what_was_done_is_said(study: Study, said: str) -> None:
    assert said in methods(study, 3)


def test_what_was_not_done_is_not_said() -> None:
    plain = methods(LINEAR, 3) + methods(LOGISTIC, 3)

    for words in ("score", "Every site had", "kept", "PLINK", "chosen beforehand"):
        assert words not in plain


def test_options_that_chose_the_variants_are_named() -> None:
    assert methods(LINEAR, 3, ("chr", "extract")).startswith("Variants were chosen beforehand (--chr and --extract).")
