"""Options that change nothing are refused where no trait has a use for them, and told where only some have."""

from dataclasses import replace

import pytest

from fedstats.errors import UsageError
from fedstats.planning.request import Request, check_request
from fedstats.planning.resolve import Resolution, resolve
from fedstats.planning.setting_options import SettingOptions
from fedstats.planning.survey import strictest
from tests.planning.people import OPEN, alike, surveys

COLUMNS = {
    "q1": [0.5, 1.5, 2.5, 3.5],
    "q2": [1.5, 0.5, 2.5, 3.5],
    "b1": [0, 1, 0, 1],
    "b9": [0, 1, -9, 1],
    "age": [40, 50, 60, 70],
}


def resolved(*pheno: str, **asked: object) -> Resolution:
    request = replace(Request("gwas", pheno), **asked)  # type: ignore[arg-type]  # fields of a request
    answers = surveys(request, alike(COLUMNS), OPEN)
    return resolve(request, ("autosome",), answers, strictest(answers))


def warned(resolution: Resolution) -> list[str]:
    return [note.message for note in resolution.notes if note.warning]


@pytest.mark.parametrize(
    ("trait", "asked", "said"),
    [
        (
            "q1",
            {"test": "score"},
            "--test score is for logistic models and changes nothing for q1, which is quantitative",
        ),
        ("q1", {"test": "score-refit"}, "--test score-refit is for logistic models"),
        ("q1", {"convergence": "plink"}, "--convergence plink is for logistic models"),
        ("q1", {"binary_coding": "12"}, "--binary-coding 12 is for binary traits"),
        ("b9", {"missing_code": "none"}, "--missing-code none is for quantitative traits and changes nothing for b9"),
    ],
)
def test_an_option_that_no_trait_has_a_use_for_is_refused(trait: str, asked: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError) as caught:
        resolved(trait, **asked)

    assert (caught.value.code, caught.value.exit_code) == ("NO_EFFECT", 2)
    assert said in caught.value.message
    assert caught.value.hint.startswith("Leave it out")


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"test": "score"},
            "--test score is for logistic models and changes nothing for q1 and q2, which are quantitative",
        ),
        ({"convergence": "plink"}, "--convergence plink is for logistic models and changes nothing for q1 and q2"),
        ({"binary_coding": "01"}, "--binary-coding 01 is for binary traits and changes nothing for q1 and q2"),
        (
            {"missing_code": "none"},
            "--missing-code none is for quantitative traits and changes nothing for b9, which is",
        ),
    ],
)
def test_an_option_that_some_traits_have_a_use_for_is_told(asked: dict[str, str], said: str) -> None:
    messages = warned(resolved("q1", "b9", "q2", **asked))

    assert len(messages) == 1
    assert said in messages[0]


@pytest.mark.parametrize(
    ("trait", "asked"),
    [
        ("b1", {"test": "score"}),
        ("b1", {"convergence": "plink"}),
        ("b1", {"binary_coding": "01"}),
        ("b1", {"missing_code": "none"}),
        ("b9", {"missing_code": "-9"}),
        ("q1", {"missing_code": "none"}),
    ],
)
def test_options_in_their_place_are_not_spoken_of(trait: str, asked: dict[str, str]) -> None:
    assert warned(resolved(trait, **asked)) == []


def test_score_tests_are_those_of_noised_linear_models_too() -> None:
    setting = SettingOptions(epsilon=1.0, delta=1e-6, ranges={"q1": (-4.0, 4.0)})

    check_request(Request("gwas", ("q1",), model="linear", test="score", privacy="dp", setting=setting))
    assert warned(resolved("q1", test="score", privacy="dp", setting=setting)) == []


def test_a_range_of_a_column_that_is_not_read_as_a_number_is_told() -> None:
    ranges = {"q1": (-4.0, 4.0), "age": (0.0, 100.0), "PC1-PC2": (-1.0, 1.0)}
    setting = SettingOptions(epsilon=1.0, delta=1e-6, ranges=ranges)

    messages = warned(resolved("q1", covar=("age",), privacy="dp", setting=setting))

    assert messages == [
        "--range PC1-PC2 changes nothing: this run reads no trait or covariate of that name as a number"
    ]
