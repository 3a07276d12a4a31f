"""Codes of errors that an agent answers a caller with: those that can be raised, and those that the guide explains."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from fedstats.planning import distance
from fedstats.study import Floors

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "guides" / "refusals.md"
#: Headings of the guide's tables.
ANSWERED, OWN_SIDE, WARNINGS = "What nodes and key holders answer", "What your own side says", "Warnings"

#: What answers callers, and what it runs to answer them.
ANSWERING = (
    "node_agent",
    "key_holder",
    "fedstats/privacy",
    "fedstats/serving",
    "fedstats/wire",
    "fedstats/identity/signing.py",
    "fedstats/identity/roster.py",
    "fedstats/additive.py",
    "fedstats/certified.py",
    "fedstats/dataset.py",
    "fedstats/documents.py",
    "fedstats/fixed_point.py",
    "fedstats/ledger.py",
    "fedstats/scratch.py",
    "fedstats/step.py",
    "fedstats/planning/people_lists.py",
    "fedstats/planning/panel_files.py",
    "fedstats/analyses/genotype_counts.py",
    "fedstats/analyses/linear_sums.py",
    "fedstats/analyses/logistic_steps.py",
    "fedstats/analyses/standardise.py",
    "fedstats/kernels/exact_sums.py",
)
#: Files whose errors are a custodian's own, at a command or at start: no caller ever sees them.
OF_COMMANDS = (
    "node_agent/cli.py",
    "node_agent/config.py",
    "node_agent/keys_folder.py",
    "node_agent/datasets/faults.py",
    "node_agent/datasets/load.py",
    "node_agent/datasets/tables.py",
    "key_holder/cli.py",
    "key_holder/config.py",
    "key_holder/keys_folder.py",
    "fedstats/audit.py",
    "fedstats/config_reading.py",
    "fedstats/identity/card.py",
    "fedstats/identity/custodian.py",
    "fedstats/identity/drafting.py",
    "fedstats/identity/keys.py",
    "fedstats/identity/party_keys.py",
    "fedstats/serving/running.py",
    "fedstats/state_folder.py",
    "fedstats/terminal/failures.py",
)
#: Loaded by agents, but what they raise is said to the analyst whose totals and request they read; where a node follows
#: the same way from certified totals, it answers NOT_THE_TOTAL instead.
AT_COORDINATORS = (
    "fedstats/analyses/linear_design.py",
    "fedstats/analyses/linear_gwas_noised.py",
    "fedstats/analyses/logistic_gwas.py",
    "fedstats/analyses/logistic_null.py",
    "fedstats/analyses/moments.py",
    "fedstats/analyses/noised_null.py",
    "fedstats/analyses/people_accounting.py",
    "fedstats/planning/request.py",
)
#: Raised in files above, but before an agent serves, at a coordinator, or by a command.
NOT_TO_CALLERS = {
    "BAD_CONFIG": "an agent that starts",
    "BAD_DATA": "an agent that starts",
    "BAD_KEYS": "an agent that starts",
    "BAD_KEY": "a command that makes or reads keys",
    "BAD_PANEL": "a coordinator that reads its own panel",
    "BAD_ROSTER": "an agent or coordinator that starts",
    "INCONSISTENT_SHARES": "a coordinator that opens a pass",
    "TOO_FEW_SHARES": "a coordinator that opens a pass",
    "UNKNOWN_IDENTITY": "a command about the roster",
    "UNKNOWN_NODE": "a command about a peer",
}
_CODE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_RULES = {"refused": ("POLICY", 0), "_at_least": ("FLOOR", 2)}


def documented() -> set[str]:
    """Codes of nodes and key holders that have a row in the guide."""
    return set(rows())


def rows(heading: str = ANSWERED) -> list[str]:
    """The codes of the guide's table under a heading, from top to bottom."""
    _, _, rest = GUIDE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")
    return re.findall(r"^\| `([A-Z_0-9]+)` \|", rest.partition("\n## ")[0], re.MULTILINE)


