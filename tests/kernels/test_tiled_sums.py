import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats.genotypes import pack
from fedstats.kernels import packed, tiled_sums, tiles, vectors

needs_tiles = pytest.mark.skipif(not tiles.usable(), reason="this machine does not multiply tiles of bytes")


@given(st.lists(st.integers(-(2**58), 2**58), min_size=1))
def test_digits_times_powers_of_256_are_the_number(numbers: list[int]) -> None:
    columns = np.array(numbers, np.int64)[:, None]
    places = tiled_sums._places_of(columns)

    digits = tiled_sums._digits_of(columns, places).astype(object)

    assert sum(digits[:, place] << 8 * place for place in range(places)).tolist() == numbers
    assert places == 1 or digits[:, -1].any()


@pytest.mark.parametrize("places", [1, 5, 7])
def test_a_number_beyond_what_digits_hold_takes_one_more(places: int) -> None:
    ones = (256**places - 1) // 255

    assert tiled_sums._places_of(np.array([[127 * ones], [-128 * ones]])) == places
    assert tiled_sums._places_of(np.array([[127 * ones + 1]])) == places + 1
    assert tiled_sums._places_of(np.array([[-128 * ones - 1]])) == places + 1


@needs_tiles
@pytest.mark.parametrize(("people", "width"), [(0, 3), (5, 0)])
def test_sums_over_nobody_or_of_no_column_are_empty_or_zero(people: int, width: int) -> None:
    block = pack(np.ones((4, people), np.int8))
    prepared = packed.packed_columns(np.ones((people, width), np.int64), np.ones(people, np.bool_))

    sums = packed.called_and_missing_sums(block, packed.genotype_words(block), prepared).called

    assert sums.shape == (4, width)
    assert not sums.any()


@needs_tiles
@pytest.mark.parametrize("dosage", [0, 1, 2, -1])
@pytest.mark.parametrize("digit", [127, -128])
def test_the_largest_digits_of_every_person_add_up(dosage: int, digit: int) -> None:
    # More variants than are put together at a time, more people than lie spread at a time, and the last line is short.
    people, variants = 1300, 300
    block = pack(np.full((variants, people), dosage, np.int8))
    columns = np.full((people, 33), digit, np.int64)
    prepared = packed.packed_columns(columns, np.ones(people, np.bool_))

    sums = packed.called_and_missing_sums(block, packed.genotype_words(block), prepared).called

    assert (sums == max(dosage, 0) * digit * people).all()


def test_sums_of_the_most_people_fit_32_bits_and_those_of_one_more_do_not() -> None:
    assert 2 * 128 * tiled_sums.MOST_PEOPLE < 2**31 <= 2 * 128 * (tiled_sums.MOST_PEOPLE + 1)


def test_more_people_than_sums_have_room_for_are_left_to_byte_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_sums, "usable", lambda: True)
    monkeypatch.setattr(tiled_sums, "MOST_PEOPLE", 3)

    assert tiled_sums.tiled_columns(np.ones((3, 1), np.int64)) is not None
    assert tiled_sums.tiled_columns(np.ones((4, 1), np.int64)) is None


def test_columns_are_not_cut_where_tiles_cannot_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiled_sums, "usable", lambda: False)

    assert tiled_sums.tiled_columns(np.ones((3, 1), np.int64)) is None


def test_a_processor_without_tiles_is_not_asked_for_any(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "processor_has", lambda *_: False)

    assert not tiles.usable.__wrapped__()


def test_a_system_that_gives_no_leave_is_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def syscall(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(tiles, "processor_has", lambda *_: True)
    monkeypatch.setattr(tiles.ctypes, "CDLL", lambda _: Refusing())

    assert not tiles.usable.__wrapped__()


def test_a_processor_has_no_feature_that_nobody_knows() -> None:
    assert vectors.processor_has()
    assert not vectors.processor_has("sse2", "no-such-feature")
