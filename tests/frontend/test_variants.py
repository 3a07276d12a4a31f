from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from fedstats import scratch
from fedstats.errors import UsageError
from fedstats.frontend.provenance import Taken
from fedstats.frontend.variants import REASONS, choose, fallen_columns, kinds_of, without_kinds
from fedstats.planning.panel import ABSENT, ALLELES_DIFFER, PRESENT, SWAPPED, Panel
from fedstats.rows import Filtered

#: Chromosomes 1, 1, 1, 22, X.
PANEL = Panel(
    np.array([1, 1, 1, 22, 23], np.uint8),
    np.array([10, 20, 30, 10, 10]),
    pa.array(["rs1", "rs2", "rs3", "rs4", "rs5"], pa.large_string()),
    np.array([0, 0, 0, 0, 0], np.int32),
    np.array([1, 1, 1, 1, 1], np.int32),
    ("A", "G"),
)
EVERY = np.arange(5)


def codes(*values: int) -> np.ndarray:
    return np.array(values, np.uint8)


AVAILABLE = {
    "FI": codes(PRESENT, ABSENT, PRESENT, SWAPPED, PRESENT),
    "EE": codes(SWAPPED, ABSENT, ALLELES_DIFFER, SWAPPED, PRESENT),
    "NO": codes(PRESENT, PRESENT, PRESENT, PRESENT, PRESENT),
}


def lists(stretches: Iterable[Mapping[str, Any]]) -> dict[str, list[object]]:
    """Columns as lists, whatever they are kept in, one stretch of the panel behind the other."""
    found: dict[str, list[object]] = {}
    for columns in stretches:
        for name, values in columns.items():
            found.setdefault(name, []).extend(pa.array(values).to_pylist())
    return found


def test_the_intersection_of_nodes_is_analysed_and_swapped_alleles_are_turned() -> None:
    chosen = choose(EVERY, AVAILABLE)

    assert chosen.variants.tolist() == [0, 3, 4]
    assert dict(chosen.swapped) == {"FI": 1, "EE": 2, "NO": 0}


def test_variants_that_fell_out_are_not_counted_as_turned() -> None:
    chosen = choose(np.arange(2), {"FI": codes(SWAPPED, SWAPPED), "EE": codes(ABSENT, PRESENT)})

    assert dict(chosen.swapped) == {"FI": 1, "EE": 0}


def test_what_fell_out_is_listed_with_its_reason_and_where_it_is() -> None:
    columns = lists(fallen_columns(PANEL, choose(EVERY, AVAILABLE), [], 3))

    assert columns["ID"] == ["rs2", "rs3"]
    assert columns["REASON"] == ["ABSENT", "ALLELES_DIFFER"]
    assert columns["NODES"] == [1, 2]
    assert columns["RESULTS"] == ["all", "all"]


def test_what_filters_took_is_listed_among_it_with_the_results_that_lack_it() -> None:
    filtered = [
        Filtered("maf", ("q1", "q2"), np.array([0, 4])),
        Filtered("hwe_pooled", ("q3",), np.array([0])),
        Filtered("geno", ("q3",), np.zeros(0, np.int64)),
    ]

    columns = lists(fallen_columns(PANEL, choose(EVERY, AVAILABLE), filtered, 3))

    assert columns["ID"] == ["rs1", "rs1", "rs2", "rs3", "rs5"]
    assert columns["REASON"] == ["MAF", "HWE_POOLED", "ABSENT", "ALLELES_DIFFER", "MAF"]
    assert columns["NODES"] == [3, 3, 1, 2, 3]
    assert columns["RESULTS"] == ["q1,q2", "q3", "all", "all", "q1,q2"]


