"""Results on disk: one JSON object a line, appended; the last measurement of a thing stands."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fedstats.comparison.measure import Measured

FOLDER = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Record:
    """Medians of one program at one task or point.

    Attributes
    ----------
    session
        When the benchmark began that this belongs to; ratios are formed within one.
    kind, name
        "task" and its name, or "growth" and its axis.
    program
        As it stands in tables; `exact` is false for approximations.
    at
        People, variants, missing, nodes, traits, covariates.
    median, spread
        Medians; least and largest wall and CPU of the repeats.
    """

    session: str
    quick: bool
    kind: str
    name: str
    program: str
    exact: bool
    at: dict[str, float]
    repeats: int
    median: Measured
    spread: dict[str, tuple[float, float]]
    machine: dict[str, Any]  # Any: numbers and text


def now() -> str:
    """The time of a session, UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_of(session: str) -> Path:
    """results/DATE.jsonl."""
    return FOLDER / f"{session[:10]}.jsonl"


def append(record: Record) -> None:
    """Add a line."""
    FOLDER.mkdir(exist_ok=True)
    with file_of(record.session).open("a", encoding="utf-8") as out:
        out.write(json.dumps(asdict(record)) + "\n")


def read(path: Path) -> list[Record]:
    """All records of a file in order."""
    lines = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines())
    return [Record(**{**line, "median": Measured(**line["median"])}) for line in lines]


def kept() -> list[Record]:
    """All that was ever measured, oldest first; full ones stand over quick ones."""
    records = [record for path in sorted(FOLDER.glob("*.jsonl")) for record in read(path)]
    full = [record for record in records if not record.quick]
    return full or records


def newest(records: Sequence[Record]) -> list[Record]:
    """Of each thing the last measurement, whatever the day."""
    last = {(r.kind, r.name, json.dumps(r.at, sort_keys=True)): r.session for r in records}
    return [r for r in records if last[r.kind, r.name, json.dumps(r.at, sort_keys=True)] == r.session]


def latest() -> list[Record]:
    """The last measurement of each thing."""
    return newest(kept())
