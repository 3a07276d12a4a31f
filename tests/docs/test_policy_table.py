"""The guide's table of floors, budgets and defaults is that of the code."""

from dataclasses import fields
from pathlib import Path

from node_agent.policy import HARD_FLOORS, MOST_PER_PERSON, Policy
from node_agent.policy_table import table

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guides" / "policy.md"


def test_the_guide_has_the_table_of_the_code() -> None:
    # python -c "from node_agent.policy_table import table; print(table())"
    assert table() in GUIDE.read_text(encoding="utf-8")


def test_every_key_has_a_row() -> None:
    rows = table().splitlines()[2:]

    assert [row.split("`")[1] for row in rows] == [entry.name for entry in fields(Policy)]


def test_bounds_are_those_that_are_enforced() -> None:
    rows = {row.split("`")[1]: row for row in table().splitlines()[2:]}

    assert all(f"| below {least} |" in rows[key] for key, least in HARD_FLOORS.items())
    assert all(f"| above {most:g} |" in rows[key] for key, most in MOST_PER_PERSON.items())
