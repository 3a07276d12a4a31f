"""What a pass depends on: the transcript binds every field of its order, and the plan of its run."""

from dataclasses import fields, replace

import numpy as np
import pytest

from fedstats.wire.messages import PassOrder, Plan
from fedstats.wire.passes import pass_context, plain_transcript
from tests.node_agent.driver import driven_locally
from tests.node_agent.sites import make_federation


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, PassOrder]:
    with driven_locally(make_federation(tmp_path_factory.mktemp("sites"))) as driver:
        plan = driver.plan(privacy="masked")
        return plan, driver.order(plan, [np.arange(3)])[0]


@pytest.mark.parametrize("name", [field.name for field in fields(PassOrder) if field.name != "step"])
def test_an_order_that_differs_in_any_field_gives_another_transcript(asked: tuple[Plan, PassOrder], name: str):
    plan, order = asked
    value = getattr(order, name)
    other = replace(order, **{name: value + 1 if isinstance(value, int) else f"{value}0"})

    assert plain_transcript(pass_context(plan, order)) == plain_transcript(pass_context(plan, replace(order)))
    assert plain_transcript(pass_context(plan, other)) != plain_transcript(pass_context(plan, order))
    assert pass_context(plan, other).parameters_digest != pass_context(plan, order).parameters_digest


def test_an_order_of_another_step_gives_another_transcript(asked: tuple[Plan, PassOrder]):
    plan, order = asked
    other = replace(order, step="genotypes/counts_by_sex@2")

    assert pass_context(plan, other).schema_digest != pass_context(plan, order).schema_digest
    assert plain_transcript(pass_context(plan, other)) != plain_transcript(pass_context(plan, order))


def test_an_order_under_another_plan_gives_another_transcript(asked: tuple[Plan, PassOrder]):
    plan, order = asked
    other = replace(plan, pass_variants=plan.pass_variants - 1)

    assert plain_transcript(pass_context(other, order)) != plain_transcript(pass_context(plan, order))
