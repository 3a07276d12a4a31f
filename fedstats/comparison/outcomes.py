"""What one setting came to at one number of nodes, and the table of all of them as text and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from fedstats.results.files import AtomicFile


@dataclass(frozen=True)
class Outcome:
    """Medians of the repeats of one setting with one number of nodes.

    Attributes
    ----------
    setting, nodes, trust
        What was run, and whom one must trust not to work together.
    wall
        Seconds from start to end of the command.
    cpu_per_node, cpu_coordinator, cpu_key_holder
        CPU seconds; of nodes the mean.
    bytes_up, bytes_down
        Of one node, for each variant.
    rounds
        Passes that were opened.
    beta_difference, log10p_difference
        Largest difference from the pooled analysis; NaN where nothing could be estimated.
    power
        Share of the planted variants that reach P = 5e-8.
    auc_upload, auc_output
        Membership inference from the first node's upload, and from the frequencies of the result.
    """

    setting: str
    nodes: int
    trust: str
    wall: float
    cpu_per_node: float
    cpu_coordinator: float
    cpu_key_holder: float
    bytes_up: float
    bytes_down: float
    rounds: int
    beta_difference: float
    log10p_difference: float
    power: float
    auc_upload: float
    auc_output: float

    @property
    def cpu(self) -> float:
        """CPU seconds of all processes together."""
        return self.nodes * self.cpu_per_node + self.cpu_coordinator + self.cpu_key_holder


@dataclass(frozen=True)
class Comparison:
    """All outcomes, with what they are outcomes of.

    Attributes
    ----------
    people, variants, repeats, seed
        The study, and how often each setting ran.
    pooled_power
        Share of the planted variants that reach P = 5e-8 in the pooled analysis.
    machine
        Processor, versions, date.
    """

    people: int
    variants: int
    repeats: int
    seed: int
    pooled_power: float
    machine: Mapping[str, str]
    outcomes: Sequence[Outcome]


#: Head of each column with the attribute it shows and its format.
COLUMNS = (
    ("setting", "setting", "{}"),
    ("nodes", "nodes", "{:d}"),
    ("wall s", "wall", "{:.1f}"),
    ("CPU s", "cpu", "{:.1f}"),
    ("CPU s a node", "cpu_per_node", "{:.2f}"),
    ("up B/variant", "bytes_up", "{:.0f}"),
    ("down B/variant", "bytes_down", "{:.0f}"),
    ("rounds", "rounds", "{:d}"),
    ("max |Δbeta|", "beta_difference", "{:.1e}"),
    ("max |Δ−log10 p|", "log10p_difference", "{:.1e}"),
    ("power", "power", "{:.2f}"),
    ("AUC upload", "auc_upload", "{:.2f}"),
    ("AUC output", "auc_output", "{:.2f}"),
)


def cells(outcome: Outcome) -> list[str]:
    """One row of the table."""
    return [form.format(getattr(outcome, name)) for _, name, form in COLUMNS]


def text_table(outcomes: Sequence[Outcome]) -> str:
    """The table as text with columns set in line."""
    rows = [[head for head, _, _ in COLUMNS], *map(cells, outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) if not number else cell.rjust(width) for number, (cell, width) in line).rstrip()
        for line in (list(enumerate(zip(row, widths, strict=True))) for row in rows)
    )


def write_json(comparison: Comparison, path: Path) -> None:
    """Write everything as JSON; the file appears whole or not at all."""
    content: dict[str, Any] = asdict(comparison)  # Any: JSON
    for found, outcome in zip(content["outcomes"], comparison.outcomes, strict=True):
        found["cpu"] = outcome.cpu
    _write(path, json.dumps(_without_nan(content), indent=1, ensure_ascii=False))


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    _write(path, text)


def _write(path: Path, text: str) -> None:
    file = AtomicFile(path)
    try:
        file.write(f"{text}\n".encode())
        file.seal()
        file.publish()
    except BaseException:
        file.abort()
        raise


def _without_nan(value: Any) -> Any:  # Any: JSON
    """JSON has no NaN: null says that there is no number."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and value != value else value
