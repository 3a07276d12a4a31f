"""Methods of dataclasses that are kept are those that Python would compile, and nothing depends on the file."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fedstats import compiled_texts
from fedstats.compiled_texts import CompiledTexts, keep_compiled_dataclasses, read_kept, write_kept

TEXT = "def double(x):\n    return factor * x"


def executed(texts: CompiledTexts, text: str, **names: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    texts.execute(text, names, found)
    return found


def test_a_text_is_compiled_once_and_executed_among_the_names_at_hand(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "kept"
    first = CompiledTexts(path, read_kept(path))
    assert executed(first, TEXT, factor=2)["double"](21) == 42
    first.keep()

    second = CompiledTexts(path, read_kept(path))

    assert second.kept.keys() == {TEXT}
    assert executed(second, TEXT, factor=3)["double"](21) == 63
    assert [entry.name for entry in path.parent.iterdir()] == ["kept"]


def test_code_that_is_kept_is_what_is_executed(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    other = CompiledTexts(path, {})
    executed(other, TEXT.replace("factor *", "factor +"))
    (compiled,) = other._used.values()  # stands in for the code of the text

    assert executed(CompiledTexts(path, {TEXT: compiled}), TEXT, factor=2)["double"](21) == 23


def test_nothing_is_written_where_nothing_is_new(tmp_path: Path) -> None:
    path = tmp_path / "kept"
    texts = CompiledTexts(path, {})
    executed(texts, TEXT)
    texts.keep()
    path.touch()
    before = path.stat().st_mtime_ns

    again = CompiledTexts(path, read_kept(path))
    executed(again, TEXT)
    again.keep()

    assert path.stat().st_mtime_ns == before


def test_texts_of_earlier_classes_stay_until_they_are_too_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "kept"
    write_kept(path, {"old": b"", "older": b""})

    monkeypatch.setattr(compiled_texts, "MOST_TEXTS", 3)
    for text, kept in (("a = 1", {"old", "older", "a = 1"}), ("a = 2", {"a = 2"})):
        texts = CompiledTexts(path, read_kept(path))
        executed(texts, text)
        texts.keep()
        assert read_kept(path).keys() == kept


@pytest.mark.parametrize("spoil", [lambda b: b"", lambda b: b[:-1], lambda b: b"\0\0\0\0" + b[4:], lambda b: b + b"x"])
def test_a_file_that_is_damaged_or_of_another_python_is_as_none(tmp_path: Path, spoil: Any) -> None:
    path = tmp_path / "kept"
    write_kept(path, {TEXT: b"code"})
    assert read_kept(path) == {TEXT: b"code"}

    path.write_bytes(spoil(path.read_bytes()))

    assert read_kept(path) == {}


def test_a_folder_that_cannot_be_written_is_no_failure(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    write_kept(tmp_path / "file" / "kept", {TEXT: b"code"})

    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_dataclasses_from_kept_code_are_as_python_makes_them(tmp_path: Path) -> None:
    """Two processes: the second compiles nothing, and its classes do what the first's did."""
    script = (
        "import builtins, json, sys\nfrom pathlib import Path\nfrom fedstats import compiled_texts as texts\n"
        "texts.kept_file = lambda: Path(sys.argv[1])\ntexts.keep_compiled_dataclasses()\n"
        "from dataclasses import FrozenInstanceError, dataclass, field, replace\n"
        "compiled = []\n"
        "texts.compile = lambda *words: compiled.append(1) or builtins.compile(*words)\n"
        "@dataclass(frozen=True, order=True)\nclass Point:\n    x: int\n    y: list = field(default_factory=list)\n"
        "one = Point(1)\n"
        "try:\n    one.x = 2\n    frozen = False\nexcept FrozenInstanceError:\n    frozen = True\n"
        "print(json.dumps([bool(compiled), repr(one), one == Point(1), one < Point(2), frozen, replace(one, x=3).x]))"
    )

    def said() -> Any:
        command = [sys.executable, "-c", script, str(tmp_path / "kept")]
        return json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env={}).stdout)

    expected = ["Point(x=1, y=[])", True, True, True, 3]
    assert said() == [True, *expected]
    assert said() == [False, *expected]


def test_nothing_is_kept_where_python_must_write_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    keep_compiled_dataclasses()

    assert not hasattr(dataclasses, "exec")
