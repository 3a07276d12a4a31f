"""Which data set a run uses, and what every result must say."""

import pytest

from fedstats.coordinator.describe import banners, choose_dataset
from fedstats.errors import UsageError
from fedstats.wire.messages import Catalogue, DatasetEntry


def catalogue(node: str, *ids: str, build: str = "GRCh37", **policy: str) -> Catalogue:
    entries = tuple(DatasetEntry(one, 100, build, (), ()) for one in ids)
    return Catalogue(node, "", "", {}, 1, entries, policy, {}, "", "")


def test_only_common_data_set_is_used() -> None:
    held = {"FI": catalogue("FI", "old", "demo"), "EE": catalogue("EE", "demo", "other")}

    assert choose_dataset(held, "", "GRCh37") == "demo"


def test_named_data_set_is_used_where_several_are_common() -> None:
    held = {"FI": catalogue("FI", "a", "b"), "EE": catalogue("EE", "b", "a")}

    assert choose_dataset(held, "b", "GRCh37") == "b"


@pytest.mark.parametrize(
    ("ids", "wanted", "said"),
    [
        (("a", "b"), "", "several data sets in common: a, b"),
        (("c",), "", "no data set in common: FI has a, b; EE has c"),
        (("a",), "b", "not every node has a data set 'b': FI has a, b; EE has a"),
        ((), "", "EE has none"),
    ],
)
def test_no_data_set_to_use_names_what_each_node_has(ids: tuple[str, ...], wanted: str, said: str) -> None:
    held = {"FI": catalogue("FI", "a", "b"), "EE": catalogue("EE", *ids)}

    with pytest.raises(UsageError, match=said):
        choose_dataset(held, wanted, "GRCh37")


def test_other_build_names_the_nodes() -> None:
    held = {"FI": catalogue("FI", "a"), "EE": catalogue("EE", "a", build="GRCh38")}

    with pytest.raises(UsageError, match=r"on another build at EE \(GRCh38\)"):
        choose_dataset(held, "", "GRCh37")


def test_results_say_validation_plain_with_reasons_and_two_nodes() -> None:
    held = {"FI": catalogue("FI", "a", preset="validation", reason="a course"), "EE": catalogue("EE", "a", reason="x")}

    validation, plain, two = banners(held, "plain")

    assert validation.startswith("VALIDATION: FI ")
    assert "FI: a course; EE: x" in plain
    assert "no protection from each other" in two
    assert banners({n: catalogue(n, "a") for n in "ABC"}, "masked") == ()
