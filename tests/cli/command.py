"""The `fedstats` command within the process of the test."""

import sys
from dataclasses import dataclass

import pytest

from fedstats.cli import main


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


class Command:
    """Runs command lines; what they print is captured."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, captured: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._captured = monkeypatch, captured

    def __call__(self, *words: object) -> Ended:
        self._monkeypatch.setattr(sys, "argv", ["fedstats", *map(str, words)])
        code = main.exit_code()
        output, errors = self._captured.readouterr()
        return Ended(code, output, errors)
