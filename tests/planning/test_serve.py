from dataclasses import replace

import numpy as np
import pytest

from fedstats.dataset import Dataset
from fedstats.documents import decode, encode
from fedstats.errors import DisclosureRefused
from fedstats.planning.faults import listing
from fedstats.planning.grouping import group
from fedstats.planning.request import Request
from fedstats.planning.resolve import resolve
from fedstats.planning.serve import serve
from fedstats.planning.survey import Serve
from fedstats.study import Floors, Study
from tests.planning.people import OPEN, alike, dataset, surveys

REQUEST = Request("gwas", ("y", "z", "w"))
COLUMNS = {"y": [1.5, 2.5, None, 4.5], "z": [3.5, 1.5, None, 7.5], "w": [1.5, 2.5, 3.5, 4.5]}


def planned(request: Request, nodes: dict[str, Dataset], kinds: tuple[str, ...] = ("autosome",)) -> Study:
    return resolve(request, kinds, surveys(request, nodes), OPEN).studies[0]  # type: ignore[arg-type]


def served(study: Study, nodes: dict[str, Dataset], floors: Floors = OPEN) -> dict[str, Serve]:
    return {name: serve(data, study, floors, np.ones(data.people, np.bool_)) for name, data in nodes.items()}


def rules(study: Study, data: Dataset, floors: Floors) -> dict[str, list[tuple[str, float, str]]]:
    answer = served(study, {"FI": data}, floors)["FI"]
    return {each.model: [(r.rule, r.limit, r.subject) for r in each.reasons] for each in answer.models}


def test_traits_with_the_same_people_everywhere_share_a_model() -> None:
    nodes = alike(COLUMNS)
    study = planned(REQUEST, nodes)

    grouped = group(study, served(study, nodes)).study

    assert [[t.name for t in m.traits] for m in grouped.scanned] == [["y", "z"], ["w"]]


def test_traits_whose_people_differ_at_one_node_stay_apart() -> None:
    nodes = alike(COLUMNS) | {"EE": dataset(COLUMNS | {"z": [3.5, None, None, 7.5]})}
    study = planned(REQUEST, nodes)

    grouped = group(study, served(study, nodes)).study

    assert [[t.name for t in m.traits] for m in grouped.scanned] == [["y"], ["z"], ["w"]]


def test_too_few_people_are_named_by_rule_and_limit() -> None:
    nodes = alike(COLUMNS)
    study = planned(REQUEST, nodes)

    found = rules(study, nodes["FI"], replace(OPEN, min_people=4))

    assert found["a0"] == [("min_people", 4, "")]
    assert found["a2"] == []


def test_a_small_arm_is_named_with_its_trait() -> None:
    nodes = alike({"y": [0, 0, 0, 1]})
    study = planned(Request("gwas", ("y",)), nodes)

    assert rules(study, nodes["FI"], replace(OPEN, min_arm=2))["a0"] == [("min_arm", 2, "y")]


def test_a_level_may_be_absent_at_a_node_but_not_small() -> None:
    columns = {"y": [1.5, 2.5, 3.5, 4.5], "d": [0, 0, 1, 1]}
    study = planned(Request("gwas", ("y",), ("d",)), alike(columns))
    floors = replace(OPEN, min_level=2)

    assert rules(study, dataset(columns | {"d": [0, 0, 0, 1]}), floors)["a0"] == [("min_level", 2, "d")]
    assert rules(study, dataset(columns | {"d": [0, 0, 0, 0]}), floors)["a0"] == []


def test_parameters_are_limited_by_people() -> None:
    nodes = alike({"y": [1.5, 2.5, 3.5, 4.5], "age": [1, 2, 3, 4]})
    study = planned(Request("gwas", ("y",), ("age",)), nodes)

    found = rules(study, nodes["FI"], replace(OPEN, parameters_per_person=0.4))

    assert found["a0"] == [("parameters_per_person", 0.4, "")]  # 2 parameters, 0.4 x 4 people = 1.6


def test_a_node_that_does_not_serve_ends_the_run_by_name() -> None:
    nodes = alike({"y": [1.5, 2.5, 3.5, 4.5]}) | {"EE": dataset({"y": [1.5, 2.5]})}
    study = planned(Request("gwas", ("y",)), nodes)

    with pytest.raises(DisclosureRefused) as caught:
        group(study, served(study, nodes, replace(OPEN, min_people=3)))

    assert caught.value.message == "y: the policy of EE needs at least 3 people at a node"
    assert (caught.value.exit_code, "Nothing was sent" in caught.value.hint) == (3, True)


def test_a_rule_is_said_once_of_models_with_the_same_traits() -> None:
    """Too few people are too few to be counted, too: a second model with the same traits, refused for the same."""
    nodes = alike({"y": [1.5, 2.5], "age": [1, 2]})
    study = planned(Request("gwas", ("y",), ("age",)), nodes)

    with pytest.raises(DisclosureRefused) as caught:
        group(study, served(study, nodes, replace(OPEN, min_people=3, parameters_per_person=0.4)))

    said = "; ".join(
        f"the policy of {listing(list(nodes))} {rule}"
        for rule in ("needs at least 3 people at a node", "allows at most 0.4 parameters a person")
    )
    assert caught.value.message == f"y: {said}"


def test_y_without_enough_men_is_left_out_with_a_warning() -> None:
    nodes = alike({"y": [1.5, 2.5, 3.5, 4.5]})  # two men of four people
    study = planned(Request("gwas", ("y",)), nodes, ("autosome", "y"))

    grouped = group(study, served(study, nodes, replace(OPEN, min_people=3)))

    assert grouped.dropped == ("y",)
    assert [model.id for model in grouped.study.scanned] == ["a0"]
    assert grouped.notes[0].warning


def test_a_run_on_y_alone_without_enough_men_is_refused() -> None:
    nodes = alike({"y": [1.5, 2.5, 3.5, 4.5]})
    study = planned(Request("gwas", ("y",)), nodes, ("y",))

    with pytest.raises(DisclosureRefused, match="needs at least 3 people"):
        group(study, served(study, nodes, replace(OPEN, min_people=3)))


def test_what_a_node_serves_holds_no_count_and_survives_its_bytes() -> None:
    nodes = alike(COLUMNS)
    answer = served(planned(REQUEST, nodes), nodes, replace(OPEN, min_people=100))["FI"]

    assert decode(Serve, encode(answer)) == answer
    assert {reason.limit for each in answer.models for reason in each.reasons} == {100}
