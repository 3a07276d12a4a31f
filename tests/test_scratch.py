"""Long arrays: the same elements wherever they lie, out of memory where they are long, and nothing left behind."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fedstats import scratch
from fedstats.errors import Failed
from fedstats.scratch import Scratch, elements_where, indices_where, keep_scratch_in, slices

PARTS = st.lists(st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5), max_size=6)


@pytest.fixture
def in_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch, "HELD_BYTES", 0)


def anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


@pytest.mark.parametrize("held_bytes", [0, 12, 1 << 20])
@given(parts=PARTS)
def test_array_is_its_parts_one_behind_the_other(held_bytes: int, parts: list[list[int]]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "HELD_BYTES", held_bytes)
        made = Scratch(np.int32)
        for part in parts:
            made.append(part)
        assert made.nbytes == 4 * sum(map(len, parts))
        found = made.array()

    assert found.dtype == np.int32
    assert found.tolist() == [value for part in parts for value in part]


@pytest.mark.parametrize("held_bytes", [0, 1 << 20])
def test_parts_are_copied_and_nobody_writes_to_the_array(monkeypatch: pytest.MonkeyPatch, held_bytes: int) -> None:
    monkeypatch.setattr(scratch, "HELD_BYTES", held_bytes)
    part, made = np.arange(3), Scratch(np.int64)
    made.append(part)
    part[:] = 9
    found = made.array()

    assert found.tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="read-only"):
        found[0] = 1


def test_long_array_takes_no_memory_of_its_own() -> None:
    part, length = np.ones(1 << 17), 64
    made, before = Scratch(np.float64), anonymous_bytes()
    for _ in range(length):
        made.append(part)
    found = made.array()

    assert found.sum() == length * len(part)
    assert found.nbytes == 64 << 20
    # What is held before the file begins, and a part; the allocator keeps little else.
    assert anonymous_bytes() - before < 16 << 20


def test_file_has_no_name(in_files: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    made = Scratch(np.uint8)
    made.append([1, 2])

    assert list(tmp_path.iterdir()) == []
    assert made.array().tolist() == [1, 2]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("given", "folder"), [("/somewhere", None), (None, Path("/var/tmp"))])
def test_files_lie_on_a_disk_unless_a_folder_is_named(
    in_files: None, monkeypatch: pytest.MonkeyPatch, given: str | None, folder: Path | None
) -> None:
    asked, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **given: asked.append(given["dir"]) or make())
    monkeypatch.setattr(scratch.os, "access", lambda *_: True)
    if given is None:
        monkeypatch.delenv("TMPDIR", raising=False)
    else:
        monkeypatch.setenv("TMPDIR", given)
    Scratch(np.uint8).append([1])

    assert asked == [folder]


def test_files_of_an_agent_lie_where_it_says(in_files: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked, make = [], tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **given: asked.append(given["dir"]) or make(**given))
    monkeypatch.setattr(scratch._Place, "folder", None)
    monkeypatch.setenv("TMPDIR", "/somewhere")
    keep_scratch_in(tmp_path)
    made = Scratch(np.uint8)
    made.append([1, 2])

    assert made.array().tolist() == [1, 2]
    assert asked == [tmp_path]


def test_array_stays_in_memory_where_no_file_can_be_made(in_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def nowhere(**given: object) -> None:
        asked.append(given)
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    made = Scratch(np.int16)
    made.append([5])
    made.append([6, 7])

    assert made.array().tolist() == [5, 6, 7]
    assert len(asked) == 1


def test_full_disk_is_said_without_a_path(in_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115
    made = Scratch(np.float64)

    with pytest.raises(Failed, match=r"a temporary file cannot be written \(No space left on device\)") as caught:
        made.append(np.ones(100_000))

    assert caught.value.code == "DISK_FULL"
    assert "TMPDIR" in caught.value.hint
    assert "/dev" not in str(caught.value)


def test_full_disk_is_noticed_at_the_end_too(in_files: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Path("/dev/full").open("w+b"))  # noqa: SIM115
    made = Scratch(np.uint8)
    made.append([1])

    with pytest.raises(Failed, match="No space left"):
        made.array()


@pytest.mark.parametrize("length", [1, 2, 100])
@given(mask=st.lists(st.booleans(), max_size=9))
def test_what_a_mask_chooses_is_what_numpy_chooses(length: int, mask: list[bool]) -> None:
    chosen, values = np.array(mask, np.bool_), np.arange(len(mask), dtype=np.int16) * 7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scratch, "SLICE", length)
        assert [at for part in slices(len(mask)) for at in range(len(mask))[part]] == list(range(len(mask)))
        found, elements = indices_where(chosen), elements_where(chosen, values)

    assert found.tolist() == np.flatnonzero(chosen).tolist()
    assert elements.tolist() == values[chosen].tolist()
    assert elements.dtype == np.int16
