"""The preview of a plan: every number of the schemas, in the words of the rules that bind; nothing changes by it."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedstats.documents import digest, encode
from fedstats.errors import UsageError
from fedstats.step import STEPS
from fedstats.study import Floors, Study, Term, Trait
from fedstats.wire.messages import Plan
from node_agent.cli import app
from node_agent.config import read_settings
from node_agent.looking import looking
from node_agent.plans import plan_named
from node_agent.preview import ONCE_A_BLOCK, Preview, preview, protection
from tests.node_agent.driver import SCANNED, TEST_FLOORS, Driver, driven_locally
from tests.node_agent.sites import Federation, make_federation

AGED = replace(SCANNED, id="a0", terms=(Term("age", "age"),))


@pytest.fixture
def federation(tmp_path: Path) -> Federation:
    return make_federation(tmp_path)


def linear(driver: Driver, *models, **changes: object) -> Plan:
    study = Study(analysis="gwas/linear", models=models or (AGED,), nodes=driver.names, floors=TEST_FLOORS)
    return driver.plan(study=study, privacy="masked", **changes)


def looked_at(federation: Federation, plan: Plan, node: str = "FI") -> Preview:
    with looking(read_settings(federation.site(node).config)) as copy:
        return preview(copy, plan)


def steps_of(found: Preview) -> dict[str, int]:
    return {one.step: one.times for one in found.steps if one.times}


def test_every_number_of_every_schema_is_shown(federation: Federation):
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver))

    assert steps_of(found) == {
        "columns/moments@1": 1,
        "columns/cross_products@2": 1,
        "genotypes/counts@2": 1,
        "linear_gwas/scan@1": 1,
    }
    for one in found.steps:
        assert [field.field for field in one.fields] == list(STEPS[one.step].release.schema())
        assert one.numbers == sum(field.numbers for field in one.fields if field.along != ONCE_A_BLOCK)
    counts = next(one for one in found.steps if one.step == "genotypes/counts@2")
    assert [field.field for field in counts.fields if field.along == ONCE_A_BLOCK] == ["people"]
    scan = next(one for one in found.steps if one.step == "linear_gwas/scan@1")
    # one covariate and one trait, no effects of sites
    assert [(field.field, field.numbers) for field in scan.fields] == [
        ("design_genotype", 1),
        ("trait_genotype", 1),
        ("local_square", 0),
    ]
    assert scan.rule == "variants with min_mac 20, carriers at 2 nodes; min_people 50; min_nodes 3"


def test_a_plan_that_would_be_served_names_no_refusal_and_what_it_charges(federation: Federation):
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver))

    assert found.refusals == ()
    # the intercept, age, q1; six counts of a variant, and its products with age and q1
    assert found.charges == {"columns of a0": 3, "numbers of a0": 8}
    assert found.budgets["test|demo|queries"] == "999 left of 1000"
    assert found.budgets["test|demo|columns"] == "up to 4/4 spent"  # 3 of 0.05 x 60
    assert found.budgets["test|demo|numbers"] == "up to 2/4 spent"  # 8 of 0.5 x 60
    assert not any("had been given before" in note for note in found.notes)


def count_in_other_blocks(driver: Driver, plan: Plan, times: int) -> None:
    """Give the six counts of every autosomal variant so many times; they are free in the same blocks only."""
    for call in range(times):
        blocks = np.split(np.arange(30), [10 + call])
        driver.whole_pass(plan, *driver.order(plan, blocks, call=call))


@pytest.mark.parametrize(("times", "left"), [(1, "up to 2/4 spent"), (2, "up to 3/4 spent"), (3, "up to 4/4 spent")])
def test_budgets_afterwards_have_the_numbers_of_earlier_runs_in_them(federation: Federation, times: int, left: str):
    with driven_locally(federation) as driver:
        plan = replace(linear(driver), privacy="plain")
        driver.begin(plan)
        count_in_other_blocks(driver, plan, times)
        found = looked_at(federation, replace(plan, run="run-2"))

    assert (found.refusals, found.charges) == ((), {"numbers of a0": 8})
    assert found.budgets["test|demo|numbers"] == left  # 8 and 6 for each time, of 0.5 x 60
    assert any("had been given before" in note for note in found.notes)


def test_numbers_beyond_the_budget_with_those_of_earlier_runs_are_said_to_be_refused_on_the_way(federation: Federation):
    with driven_locally(federation) as driver:
        plan = replace(linear(driver), privacy="plain")
        driver.begin(plan)
        count_in_other_blocks(driver, plan, 4)
        found = looked_at(federation, replace(plan, run="run-2"))

    (refusal,) = found.refusals
    assert refusal.code == "BUDGET_NUMBERS"
    assert refusal.message.startswith("on the way: policy rule numbers_per_person: with model a0")
    assert found.budgets["test|demo|numbers"] == "up to 4/4 spent"


def test_models_of_one_plan_share_the_budget_of_their_people(federation: Federation):
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver, AGED, SCANNED, replace(AGED, id="a1")))

    assert [found.charges[f"numbers of {model}"] for model in ("a0", "q0", "a1")] == [8, 7, 8]
    assert found.budgets["test|demo|numbers"] == "up to 4/4 spent"  # 23 of 0.5 x 61


def test_all_that_would_be_refused_is_said_at_once(federation: Federation):
    smoke = replace(AGED, traits=(Trait("smoke", "binary", "01"),))
    with driven_locally(federation) as driver:
        study = Study("gwas/logistic", (smoke,), driver.names, floors=Floors(min_people=10))
        found = looked_at(federation, driver.plan(study=study, privacy="dp"))

    said = {one.code: one.message for one in found.refusals}
    assert {"POLICY_ANALYSES", "NO_COLUMN"} <= set(said)
    assert all("FI" not in message for message in said.values())


def test_columns_beyond_the_budget_are_refused_in_the_preview_as_in_the_run(federation: Federation):
    many = replace(AGED, traits=(Trait("q1", "quantitative"),), terms=tuple(Term(n, "age", n, True) for n in "abcd"))
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver, many))

    assert "BUDGET_COLUMNS" in {one.code for one in found.refusals}


def test_both_budgets_that_would_be_exceeded_are_said_at_once(federation: Federation):
    same = [replace(AGED, id=f"a{number}") for number in range(4)]
    another = replace(SCANNED, traits=(Trait("age", "quantitative"),))
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver, *same, another))

    assert {"BUDGET_COLUMNS", "BUDGET_NUMBERS"} <= {one.code for one in found.refusals}
    assert found.charges == {}


def test_looking_changes_nothing_at_the_node(federation: Federation):
    ledger = federation.site("FI").folder / "state" / "ledger.sqlite"
    with driven_locally(federation) as driver:
        driver.begin(linear(driver))
        other = linear(driver, run="run-9")
        agent = driver.lines["FI"].agent
        before = agent.node.ledger.head, agent.node.ledger.rows("SELECT count(*) FROM budget_columns")
        looked_at(federation, other)
        after = agent.node.ledger.head, agent.node.ledger.rows("SELECT count(*) FROM budget_columns")

    assert after == before
    assert ledger.exists()


def test_a_plan_is_found_in_a_file_and_among_those_proposed(federation: Federation, tmp_path: Path):
    with driven_locally(federation) as driver:
        plan = linear(driver)
        driver.propose(plan)
    (tmp_path / "plan.json").write_bytes(encode(plan))
    (tmp_path / "other.json").write_text("{}")

    with looking(read_settings(federation.site("FI").config)) as copy:
        assert plan_named(copy, str(tmp_path / "plan.json")) == plan
        assert plan_named(copy, digest(plan)[:8]) == plan_named(copy, "run-1") == plan
        with pytest.raises(UsageError, match="no plan was proposed here that begins like 'f00'"):
            plan_named(copy, "f00")
        with pytest.raises(UsageError, match=r"other\.json holds no plan"):
            plan_named(copy, str(tmp_path / "other.json"))


def test_the_command_shows_and_lists(federation: Federation, tmp_path: Path):
    with driven_locally(federation) as driver:
        plan = linear(driver)
        driver.begin(plan)
    (tmp_path / "plan.json").write_bytes(encode(plan))
    words = ["preview", "--config", str(federation.site("FI").config)]

    listed = CliRunner().invoke(app, words)
    shown = CliRunner().invoke(app, [*words, str(tmp_path / "plan.json")])
    data = CliRunner().invoke(app, [*words, "--json", "run-1"])

    assert (listed.exit_code, shown.exit_code, data.exit_code) == (0, 0, 0), data.output
    assert f"{digest(plan)[:16]}" in listed.output
    assert "begun" in listed.output
    for text in ("linear_gwas/scan@1", "trait_genotype", "min_mac 20", "only the sum over all 3 nodes", "would serve"):
        assert text in shown.output
    assert json.loads(data.output)["summary"]["plan"] == digest(plan)


def test_a_custodian_reads_what_each_setting_does(federation: Federation):
    with driven_locally(federation) as driver:
        plan = linear(driver)

    assert protection(replace(plan, privacy="plain")).startswith("plain: nothing. The coordinator reads this node's")
    assert "only the sum over all 3 nodes" in protection(plan)
    assert "encrypted" in protection(replace(plan, privacy="paillier"))


def test_a_new_step_shows_by_itself(federation: Federation, monkeypatch: pytest.MonkeyPatch):
    new = replace(STEPS["linear_gwas/scan@1"], name="linear_gwas/new@1")
    monkeypatch.setitem(STEPS, new.name, new)
    with driven_locally(federation) as driver:
        found = looked_at(federation, linear(driver))

    (shown,) = [one for one in found.steps if one.step == new.name]
    assert (shown.times, shown.numbers) == (0, 2)


def test_two_models_of_one_id_are_refused_in_the_preview_as_in_the_run(federation: Federation):
    with driven_locally(federation) as driver:
        plan = linear(driver)
        found = looked_at(federation, replace(plan, study=replace(plan.study, models=plan.study.models * 2)))

    assert "MALFORMED" in {one.code for one in found.refusals}
