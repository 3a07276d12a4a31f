"""Kernels are kept on disk for one state of their sources."""

from pathlib import Path

import pytest

import fedstats.kernels
from fedstats.kept_kernels import _DIGEST_FILE, digest_of, forget_old_kernels, forget_others
from fedstats.kernels.packed_loops import count_calls

FILES = ["logistic._sums-187.py311.1.nbc", "logistic._sums-187.py311.nbi", "logistic.cpython-311.pyc"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    forget_others(tmp_path, "one")
    for name in FILES:
        (tmp_path / name).touch()
    return tmp_path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.name != _DIGEST_FILE)


def test_kernels_of_the_same_sources_stay(folder):
    forget_others(folder, "one")

    assert names(folder) == FILES


def test_kernels_of_other_sources_go_and_modules_stay(folder):
    forget_others(folder, "another")

    assert names(folder) == ["logistic.cpython-311.pyc"]
    (folder / FILES[0]).touch()
    forget_others(folder, "another")
    assert names(folder) == [FILES[0], "logistic.cpython-311.pyc"]


def test_kernels_of_which_nobody_knows_the_sources_go(tmp_path):
    (tmp_path / FILES[0]).touch()

    forget_others(tmp_path, "one")

    assert names(tmp_path) == []


def test_where_nothing_can_be_kept_nothing_is_said(tmp_path):
    (tmp_path / "file").touch()

    forget_others(tmp_path / "file", "one")

    assert (tmp_path / "file").is_file()


def test_any_source_changes_the_digest(tmp_path):
    for path in Path(fedstats.kernels.__path__[0]).glob("*.py"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    before = digest_of(tmp_path)
    assert before == digest_of(Path(fedstats.kernels.__path__[0]))

    for path in sorted(tmp_path.glob("*.py")):
        text = path.read_bytes()
        path.write_bytes(text + b"\n")
        assert digest_of(tmp_path) != before
        path.write_bytes(text)


def test_the_folder_of_the_kernels_is_of_these_sources():
    forget_old_kernels()

    digest = (Path(str(count_calls.stats.cache_path)) / _DIGEST_FILE).read_text()
    assert digest == digest_of(Path(fedstats.kernels.__path__[0]))
