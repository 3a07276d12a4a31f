from fedstats.documents import decode, encode
from fedstats.planning.request import Request
from fedstats.planning.survey import Questions, Survey, ValueClasses, strictest, survey
from fedstats.study import Floors
from tests.planning.people import OPEN, dataset, surveys


def test_values_of_a_trait_are_told_by_class_only() -> None:
    answer = survey(dataset({"y": [0, 1, -9, None, 1]}), Questions(("y",), (), ()), OPEN)

    assert answer.columns["y"].values == ValueClasses(missing=True, minus_nine=True, zero=True, one=True)


def test_a_column_varies_only_when_enough_people_differ_from_the_most_common_value() -> None:
    data = dataset({"rare": [1] * 4 + [0] * 20, "common": [1] * 5 + [0] * 19, "continuous": list(range(24))})
    names = ("rare", "common", "continuous")

    answer = survey(data, Questions((), names, ()), Floors(min_level=5))

    assert [answer.columns[name].varies for name in names] == [False, True, True]


def test_a_level_below_the_floor_is_never_named() -> None:
    data = dataset({"smoke": ["no"] * 10 + ["yes"] * 10 + ["secret"] * 3})

    answer = survey(data, Questions((), ("smoke",), ("smoke",)), Floors(min_level=10))

    assert (answer.columns["smoke"].levels, answer.columns["smoke"].small_levels) == (("no", "yes"), True)
    assert b"secret" not in encode(answer)


def test_a_column_that_is_not_there_comes_with_its_nearest_names() -> None:
    answer = survey(dataset({"age": [1], "bmi": [2]}), Questions((), ("agee",), ()), OPEN)

    assert (answer.columns["agee"].present, answer.columns["agee"].nearest) == (False, ("age",))


def test_sex_of_the_fam_file_is_a_column_for_everybody() -> None:
    answer = survey(dataset({"y": [1, 2]}, sex=[1, 2]), Questions((), ("sex",), ()), OPEN)

    assert answer.columns["sex"].numeric
    assert answer.columns["sex"].varies


def test_a_survey_survives_its_canonical_bytes() -> None:
    request = Request("gwas", ("y",), ("smoke",), ("smoke",))
    nodes = {"FI": dataset({"y": [1.5, 2.5], "smoke": ["no", "yes"]})}

    answer = surveys(request, nodes, FI="ab12")["FI"]

    assert decode(Survey, encode(answer)) == answer


def test_floors_of_a_run_are_the_strictest_at_each_point() -> None:
    loose = Survey({}, Floors(min_people=50, min_arm=30, parameters_per_person=0.1))
    strict = Survey({}, Floors(min_people=200, min_arm=10, parameters_per_person=0.02))

    floors = strictest({"FI": loose, "EE": strict})

    assert (floors.min_people, floors.min_arm, floors.parameters_per_person) == (200, 30, 0.02)


def test_sex_that_nobody_knows_is_not_there() -> None:
    answer = survey(dataset({"y": [1, 2]}, sex=[0, 0]), Questions((), ("sex",), ()), OPEN)

    assert not answer.columns["sex"].present