def raised() -> dict[str, list[str]]:
    """Every code that may reach a caller, with the lines that raise it."""
    found = {code: lines for code, lines in _with_lines().items() if code not in NOT_TO_CALLERS}
    for rule in (*_reasons(), distance.TOO_CLOSE, distance.TOO_CLOSE_TO_EARLIER):
        # A model that is not served is refused by its rule when the run begins all the same.
        found.setdefault(f"FLOOR_{rule.upper()}", []).append("node_agent/runs.py")
    for floor in Floors.__dataclass_fields__.keys() - {"validation"}:
        found.setdefault(f"POLICY_{floor.upper()}", []).append("node_agent/policy.py")
    return found


def codes_of() -> set[str]:
    """Every code of the files that answer callers."""
    return set(_with_lines())


def _with_lines() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in answering_files():
        for code, line in codes_in(ast.parse(path.read_text(encoding="utf-8"))):
            found.setdefault(code, []).append(f"{path.relative_to(ROOT)}:{line}")
    return found


def _reasons() -> list[str]:
    """Rules for which a node does not serve a model."""
    files = [ROOT / f"fedstats/planning/{name}.py" for name in ("serve", "column_floors")]
    calls = [call for file in files for call in calls_in(ast.parse(file.read_text(encoding="utf-8")))]
    return [text for call in calls if name_of(call) == "Reason" for text in _constants(call.args[0])]


def answering_files() -> list[Path]:
    """Sources whose errors reach callers."""
    named = [ROOT / one for one in ANSWERING]
    files = [path for one in named for path in (sorted(one.rglob("*.py")) if one.is_dir() else [one])]
    return [path for path in files if str(path.relative_to(ROOT)) not in OF_COMMANDS]


def unclassified() -> list[str]:
    """Sources with codes that an agent loads, and of which nobody said who sees their errors."""
    known = {*(str(path.relative_to(ROOT)) for path in answering_files()), *OF_COMMANDS, *AT_COORDINATORS}
    return [name for name in sorted(_loaded() - known) if any(codes_in(ast.parse((ROOT / name).read_text("utf-8"))))]


def _loaded() -> set[str]:
    """Sources that are imported, wherever in a file, from agents."""
    waiting = [path for agent in ("node_agent", "key_holder") for path in (ROOT / agent).rglob("*.py")]
    found: set[str] = set()
    while waiting:
        path = waiting.pop()
        if str(path.relative_to(ROOT)) not in found:
            found.add(str(path.relative_to(ROOT)))
            waiting += _imported(ast.parse(path.read_text(encoding="utf-8")))
    return found


def _imported(tree: ast.AST) -> list[Path]:
    names = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module, *(f"{node.module}.{one.name}" for one in node.names)]
    stems = [ROOT / name.replace(".", "/") for name in names]
    files = [file for stem in stems for file in (stem.with_suffix(".py"), stem / "__init__.py")]
    return [file for file in files if file.exists()]


def without_a_code() -> list[str]:
    """Errors that are raised without a code, so that a caller sees the name of a class."""
    kinds = {"Refused", "ProtocolRefused", "DisclosureRefused", "Failed", "MaskMismatch", "RangeOverflow", "UsageError"}
    return [
        f"{path.relative_to(ROOT)}:{call.lineno}"
        for path in answering_files()
        for call in calls_in(ast.parse(path.read_text(encoding="utf-8")))
        if name_of(call) in kinds and not any(one.arg == "code" for one in call.keywords)
    ]


def codes_in(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Codes of the errors that a source raises by `code=`, and the lines."""
    for call in calls_in(tree):
        if name_of(call) == "Note":
            continue
        for keyword in call.keywords:
            if keyword.arg == "code":
                yield from ((code, call.lineno) for code in texts_in(keyword.value))
        name = name_of(call)
        if name == "_refused":
            yield from ((code, call.lineno) for code in texts_in(call.args[-1]))
        prefix, at = _RULES.get(name, ("", 0))
        if prefix and len(call.args) > at:
            yield from ((f"{prefix}_{rule.upper()}", call.lineno) for rule in _constants(call.args[at]))


def calls_in(tree: ast.AST) -> Iterator[ast.Call]:
    """Every call of a source."""
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def name_of(call: ast.Call) -> str:
    """What is called, without what it belongs to."""
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def texts_in(value: ast.expr) -> list[str]:
    """Constants that look like codes."""
    return [text for text in _constants(value) if _CODE.fullmatch(text)]


def _constants(value: ast.expr) -> list[str]:
    if isinstance(value, ast.JoinedStr):
        return []
    return [one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str)]
