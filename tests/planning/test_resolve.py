from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest

from fedstats.dataset import Dataset
from fedstats.errors import DisclosureRefused, FaultyInput, UsageError
from fedstats.planning.request import Request
from fedstats.planning.resolve import Resolution, resolve
from fedstats.planning.survey import strictest
from fedstats.study import Floors, Study
from tests.planning.people import OPEN, alike, dataset, surveys

Columns = Mapping[str, Sequence[object]]

QUANTITATIVE = [0.5, 1.5, 2.5, 3.5]
AGES = [40, 50, 60, 70]


def resolved(request: Request, nodes: Mapping[str, Dataset], floors: Floors = OPEN, **loadings: str) -> Resolution:
    answers = surveys(request, nodes, floors, **loadings)
    return resolve(request, ("autosome", "x", "y", "mt"), answers, strictest(answers))


def study_of(columns: Columns, covar: Sequence[str] = (), **asked: object) -> Study:
    request = replace(Request("gwas", ("y",), tuple(covar)), **asked)  # type: ignore[arg-type]
    return resolved(request, alike(columns)).studies[0]


def error_of(columns: Columns, covar: Sequence[str] = (), **asked: object) -> UsageError:
    with pytest.raises(UsageError) as caught:
        study_of(columns, covar, **asked)
    assert caught.value.exit_code == 2
    return caught.value


@pytest.mark.parametrize(
    ("values", "coding", "missing_code"),
    [([0, 1, 1, None], "01", "none"), ([1, 2, 2, None], "12", "none"), ([0, 1, -9, 1], "01", "-9")],
)
def test_two_values_are_binary_and_the_log_says_so(values: list[object], coding: str, missing_code: str) -> None:
    resolution = resolved(Request("gwas", ("y",)), alike({"y": values}))

    trait = resolution.studies[0].models[0].traits[0]
    assert (resolution.studies[0].analysis, trait.kind, trait.coding) == ("gwas/logistic", "binary", coding)
    assert trait.missing_code == missing_code
    assert "trait y is binary" in resolution.notes[0].message


def test_coding_is_decided_over_all_nodes_together() -> None:
    # One node has controls only and another cases only; neither could tell by itself.
    nodes = {"FI": dataset({"y": [1, 1]}), "EE": dataset({"y": [2, 2]}), "NO": dataset({"y": [1, 2]})}

    trait = resolved(Request("gwas", ("y",)), nodes).studies[0].models[0].traits[0]

    assert (trait.kind, trait.coding) == ("binary", "12")


def test_nodes_that_code_differently_are_an_error_that_names_the_flags() -> None:
    nodes = {"FI": dataset({"y": [0, 1]}), "EE": dataset({"y": [1, 2]}), "NO": dataset({"y": [0, 1]})}

    with pytest.raises(UsageError, match="values 0, 1, 2 over all nodes: binary or not is ambiguous") as caught:
        resolved(Request("gwas", ("y",)), nodes)

    assert caught.value.code == "AMBIGUOUS_TRAIT"
    assert "--binary-coding 12" in caught.value.hint
    assert "--model linear" in caught.value.hint


def test_three_values_are_refused_where_binary_was_asked() -> None:
    error = error_of({"y": [0, 1, 2, 1]}, model="logistic")

    assert (error.code, "--model logistic was asked" in error.message) == ("NOT_BINARY", True)


def test_a_quantitative_trait_is_refused_where_binary_was_asked() -> None:
    assert "is not binary" in error_of({"y": QUANTITATIVE}, model="logistic").message


@pytest.mark.parametrize(("flag", "kind", "coding"), [("12", "binary", "12"), ("auto", "quantitative", "none")])
def test_the_flags_that_were_named_settle_three_values(flag: str, kind: str, coding: str) -> None:
    asked = {"binary_coding": flag} if flag != "auto" else {"model": "linear"}

    trait = study_of({"y": [0, 1, 2, 1]}, **asked).models[0].traits[0]

    assert (trait.kind, trait.coding) == (kind, coding)


