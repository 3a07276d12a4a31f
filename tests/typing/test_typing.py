"""A mistake in an analysis is an error at the desk: the type checker names it, line by line."""

import re
import subprocess
import sys
from pathlib import Path

MISTAKES = Path(__file__).with_name("misspelt.py")
ROOT = MISTAKES.parents[2]


def test_the_type_checker_finds_each_mistake_and_nothing_else() -> None:
    expected = {
        number: line.split("# error: ")[1]
        for number, line in enumerate(MISTAKES.read_text().splitlines(), 1)
        if "# error: " in line
    }

    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", str(ROOT / "pyproject.toml"), str(MISTAKES)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    found = dict(re.findall(r"misspelt\.py:(\d+): error: (.*)", checked.stdout))

    assert {int(number) for number in found} == set(expected)
    assert all(told in found[str(number)] for number, told in expected.items()), checked.stdout
