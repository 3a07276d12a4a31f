"""The guides of threats and attacks point at tests: each file that they name is there, and so is each test."""

import re
from pathlib import Path

import pytest

from tests.docs.refusal_codes import documented

ROOT = Path(__file__).parents[2]
GUIDES = ROOT / "docs" / "guides"
THREATS, ATTACKS = ((GUIDES / name).read_text(encoding="utf-8") for name in ("threat-model.md", "attacks.md"))
REFERENCE = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")
NAMED = sorted({*REFERENCE.findall(THREATS), *REFERENCE.findall(ATTACKS)})
ROWS = [line for line in ATTACKS.splitlines() if line.startswith("| ") and " test |" not in line]


def test_the_guides_name_tests() -> None:
    assert len(REFERENCE.findall(THREATS)) > 5
    assert len(ROWS) > 60


@pytest.mark.parametrize(("file", "test"), NAMED)
def test_every_test_that_the_guides_name_exists(file: str, test: str) -> None:
    text = (ROOT / file).read_text(encoding="utf-8")

    assert not test or re.search(rf"^\s*def {test}\(", text, re.MULTILINE)


def test_every_attack_has_a_test() -> None:
    assert [row for row in ROWS if not REFERENCE.search(row)] == []


def test_every_file_of_attacks_is_in_the_guide() -> None:
    files = sorted(f"tests/attacks/{path.name}" for path in (ROOT / "tests" / "attacks").glob("test_*.py"))

    assert [name for name in files if name not in ATTACKS] == []


def test_every_code_of_the_guide_of_attacks_is_explained() -> None:
    codes = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", ATTACKS))

    assert len(codes) > 30
    assert codes - documented() == set()
