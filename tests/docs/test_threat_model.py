"""The threat model points at tests: each file that it names is there, and so is each test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "threat-model.md"
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", GUIDE.read_text(encoding="utf-8"))))


def test_the_threat_model_names_tests() -> None:
    assert len(NAMED) > 5


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_threat_model_names_exists(file: str, test: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")

    assert not test or re.search(rf"^\s*def {test}\(", text, re.MULTILINE)
