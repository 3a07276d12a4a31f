"""The policy: default deny, documented defaults, hard floors, and a refusal for each rule."""

from dataclasses import replace

import pytest

from fedstats.errors import Refused
from fedstats.planning.request import Request
from fedstats.study import Floors, Model, Study, Trait
from fedstats.wire.messages import Plan
from node_agent.policy import HARD_FLOORS, PRIVACY, Policy, authorise, read_policy

ALLOWING = Policy(analyses=("freq", "gwas/linear"))
NODES = ("EE", "FI", "SE")


def plan_of(privacy: str = "masked", **changes) -> Plan:
    study = Study(analysis="gwas/linear", models=(Model("a0", "autosome", (Trait("q", "quantitative"),)),), nodes=NODES)
    return Plan(
        run="r",
        federation="f",
        roster="",
        dataset="d",
        created="",
        request=Request("gwas"),
        study=replace(study, **changes),
        privacy=privacy,
        panel="",
        build="",
        variants="",
        pass_variants=1,
        protocol=1,
        versions={},
        nodes=dict.fromkeys(NODES, ""),
    )


def in_project(name: str) -> Plan:
    return replace(plan_of(), request=Request("gwas", project=name))


def test_a_plan_that_everything_allows_is_accepted():
    authorise(ALLOWING, plan_of(), "coordinator", 0)


def test_nothing_is_allowed_by_default():
    with pytest.raises(Refused, match="rule analyses"):
        authorise(Policy(), plan_of(), "coordinator", 0)


@pytest.mark.parametrize(
    ("policy", "plan", "begun", "rule", "limit"),
    [
        (replace(ALLOWING, coordinators=("other",)), plan_of(), 0, "coordinators", "'coordinator'"),
        (ALLOWING, plan_of(analysis="gwas/logistic"), 0, "analyses", "freq, gwas/linear"),
        (ALLOWING, plan_of(privacy="plain"), 0, "privacy", "masked"),
        (ALLOWING, plan_of(nodes=("EE", "FI")), 0, "min_nodes", "smaller than 3"),
        (ALLOWING, plan_of(missing="drop"), 0, "allow_drop", "drop"),
        (ALLOWING, plan_of(missing="drop-strict"), 0, "allow_drop", "drop-strict"),
        (ALLOWING, plan_of(models=(Model("a0", "autosome", site_effects=True),)), 0, "allow_site_effects", "not"),
        (replace(ALLOWING, max_queries=3), plan_of(), 3, "max_queries", "3 runs of the project"),
        (ALLOWING, in_project("other"), 0, "projects", "'other'"),
        (ALLOWING, plan_of(floors=Floors(min_people=99)), 0, "min_people", "99 .* limit is 100"),
        (ALLOWING, plan_of(floors=Floors(min_arm=19)), 0, "min_arm", "limit is 20"),
        (ALLOWING, plan_of(floors=Floors(min_level=9)), 0, "min_level", "limit is 10"),
        (ALLOWING, plan_of(floors=Floors(min_nodes=2)), 0, "min_nodes", "limit is 3"),
        (ALLOWING, plan_of(floors=Floors(min_mac=19)), 0, "min_mac", "limit is 20"),
        (ALLOWING, plan_of(floors=Floors(min_missing=9)), 0, "min_missing", "limit is 10"),
        (ALLOWING, plan_of(floors=Floors(min_carrier_nodes=1)), 0, "min_carrier_nodes", "limit is 2"),
        (ALLOWING, plan_of(floors=Floors(parameters_per_person=0.06)), 0, "parameters_per_person", "limit is 0.05"),
        (ALLOWING, plan_of(floors=Floors(validation=True)), 0, "preset", "validation"),
    ],
)
def test_refusal_names_rule_and_limit_and_says_that_nothing_was_sent(policy, plan, begun, rule, limit):
    with pytest.raises(Refused, match=rf"rule {rule}: .*{limit}.*Nothing was sent\.") as caught:
        authorise(policy, plan, "coordinator", begun)

    assert caught.value.code == f"POLICY_{rule.upper()}"


def test_stricter_floors_of_other_nodes_are_fine():
    authorise(ALLOWING, plan_of(floors=Floors(min_people=1000, parameters_per_person=0.01)), "coordinator", 0)


