"""Models whose people are too close to one another: what nodes say, and what planning makes of it."""

from dataclasses import replace

import numpy as np
import pytest

from fedstats.dataset import Dataset, cohort_of
from fedstats.errors import DisclosureRefused
from fedstats.planning.distance import TOO_CLOSE_TO_EARLIER, keep_apart, refuse_close, with_beside
from fedstats.planning.grouping import group
from fedstats.planning.request import Request
from fedstats.planning.resolve import resolve
from fedstats.planning.serve import serve
from fedstats.planning.survey import ModelServe, Reason, Serve
from fedstats.study import Floors, Study
from tests.planning.people import OPEN, dataset, surveys

FLOORS = replace(OPEN, min_level=3)
PEOPLE = 12


def lacking(*people: int, binary: bool = False) -> list[float | None]:
    """A trait that some people do not have."""
    return [None if n in people else float(n % 2 if binary else n + 0.5) for n in range(PEOPLE)]


def nodes_of(**columns: list[float | None]) -> dict[str, Dataset]:
    """Three nodes: FI with these columns, two others where everybody has everything."""
    whole = {name: lacking(binary=name.startswith("b")) for name in columns}
    return {"FI": dataset(columns), "EE": dataset(whole), "NO": dataset(whole)}


def planned(nodes: dict[str, Dataset], kinds: tuple[str, ...] = ("autosome",)) -> tuple[Study, ...]:
    names = tuple(nodes["FI"].columns)
    request = Request("gwas", names)
    return with_beside(resolve(request, kinds, surveys(request, nodes, FLOORS), FLOORS).studies)  # type: ignore[arg-type]


def served(study: Study, nodes: dict[str, Dataset], floors: Floors = FLOORS) -> dict[str, Serve]:
    return {name: serve(data, study, floors, np.ones(data.people, np.bool_)) for name, data in nodes.items()}


def settled(nodes: dict[str, Dataset], kinds: tuple[str, ...] = ("autosome",)) -> tuple[tuple[Study, ...], list[str]]:
    """Studies once nothing changes any more, and the notes on the way."""
    studies, notes = planned(nodes, kinds), []
    while True:
        apart = keep_apart(studies, [served(study, nodes) for study in studies])
        if apart.studies == studies:
            return studies, notes
        notes += [note.message for note in apart.notes]
        studies = apart.studies


def people(nodes: dict[str, Dataset], study: Study, model: int = 0) -> list[int]:
    found = cohort_of(nodes["FI"], study.scanned[model], np.ones(PEOPLE, np.bool_))
    return found.rows.tolist()


def test_a_node_says_which_models_are_too_close_and_not_how_far():
    nodes = nodes_of(q=lacking(0), r=lacking(1), s=lacking(2, 3, 4, 5))
    (study,) = planned(nodes)

    answer = serve(nodes["FI"], study, FLOORS, np.ones(PEOPLE, np.bool_))

    # r differs from q by 2 people, s from both by 5; the floor is 3
    assert [each.too_close for each in answer.models] == [("a1",), ("a0",), (), ()]
    assert all(each.too_close == () for each in served(study, nodes)["EE"].models)


def test_as_many_people_as_the_floor_are_enough():
    nodes = nodes_of(q=lacking(0), s=lacking(0, 1, 2, 3))
    (study,) = planned(nodes)

    assert all(each.too_close == () for each in served(study, nodes)["FI"].models)
    stricter = served(study, nodes, replace(FLOORS, min_level=4))["FI"]
    assert [each.too_close for each in stricter.models] == [("a1",), ("a0",), ()]


def test_traits_that_are_too_close_at_one_node_take_their_common_people():
    nodes = nodes_of(q=lacking(0), r=lacking(1), s=lacking(2, 3, 4, 5))

    (study,), notes = settled(nodes)

    grouped = group(study, served(study, nodes)).study
    assert [[t.name for t in m.traits] for m in grouped.scanned] == [["q", "r"], ["s"]]
    assert people(nodes, grouped) == list(range(2, PEOPLE))
    assert people(nodes, grouped, 1) == [0, 1, *range(6, PEOPLE)]
    assert notes == [
        (
            "q and r: at FI the people of these traits differ by so few that subtraction would show them, so each is "
            "analysed on the people who have all of them"
        )
    ]


def test_traits_of_two_studies_are_compared_as_well():
    nodes = nodes_of(q=lacking(0), b=lacking(1, binary=True))

    (linear, logistic), _ = settled(nodes)

    assert (linear.analysis, logistic.analysis) == ("gwas/linear", "gwas/logistic")
    assert people(nodes, linear) == people(nodes, logistic) == list(range(2, PEOPLE))


def test_a_chain_of_close_traits_ends_on_the_people_who_have_all():
    nodes = nodes_of(q=lacking(), r=lacking(0, 1), s=lacking(0, 1, 2, 3))

    (study,), _ = settled(nodes)

    assert [people(nodes, study, model) for model in range(3)] == [list(range(4, PEOPLE))] * 3


def test_people_of_unknown_sex_are_left_out_everywhere_where_they_are_few():
    nodes = nodes_of(q=lacking())
    nodes["FI"] = replace(nodes["FI"], sex=np.array([0, 1] + [1, 2] * 5, np.int8))

    (study,), notes = settled(nodes, ("autosome", "x"))

    assert people(nodes, study) == people(nodes, study, 1) == list(range(1, PEOPLE))
    assert "so few people are of unknown sex" in notes[0]


def test_men_are_not_scanned_apart_where_women_are_few():
    nodes = nodes_of(q=lacking())
    nodes["FI"] = replace(nodes["FI"], sex=np.array([2] + [1] * 11, np.int8))

    (study,), _ = settled(nodes, ("autosome", "y"))

    grouped = group(study, refuse_close(study, served(study, nodes)))
    assert grouped.dropped == ("y",)
    assert "differ from those of another kind of variants by nobody, or by at least 3" in grouped.notes[0].message


def test_people_too_close_to_an_earlier_run_end_planning_with_what_to_do():
    nodes = nodes_of(q=lacking(0))
    (study,) = planned(nodes)
    close = Serve((ModelServe("a0", "a0", (Reason(TOO_CLOSE_TO_EARLIER, 3),)), ModelServe("people", "people")))

    with pytest.raises(DisclosureRefused, match=r"q: the policy of FI wants people who differ .* earlier runs") as at:
        group(study, {**served(study, nodes), "FI": close})

    assert at.value.code == "TOO_CLOSE"
    assert "--people-as" in at.value.hint


def test_nothing_is_too_close_where_the_floor_is_one():
    nodes = nodes_of(q=lacking(0), r=lacking(1))
    (study,) = planned(nodes)

    answers = served(study, nodes, OPEN)

    assert keep_apart((study,), [answers]).studies == (study,)
