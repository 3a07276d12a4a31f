"""Results as files: results/DATE.md with its plots, and the same between marks in the guide."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks import on_paper, tables
from benchmarks.records import FOLDER, Record, kept

GUIDE = Path(__file__).parents[1] / "docs" / "guides" / "performance.md"


def write_results(records: Sequence[Record]) -> list[Path]:
    """results/DATE.md and the plots."""
    from benchmarks.plots import draw

    path = FOLDER / f"{records[-1].session[:10]}.md"
    plots = draw(records, FOLDER)
    shown = "".join(f"\n![{plot.stem}]({plot.name})\n" for plot in plots if plot.suffix == ".png")
    path.write_text(f"# Measured {records[-1].session[:10]}\n\n{tables.report(records)}{shown}", encoding="utf-8")
    return [path, *plots]


def write_guide(records: Sequence[Record]) -> Path:
    """Replace what stands between the marks of docs/guides/performance.md."""
    text = GUIDE.read_text(encoding="utf-8")
    notice = "A shared machine measured this: compare programs, not seconds.\n\n" if _busy(records) else ""
    text = between(text, "measured", notice + tables.report(records))
    text = between(text, "on paper", on_paper.derivation(kept()))
    GUIDE.write_text(text, encoding="utf-8")
    return GUIDE


def _busy(records: Sequence[Record]) -> bool:
    """Whether others kept at least half a core busy when the benchmark began."""
    return any(float(record.machine["load"]) > 0.5 for record in records)


def between(text: str, mark: str, new: str) -> str:
    """The text with what stands between two marks replaced.

    Raises
    ------
    ValueError
        A mark is not there.
    """
    first, last = f"<!-- {mark}: begin -->\n", f"<!-- {mark}: end -->"
    head, found, rest = text.partition(first)
    _, closed, tail = rest.partition(last)
    if not (found and closed):
        raise ValueError(f"the guide lacks the marks of {mark!r}")
    return f"{head}{first}{new.strip()}\n{last}{tail}"
