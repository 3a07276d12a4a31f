"""Codes that the analyst's own side raises or warns with, and those that the guide leaves out, with the reason."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.docs.refusal_codes import NOT_TO_CALLERS, OF_COMMANDS, ROOT, calls_in, codes_in, name_of, texts_in

#: Sources of errors that say all there is to say: of commands that ask no node, and of files that one's own side reads.
SAID_IN_FULL = (
    "fedstats/cli",
    "fedstats/comparison",
    "fedstats/sandbox",
    "fedstats/simulate",
    "fedstats/planning/delimited.py",
    "node_agent/datasets",
    *(file for file in OF_COMMANDS if file not in ("fedstats/terminal/failures.py", "fedstats/identity/card.py")),
)
#: Codes that have no row although something else raises them.
WITHOUT_A_ROW = {
    **dict.fromkeys(("NESTED_MAP", "NO_BLOCK", "NO_NODES", "NOT_FINISHED"), "a fault of fedstats itself"),
    **dict.fromkeys(("COLUMNS", "ROW_ORDER", "UNKNOWN_TABLE"), "a fault of fedstats itself"),
    "STOPPED": "ends calls of a run that ends for another reason, which is said",
    "BAD_CARD": "a fault in the list of BAD_CONFIG, or of a command about cards",
    **{code: NOT_TO_CALLERS[code] for code in ("BAD_DATA", "BAD_KEY", "BAD_KEYS", "UNKNOWN_IDENTITY")},
}
#: Which argument of these calls is a code.
_AT = {"Fault": 1, "_refuse": 1, "Cause": 0}


def own_codes() -> dict[str, list[str]]:
    """Every code of an error that some source raises and that is not left out, with the lines."""
    return {code: lines for code, lines in codes_of_all().items() if code not in WITHOUT_A_ROW}


def codes_of_all() -> dict[str, list[str]]:
    """Every code of an error in the sources that are not said in full."""
    found: dict[str, list[str]] = {}
    for path, tree in _sources():
        for code, line in (*codes_in(tree), *_by_position(tree)):
            found.setdefault(code, []).append(f"{path}:{line}")
    return found


def warnings() -> set[str]:
    """Codes of warnings."""
    found = set()
    for _, tree in _sources():
        for call in calls_in(tree):
            is_warning = any(one.arg == "warning" and getattr(one.value, "value", False) for one in call.keywords)
            if (name_of(call) == "Note" and is_warning) or name_of(call) == "_warn":
                given = call.args[:1] or [one.value for one in call.keywords if one.arg == "code"]
                found.update(code for value in given for code in texts_in(value))
    return found


def _by_position(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for call in calls_in(tree):
        at = _AT.get(name_of(call))
        if at is not None and len(call.args) > at:
            yield from ((code, call.lineno) for code in texts_in(call.args[at]))


def _sources() -> Iterator[tuple[Path, ast.AST]]:
    for room in ("fedstats", "node_agent", "key_holder"):
        for path in sorted((ROOT / room).rglob("*.py")):
            name = path.relative_to(ROOT)
            if not any(name.is_relative_to(one) for one in SAID_IN_FULL):
                yield name, ast.parse(path.read_text(encoding="utf-8"))
