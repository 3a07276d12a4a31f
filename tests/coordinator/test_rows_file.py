"""Rows that are kept come back as they were."""

import numpy as np
import pytest

from fedstats.coordinator.checkpoint import Checkpoint, Place
from fedstats.coordinator.rows_file import rows_from_bytes, rows_to_parts
from fedstats.errors import Failed
from fedstats.rows import Filtered, Rows


def rows() -> Rows:
    rng = np.random.default_rng(1)
    effects = rng.normal(size=(2, 5))
    counts = np.arange(5)
    shared = {"variant": counts, "OBS_CT": counts, "MISSING": np.zeros(5, np.int8), "few": np.arange(10)[::2]}
    text = np.array(["a", "bcd", "", "é", "e"], object)
    tables = {"q1": {**shared, "BETA": effects[0]}, "q2": {**shared, "BETA": effects[1]}, "other": {"ID": text}}
    return Rows(
        {**tables, "none": {"variant": np.zeros(0, np.int64)}},
        [Filtered("maf", ("q1", "q2"), np.array([3, 5, 9]))],
        957,
    )


def test_rows_come_back_with_their_types():
    kept = rows()

    found = rows_from_bytes(b"".join(rows_to_parts(kept)))

    assert found.people == 957
    (taken,) = found.filtered
    assert (taken.name, taken.traits, taken.variants.tolist()) == ("maf", ("q1", "q2"), [3, 5, 9])
    assert found.tables.keys() == kept.tables.keys()
    for table, columns in kept.tables.items():
        for name, column in columns.items():
            np.testing.assert_array_equal(found.tables[table][name], column)
            assert name == "ID" or found.tables[table][name].dtype == column.dtype


def test_columns_that_traits_share_are_kept_once():
    found = rows_from_bytes(b"".join(rows_to_parts(rows())))

    assert found.tables["q1"]["OBS_CT"] is found.tables["q2"]["OBS_CT"]


def test_rows_that_another_version_kept_are_named():
    with pytest.raises(Failed, match="another version") as caught:
        rows_from_bytes(b"PK\x03\x04 rows of an earlier version")

    assert caught.value.code == "OTHER_VERSION"


def test_objects_are_not_kept():
    with pytest.raises(Failed, match="holds objects"):
        rows_to_parts(Rows({"q1": {"BETA": np.array([1, None], object)}}))


def test_kept_rows_replace_the_totals_of_their_chunk(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    words = np.arange(700, dtype=np.uint64)
    for call in range(2):
        checkpoint.keep_total(Place("3", call), "ab" * 32, words)
    checkpoint.keep_total(Place("31", 0), "ab" * 32, words)
    assert checkpoint.total(Place("3", 0), "ab" * 32).tolist() == words.tolist()

    checkpoint.keep_rows(3, rows())

    assert checkpoint.is_settled(Place("3", 0))
    assert checkpoint.total(Place("3", 0), "ab" * 32) is None
    assert checkpoint.total(Place("31", 0), "ab" * 32) is not None
    np.testing.assert_array_equal(checkpoint.rows(3).tables["q1"]["BETA"], rows().tables["q1"]["BETA"])


def test_totals_that_take_less_room_than_the_rows_made_of_them_stay(tmp_path):
    checkpoint = Checkpoint(tmp_path)
    words = np.arange(7, dtype=np.uint64)
    checkpoint.keep_total(Place("3", 0), "ab" * 32, words)

    checkpoint.keep_rows(3, rows())

    assert checkpoint.rows(3) is None
    assert checkpoint.is_settled(Place("3", 0))
    assert checkpoint.anything_opened
    assert checkpoint.total(Place("3", 0), "ab" * 32).tolist() == words.tolist()