def test_minus_nine_in_a_quantitative_trait_asks_for_the_missing_code() -> None:
    error = error_of({"y": [*QUANTITATIVE, -9]})

    assert (error.code, "--missing-code -9" in error.hint) == ("MINUS_NINE", True)


@pytest.mark.parametrize("code", ["none", "-9"])
def test_the_missing_code_settles_minus_nine(code: str) -> None:
    trait = study_of({"y": [*QUANTITATIVE, -9]}, missing_code=code).models[0].traits[0]

    assert (trait.kind, trait.missing_code) == ("quantitative", code)


@pytest.mark.parametrize("values", [[1, 1, 1], [0, 0, None], [7.5, 7.5, 7.5], [2, 2, -9]])
def test_one_value_everywhere_is_an_error(values: list[object]) -> None:
    error = error_of({"y": values})

    assert (error.code, "one value everywhere" in error.message) == ("TRAIT_CONSTANT", True)


def test_a_trait_without_values_is_an_error() -> None:
    assert error_of({"y": [None, None]}).code == "TRAIT_EMPTY"


def test_auto_splits_traits_by_kind_into_two_studies() -> None:
    columns = {"qt1": QUANTITATIVE, "bt1": [0, 1, 0, 1], "qt2": QUANTITATIVE}

    studies = resolved(Request("gwas", ("qt1", "bt1", "qt2")), alike(columns)).studies

    assert [study.analysis for study in studies] == ["gwas/linear", "gwas/logistic"]
    assert [[t.name for t in m.traits] for m in studies[0].model("autosome")] == [["qt1"], ["qt2"]]


def test_common_people_make_one_model_of_all_traits() -> None:
    columns = {"qt1": QUANTITATIVE, "qt2": QUANTITATIVE}

    study = resolved(Request("gwas", ("qt1", "qt2"), trait_people="common"), alike(columns)).studies[0]

    assert [[t.name for t in m.traits] for m in study.model("autosome")] == [["qt1", "qt2"]]


def test_common_people_have_the_traits_of_the_other_kind_too() -> None:
    columns = {"qt1": QUANTITATIVE, "bt1": [0, 1, 0, 1], "qt2": QUANTITATIVE}

    studies = resolved(Request("gwas", ("qt1", "bt1", "qt2"), trait_people="common"), alike(columns)).studies

    people = [{trait.name for trait in (*m.traits, *m.common)} for study in studies for m in study.scanned]
    assert len(people) > 1
    assert all(names == {"qt1", "bt1", "qt2"} for names in people)
    assert not any(model.common for study in studies for model in study.models if model.accounting)


def test_each_trait_has_people_of_its_own_unless_common_ones_are_asked() -> None:
    columns = {"qt1": QUANTITATIVE, "bt1": [0, 1, 0, 1]}

    studies = resolved(Request("gwas", ("qt1", "bt1")), alike(columns)).studies

    assert not any(model.common for study in studies for model in study.models)


@pytest.mark.parametrize(("pheno", "counted"), [((), False), (("y",), True)])
def test_who_lacks_what_is_counted_where_somebody_can_lack_anything(pheno: tuple[str, ...], counted: bool) -> None:
    (study,) = resolved(Request("freq", pheno), alike({"y": QUANTITATIVE})).studies

    assert (study.accounting is not None) == counted
    assert study.scanned


def test_a_node_without_a_column_is_named_with_the_nearest_names() -> None:
    nodes = alike({"y": QUANTITATIVE, "age": AGES}) | {"EE": dataset({"y": QUANTITATIVE, "ages": AGES})}

    with pytest.raises(UsageError, match="EE has no column 'age'") as caught:
        resolved(Request("gwas", ("y",), ("age",)), nodes)

    assert (caught.value.exit_code, caught.value.hint) == (2, "Nearest names there: ages.")