def test_projects_that_are_named_may_be_charged():
    authorise(replace(ALLOWING, projects=("other",)), in_project("other"), "coordinator", 0)


def test_no_limit_of_queries_where_it_is_0():
    authorise(replace(ALLOWING, max_queries=0), plan_of(), "coordinator", 10**6)


@pytest.mark.parametrize(("key", "hard"), HARD_FLOORS.items())
def test_hard_floors_cannot_be_undercut(key: str, hard: int):
    policy, faults = read_policy({key: hard - 1})

    assert faults == [f"[policy] {key} = {hard - 1} is below {hard}, which no configuration may undercut"]
    assert policy == Policy()


@pytest.mark.parametrize(("key", "hard"), HARD_FLOORS.items())
def test_hard_floors_themselves_are_allowed(key: str, hard: int):
    policy, faults = read_policy({key: hard})

    assert not faults
    assert getattr(policy, key) == hard


def test_hard_floors_are_those_of_the_decision():
    # decisions E4; min_missing has none there and stays above a level's.
    assert HARD_FLOORS == {
        "min_people": 50,
        "min_arm": 10,
        "min_level": 5,
        "min_nodes": 3,
        "min_mac": 5,
        "min_missing": 5,
    }


def test_defaults_are_those_of_the_decision():
    # decisions E4: 100, 20, 10, 3, 20
    assert Policy().floors() == Floors(100, 20, 10, 3, 20, 2, 10, 2, 0.05, validation=False)


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ({"min_poeple": 100}, "unknown key 'min_poeple'; did you mean 'min_people'?"),
        ({"analyses": ["gwas"]}, "'gwas' is not one of freq"),
        ({"analyses": "freq"}, "analyses must be a list of names"),
        ({"privacy": ["none"]}, "privacy: 'none' is not one of masked, plain"),
        ({"privacy": ["plain"]}, 'privacy = "plain" needs a reason'),
        ({"allow_drop": True}, "allow_drop needs a reason"),
        ({"allow_two_nodes": True}, "allow_two_nodes needs a reason"),
        ({"allow_site_effects": True, "reason": " "}, "allow_site_effects needs a reason"),
        ({"min_people": "many"}, "min_people must be a whole number"),
        ({"min_people": True}, "min_people must be a whole number"),
        ({"allow_drop": 1}, "allow_drop must be true or false"),
        ({"reason": 3}, "reason must be a text"),
        ({"parameters_per_person": 0.3}, "parameters_per_person must lie above 0 and at most at 0.1"),
        ({"parameters_per_person": float("nan")}, "parameters_per_person must lie above 0"),
        ({"numbers_per_person": 1.5}, "numbers_per_person must lie above 0 and at most at 1"),
        ({"max_queries": -1}, "max_queries must not be negative"),
        ({"approval": "ask"}, "approval: 'ask' is not known"),
        ({"preset": "open"}, "preset: 'open' is not known"),
        ({"min_nodes": 2}, "min_nodes = 2 is below 3"),
    ],
)
def test_each_fault_of_the_table_is_named(table, fault):
    _, faults = read_policy(table)

    assert len(faults) == 1
    assert fault in faults[0]


def test_all_faults_come_at_once():
    _, faults = read_policy({"min_people": 3, "min_arm": 2, "allow_drop": True})

    assert len(faults) == 3


def test_two_nodes_are_the_floor_where_they_are_allowed():
    policy, faults = read_policy({"allow_two_nodes": True, "reason": "two hospitals of one owner"})

    assert not faults
    assert policy.min_nodes == 2


def test_validation_sets_every_floor_of_people_to_1_and_keeps_three_nodes():
    policy, faults = read_policy({"preset": "validation"})

    assert not faults
    floors = policy.floors()
    found = (floors.min_people, floors.min_arm, floors.min_level, floors.min_missing, floors.min_carrier_nodes)
    assert found == (1, 1, 1, 1, 1)
    assert (floors.min_mac, floors.min_nodes, floors.validation) == (1, 3, True)
    assert policy.allow_drop
    assert policy.privacy == PRIVACY
