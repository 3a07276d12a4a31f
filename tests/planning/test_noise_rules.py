import pytest

from fedstats.errors import UsageError
from fedstats.frontend.job import ranges_of
from fedstats.planning.noise_rules import noise_faults, ranges_by_name
from fedstats.planning.request import Request
from fedstats.planning.setting_options import SettingOptions


def request(**options: object) -> Request:
    setting = SettingOptions(epsilon=1.0, delta=1e-6, ranges={"q1": (-4.0, 4.0)})
    return Request("gwas", ("q1",), privacy="dp", setting=setting, **options)  # type: ignore[arg-type]  # of a request


def test_a_request_in_order_has_no_fault() -> None:
    assert noise_faults(request()) == []
    assert noise_faults(Request("gwas", ("q1",))) == []


@pytest.mark.parametrize("analysis", ["hardy", "missing"])
def test_analyses_without_a_noised_form_are_named(analysis: str) -> None:
    found = Request(analysis, privacy="dp", setting=SettingOptions(epsilon=1.0, delta=1e-6))  # type: ignore[arg-type]

    assert noise_faults(found) == [f"{analysis} is not there under --privacy dp, which has gwas and freq"]


def test_ranges_hold_for_all_that_a_name_stands_for_and_exact_names_win() -> None:
    given = {"PC1-PC3": (-0.1, 0.1), "PC2": (-1.0, 1.0), "other": (0.0, 1.0)}

    assert ranges_by_name(given, {"PC1", "PC2", "age"}) == {"PC1": (-0.1, 0.1), "PC2": (-1.0, 1.0)}


def test_ranges_are_read_from_the_command_line() -> None:
    assert ranges_of(["q1=-4:4", "PC1-PC4=-1e-1:.5", "a=b=0:2"]) == {
        "q1": (-4.0, 4.0),
        "PC1-PC4": (-0.1, 0.5),
        "a=b": (0.0, 2.0),
    }


@pytest.mark.parametrize("text", ["q1", "q1=4", "q1=a:b", "=0:1", "q1=0:1:2", "q1=nan:1"])
def test_texts_that_are_no_range_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is no range"):
        ranges_of([text])


def test_a_column_has_one_range() -> None:
    with pytest.raises(UsageError, match="twice"):
        ranges_of(["q1=0:1", "q1=0:2"])