def test_every_lacking_column_is_reported_at_once() -> None:
    with pytest.raises(FaultyInput) as caught:
        resolved(Request("gwas", ("y", "z"), ("smoke",)), alike({"y": QUANTITATIVE}))

    assert caught.value.faults == (
        "FI, EE and NO have no column 'z'. Run 'fedstats nodes' to see what is there.",
        "FI, EE and NO have no column 'smoke'. Run 'fedstats nodes' to see what is there.",
    )


def test_an_exact_name_wins_over_a_range() -> None:
    columns = {"y": QUANTITATIVE, "v1-v2": AGES, "v1": AGES, "v2": AGES}

    assert [term.name for term in study_of(columns, ["v1-v2"]).models[0].terms] == ["v1-v2"]


def test_every_member_of_a_range_must_exist() -> None:
    error = error_of({"y": QUANTITATIVE, "v1": AGES, "v3": AGES}, ["v1-v3"])

    assert (error.code, "no column 'v2'" in error.message) == ("NO_COLUMN", True)


def test_text_without_categorical_gets_the_hint() -> None:
    error = error_of({"y": QUANTITATIVE, "smoke": ["no", "yes", "no", "yes"]}, ["smoke"])

    assert (error.code, "--categorical smoke" in error.hint) == ("NOT_NUMERIC", True)


@pytest.mark.parametrize(
    ("holders", "said"), [(["EE"], "EE"), (["FI", "NO"], "FI and NO"), (["FI", "EE", "NO"], "every node")]
)
def test_text_in_place_of_numbers_names_the_nodes_that_hold_it(holders: list[str], said: str) -> None:
    words = ["low", "low", "high", "high"]
    numbers = {"y": QUANTITATIVE, "age": AGES}
    trait = alike(numbers) | {node: dataset({**numbers, "y": words}) for node in holders}
    covariate = alike(numbers) | {node: dataset({**numbers, "age": words}) for node in holders}

    with pytest.raises(UsageError, match=f"trait 'y' holds text at {said}, and numbers are needed") as of_trait:
        resolved(Request("gwas", ("y",), ("age",)), trait)
    with pytest.raises(UsageError, match=f"column 'age' holds text at {said}, and") as of_covariate:
        resolved(Request("gwas", ("y",), ("age",)), covariate)

    assert (of_trait.value.code, of_covariate.value.code) == ("NOT_NUMERIC", "NOT_NUMERIC")
    assert not any(word in str(error.value) for word in ("low", "high") for error in (of_trait, of_covariate))


def test_levels_become_indicators_in_natural_order_without_the_first() -> None:
    columns = {"y": [*QUANTITATIVE, 9.5, 8.5], "batch": ["b10", "b2", "b1"] * 2}

    terms = study_of(columns, ["batch"], categorical=("batch",)).models[0].terms

    assert [(term.name, term.level, term.indicator) for term in terms] == [
        ("batch=b2", "b2", True),
        ("batch=b10", "b10", True),
    ]


def test_a_level_that_lives_at_few_nodes_is_refused_by_name() -> None:
    nodes = alike({"y": QUANTITATIVE, "pop": ["a", "b", "a", "b"]})
    nodes["EE"] = dataset({"y": QUANTITATIVE, "pop": ["a", "c", "a", "c"]})

    with pytest.raises(DisclosureRefused, match="level 'b' of 'pop' has 1 people or more at fewer than 3") as caught:
        resolved(Request("gwas", ("y",), ("pop",), ("pop",)), nodes)

    assert (caught.value.exit_code, caught.value.code) == (3, "LEVEL_AT_FEW_NODES")
    assert "nothing was sent" in caught.value.hint


def test_a_level_below_the_floor_is_refused_without_its_name() -> None:
    nodes = alike({"y": QUANTITATIVE, "pop": ["a", "b", "a", "b"]})
    nodes["EE"] = dataset({"y": QUANTITATIVE, "pop": ["a", "a", "b", "hidden"]})
    floors = replace(OPEN, min_level=2)

    with pytest.raises(DisclosureRefused, match="'pop' has a level with fewer than 2 people at EE") as caught:
        resolved(Request("gwas", ("y",), ("pop",), ("pop",)), nodes, floors)

    assert "hidden" not in str(caught.value)


