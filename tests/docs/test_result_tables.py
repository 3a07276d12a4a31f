"""The guide of result tables says what every value of their columns means, as the code does."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from fedstats.analyses.status_table import MEANINGS, table
from fedstats.analyses.statuses import MISSING, STATUSES, TESTS
from fedstats.frontend.report import FALLEN
from fedstats.kernels.linear_solve import FAULTS
from fedstats.study import Filters

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "result-tables.md").read_text(encoding="utf-8")
SOURCES = "".join(
    path.read_text(encoding="utf-8")
    for path in sorted((ROOT / "fedstats").rglob("*.py"))
    if path.name not in ("statuses.py", "status_table.py")
)
#: Names that are kept for models that are not there yet.
KEPT = {"CONST_ALLELE", "FIRTH_CONVERGE_FAIL", "LOGISTIC_FIRTH"}


def rows(column: str) -> set[str]:
    """Values that the guide's table of a column explains."""
    _, _, rest = GUIDE.partition(f"| {column} |")
    body, _, _ = rest.partition("\n\n")
    return set(re.findall(r"^\| `([^`]+)` \|", body, re.MULTILINE))


def test_the_guide_has_the_table_of_the_code() -> None:
    # python -c "from fedstats.analyses.status_table import table; print(table())"
    assert table() in GUIDE


def test_every_status_has_a_meaning() -> None:
    assert set(MEANINGS) == set(STATUSES) - KEPT
    assert set(FAULTS) <= set(MEANINGS)


def test_no_status_is_explained_that_nothing_gives() -> None:
    assert [name for name in MEANINGS if f'"{name}"' not in SOURCES] == []
    assert [name for name in KEPT if f'"{name}"' in SOURCES] == []


REASONS = {*FALLEN, *(entry.name.upper() for entry in fields(Filters))}


@pytest.mark.parametrize(
    ("column", "values"), [("TEST", set(TESTS) - KEPT), ("MISSING", set(MISSING)), ("REASON", REASONS)]
)
def test_the_other_columns_of_words_are_explained(column: str, values: set[str]) -> None:
    assert rows(column) == values