def test_stretches_of_the_panel_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    filtered = [Filtered("maf", ("q1",), np.array([0, 4])), Filtered("geno", ("q1",), np.array([3]))]
    whole = choose(EVERY, AVAILABLE)
    listed = lists(fallen_columns(PANEL, whole, filtered, 3))
    monkeypatch.setattr(scratch, "SLICE", 2)
    chosen = choose(EVERY, AVAILABLE)

    for name in ("variants", "fallen", "reasons", "nodes", "swapped"):
        assert list(getattr(chosen, name)) == list(getattr(whole, name))
    assert dict(chosen.swapped) == dict(whole.swapped)
    assert lists(fallen_columns(PANEL, chosen, filtered, 3)) == listed


def test_nothing_that_fell_out_makes_no_rows() -> None:
    assert list(fallen_columns(PANEL, choose(np.array([0, 3]), AVAILABLE), [], 3)) == []


def test_tables_without_traits_lack_what_filters_took_altogether() -> None:
    taken = [Filtered("geno", (), np.array([3]))]

    assert lists(fallen_columns(PANEL, choose(np.array([0, 3]), AVAILABLE), taken, 3))["RESULTS"] == ["all"]


def test_variants_that_were_not_selected_do_not_fall_out() -> None:
    assert choose(np.array([0, 3]), AVAILABLE).counts() == {}


def test_no_common_variant_is_an_error_that_asks_for_the_build() -> None:
    with pytest.raises(UsageError, match="no selected variant is at every node") as caught:
        choose(np.array([1, 2]), AVAILABLE)

    assert (caught.value.exit_code, "build" in caught.value.hint) == (2, True)


@pytest.mark.parametrize(
    ("available", "said"),
    [
        ({"FI": codes(PRESENT, PRESENT), "EE": codes(ABSENT, ALLELES_DIFFER)}, "EE has none of 2"),
        ({"FI": codes(ABSENT, ABSENT), "EE": codes(ABSENT, ABSENT)}, "FI and EE have none of 2"),
        ({"FI": codes(PRESENT, ABSENT), "EE": codes(ABSENT, SWAPPED)}, "FI has 1 of 2, EE has 1 of 2"),
    ],
)
@pytest.mark.parametrize("stretch", [1, 1 << 18])
def test_nodes_that_have_no_selected_variant_are_named(
    monkeypatch: pytest.MonkeyPatch, stretch: int, available: dict[str, np.ndarray], said: str
) -> None:
    monkeypatch.setattr(scratch, "SLICE", stretch)
    with pytest.raises(UsageError, match=f"is at every node: {said}\n"):
        choose(np.arange(2), available)


def test_a_kind_that_is_not_served_falls_out_with_its_reason() -> None:
    chosen = without_kinds(choose(EVERY, AVAILABLE), PANEL, ("x",), 3)

    assert chosen.variants.tolist() == [0, 3]
    assert chosen.fallen.tolist() == [1, 2, 4]
    assert REASONS[chosen.reasons].tolist() == ["ABSENT", "ALLELES_DIFFER", "NOT_SERVED"]


def test_kinds_follow_chromosomes() -> None:
    assert kinds_of(PANEL, np.array([0, 4])) == ("autosome", "x")


@pytest.mark.parametrize("held_bytes", [0, 1 << 22])
def test_what_filters_took_is_gathered_over_chunks(monkeypatch: pytest.MonkeyPatch, held_bytes: int) -> None:
    monkeypatch.setattr(scratch, "HELD_BYTES", held_bytes)
    taken = Taken()
    taken.add([Filtered("maf", ("q1",), np.array([0, 2])), Filtered("maf", ("q2",), np.array([1]))])
    taken.add([Filtered("maf", ("q1",), np.array([5])), Filtered("geno", ("q1",), np.array([4, 6]))])

    assert taken.counts() == {"maf": 4, "geno": 2}
    gathered = {(one.name, one.traits): one.variants.tolist() for one in taken.gathered()}
    assert gathered == {("maf", ("q1",)): [0, 2, 5], ("maf", ("q2",)): [1], ("geno", ("q1",)): [4, 6]}