def test_a_covariate_that_varies_at_one_node_is_refused() -> None:
    nodes = alike({"y": QUANTITATIVE, "here": [0, 0, 0, 0]})
    nodes["EE"] = dataset({"y": QUANTITATIVE, "here": [0, 1, 0, 1]})

    with pytest.raises(DisclosureRefused, match="'here' varies at fewer than 3 nodes") as caught:
        resolved(Request("gwas", ("y",), ("here",)), nodes)

    assert caught.value.code == "COVARIATE_AT_FEW_NODES"


def test_a_covariate_that_varies_nowhere_is_a_usage_error() -> None:
    error = error_of({"y": QUANTITATIVE, "flat": [1, 1, 1, 1]}, ["flat"])

    assert (error.code, "--site-effects fixed" in error.hint) == ("COVARIATE_CONSTANT", True)


def test_components_of_different_loadings_are_not_joint() -> None:
    request = Request("gwas", ("y",), ("PC1",))

    with pytest.raises(UsageError, match="do not come from the same loadings") as caught:
        resolved(request, alike({"y": QUANTITATIVE, "PC1": AGES}), FI="aa", EE="aa", NO="bb")

    assert (caught.value.code, caught.value.exit_code) == ("PC_NOT_JOINT", 2)


def test_components_of_unknown_loadings_are_not_joint() -> None:
    assert error_of({"y": QUANTITATIVE, "PC1": AGES}, ["PC1"]).code == "PC_NOT_JOINT"


def test_components_of_the_same_loadings_are_covariates() -> None:
    nodes = alike({"y": QUANTITATIVE, "PC1": AGES})

    study = resolved(Request("gwas", ("y",), ("PC1",)), nodes, FI="aa", EE="aa", NO="aa").studies[0]

    assert [term.name for term in study.models[0].terms] == ["PC1"]


def test_components_of_each_site_may_have_slopes_of_their_own() -> None:
    request = Request("gwas", ("y",), local_covar=("PC1",), site_effects="fixed")

    model = resolved(request, alike({"y": QUANTITATIVE, "PC1": AGES})).studies[0].models[0]

    assert ([term.name for term in model.local_terms], model.site_effects) == (["PC1"], True)


def terms_by_kind(covar: Sequence[str]) -> dict[str, list[str]]:
    study = study_of({"y": QUANTITATIVE, "age": AGES}, covar)
    return {model.kind: [term.name for term in model.terms] for model in study.scanned}


def test_sex_is_added_once_on_x_and_never_stays_on_y() -> None:
    assert terms_by_kind(["age"]) == {"autosome": ["age"], "x": ["age", "sex"], "y": ["age"], "mt": ["age"]}
    assert terms_by_kind(["sex", "age"]) == {
        "autosome": ["sex", "age"],
        "x": ["sex", "age"],
        "y": ["age"],
        "mt": ["sex", "age"],
    }


def test_too_few_nodes_are_refused() -> None:
    with pytest.raises(DisclosureRefused, match="the run has 2 nodes, and policies ask for at least 3"):
        resolved(Request("gwas", ("y",)), alike({"y": QUANTITATIVE}, ("FI", "EE")))


def test_site_effects_of_a_logistic_model_are_refused_for_now() -> None:
    assert error_of({"y": [0, 1, 0, 1]}, site_effects="fixed").code == "NO_SITE_EFFECTS"


def test_frequencies_without_traits_have_everyone_in_one_model_a_kind() -> None:
    study = resolved(Request("freq"), alike({"y": QUANTITATIVE})).studies[0]

    assert study.analysis == "freq"
    assert [(model.id, model.traits, model.terms) for model in study.scanned] == [
        ("a0", (), ()),
        ("x0", (), ()),
        ("y0", (), ()),
        ("m0", (), ()),
    ]
