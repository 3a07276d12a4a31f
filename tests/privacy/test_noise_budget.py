"""The noise of whole runs: what their plan says it costs, against dp-accounting, and how it is split."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

import fedstats.analyses  # noqa: F401  # fills the table of analyses
from fedstats.analyses.noised_scan import residual_scan
from fedstats.analysis import NOISED, Expected
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.planning.setting_options import SettingOptions
from fedstats.privacy.zcdp import epsilon_of, honest_nodes
from fedstats.step import STEPS
from fedstats.study import Block, Model, Study, Term, Trait
from fedstats.wire.noise import (
    bounded_schema,
    multiplier_of,
    noise_of,
    plan_noise,
    release_rho,
    share_of_noise,
    total_deviations,
)

DELTA = 1e-6
TRAITS = (Trait("b1", "binary", "01"), Trait("b2", "binary", "01"))
TERMS = tuple(Term(f"x{number}", f"x{number}") for number in range(5))
#: Within 5 % of dp-accounting on the safe side (issue); its grid of orders costs it a thousandth.
SAFE_SIDE, GRID = 1.05, 1e-3


def study(analysis: str, kinds: tuple[str, ...] = ("autosome", "x"), nodes: int = 3) -> Study:
    models = tuple(Model(f"{kind[0]}0", kind, TRAITS, TERMS) for kind in kinds)  # type: ignore[arg-type]  # kinds
    return Study(analysis, models, tuple(f"n{number}" for number in range(nodes)))


def expected(of: Study, variants: int) -> list[Expected]:
    kinds = np.array([0] * (variants - 50) + [1] * 50, np.uint8)
    from fedstats.study import chunks

    return list(NOISED[of.analysis](of, chunks(kinds, np.arange(variants), 65_536)))


@pytest.mark.parametrize("analysis", ["gwas/linear-noised", "gwas/logistic-noised", "freq-noised"])
@pytest.mark.parametrize("epsilon", [0.5, 3.0, 10.0])
def test_a_plan_spends_what_it_was_given_and_dp_accounting_agrees(analysis: str, epsilon: float) -> None:
    import dp_accounting

    of = study(analysis)
    sums = expected(of, 400)
    noise = plan_noise(sums, 3, epsilon, DELTA)
    rho = 0.0
    accountant = dp_accounting.rdp.RdpAccountant()
    for one in sums:
        multiplier = multiplier_of(noise, one.model.id, one.step.name)
        rho += one.times * release_rho(one.step, one.sizes, multiplier, 3)
        # The whole release as one Gaussian: the most that a person changes, in units of the honest noise.
        fields = bounded_schema(one.step).values()
        length = sqrt(sum(one.elements(field.dims) / field.coarseness**2 for field in fields)) / multiplier
        for _ in range(one.times):
            accountant.compose(dp_accounting.GaussianDpEvent(1 / length))

    ours, theirs = epsilon_of(rho, DELTA), accountant.get_epsilon(DELTA)
    assert 0.999 * epsilon < ours <= epsilon * (1 + 1e-9)
    assert theirs * (1 - GRID) <= ours <= theirs * SAFE_SIDE


def test_passes_get_a_part_in_proportion_to_what_a_person_changes_in_them() -> None:
    of = study("gwas/linear-noised", ("autosome",))
    noise = plan_noise(expected(replace(of, models=of.models), 1050)[:2], 3, 1.0, DELTA)
    costs = {
        one.step.name: release_rho(one.step, one.sizes, multiplier_of(noise, "a0", one.step.name), 3)
        for one in expected(of, 1050)[:2]
    }

    columns, variants = costs["noised_gwas/products@1"], costs["noised_gwas/scan@1"]
    # 35 numbers of a person against 1,000 variants with two scores and two coarser counts, and four finer totals.
    assert variants / columns == pytest.approx(sqrt((2000 + 500 + 64) / 35), rel=0.02)


@pytest.mark.parametrize("nodes", [2, 3, 6, 15])
def test_honest_nodes_alone_already_add_what_was_planned(nodes: int) -> None:
    model = Model("a0", "autosome", TRAITS, TERMS)
    sizes = Expected(model, residual_scan, Block(np.arange(10))).sizes

    share = share_of_noise(residual_scan, sizes, 40.0, nodes)
    scores = share.sigma[:20] / 2.0**12  # ten variants, two traits
    assert scores == pytest.approx(np.full(20, 40.0 / sqrt(honest_nodes(nodes))))
    assert total_deviations(residual_scan, 40.0, nodes)["score"] == pytest.approx(scores[0] * sqrt(nodes))
    # Each noise is coarser or finer as the release declares.
    assert share.sigma[20] == pytest.approx(2 * share.sigma[0])
    assert share.sigma[-1] == pytest.approx(share.sigma[0] / 4)


def test_variants_of_every_kind_are_paid_for_together() -> None:
    of = study("gwas/linear-noised")
    kinds = np.array([0] * 300 + [1] * 100, np.uint8)
    options = SettingOptions(epsilon=2.0, delta=DELTA)

    noise = noise_of(of, options, kinds, np.arange(400), 65_536)
    assert {(one.model, one.step.split("/")[1]) for one in noise} == {
        ("a0", "products@1"),
        ("a0", "scan@1"),
        ("x0", "products@1"),
        ("x0", "scan@1"),
    }
    assert noise_of(replace(of, analysis="gwas/linear"), options, kinds, np.arange(400), 65_536) == ()


def test_steps_of_which_nobody_knows_what_a_person_changes_cannot_be_noised() -> None:
    for name in ("genotypes/counts@2", "columns/moments@1", "linear_gwas/scan@1"):
        with pytest.raises(ProtocolRefused) as caught:
            bounded_schema(STEPS[name])
        assert caught.value.code == "NOT_BOUNDED"
    with pytest.raises(ProtocolRefused, match="no noise for"):
        multiplier_of((), "a0", "noised_gwas/scan@1")


def test_too_little_for_too_much_is_refused() -> None:
    with pytest.raises(UsageError, match="drown any study") as caught:
        plan_noise(expected(study("gwas/linear-noised"), 5000), 3, 1e-6, DELTA)
    assert caught.value.code == "TOO_NOISY"
