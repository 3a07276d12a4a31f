"""Plots of what was measured: CPU against the rivals, and growth."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from benchmarks.records import Record
from benchmarks.tables import comparisons, slopes
from benchmarks.tasks import TASKS

OURS, THEIRS, APPROXIMATE = "#1f5fa8", "#8a857c", "#d08a3e"

# The same figures give the same file, and its text stays text.
mpl.rcParams.update({"svg.hashsalt": "fedstats", "svg.fonttype": "none"})


def draw(records: Sequence[Record], folder: Path) -> list[Path]:
    """Write tasks.png, tasks.svg, growth.png and growth.svg, as far as there is something to draw."""
    written = []
    if any(record.kind == "task" for record in records):
        written += _save(_tasks(records), folder / "tasks")
    if any(record.kind == "growth" for record in records):
        written += _save(_growth(records), folder / "growth")
    return written


def _save(figure: Figure, stem: Path) -> list[Path]:
    paths = [stem.with_suffix(suffix) for suffix in (".png", ".svg")]
    for path in paths:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    return paths


def _tasks(records: Sequence[Record]) -> Figure:
    """CPU seconds as points on a logarithmic axis, a group for each task and share of missing calls."""
    titles = {task.name: task.title for task in TASKS}
    found = comparisons(records)
    rows = sum(1 + len(one.others) for one in found)
    figure = Figure(figsize=(9, 1.0 + 0.2 * rows + 0.35 * len(found)), layout="constrained")
    axes = figure.add_subplot()
    y = 0.0
    for one in found:
        at = one.ours.at
        label = f"{titles[one.ours.name]}, {at['people']:,.0f} x {at['variants']:,.0f}, {at['missing']:.1%} missing"
        axes.text(0, y - 0.75, label, transform=axes.get_yaxis_transform(), fontsize=8, fontweight="bold")
        for record in (one.ours, *one.others):
            colour = OURS if record is one.ours else THEIRS if record.exact else APPROXIMATE
            axes.plot(record.median.cpu, y, "o", color=colour, markersize=6)
            axes.text(record.median.cpu, y, f"   {record.program}: {record.median.cpu:.2f}", va="center", fontsize=7)
            y += 1
        y += 1.5
    axes.set(ylim=(y - 1, -1.6), yticks=[], xlabel="CPU seconds of all processes", xscale="log")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.set_xlim(right=axes.get_xlim()[1] * 12)
    return figure


def _growth(records: Sequence[Record]) -> Figure:
    """One panel an axis: CPU of all processes, of the agents and of the client."""
    found = {one.axis: one for one in slopes(records)}
    figure = Figure(figsize=(3.0 * max(len(found), 1), 3.2), layout="constrained")
    for number, (axis, one) in enumerate(found.items()):
        axes = figure.add_subplot(1, len(found), number + 1)
        some = [record for record in records if record.kind == "growth" and record.name == axis]
        at = [record.at[axis] for record in some]
        for figure_name, colour in (("cpu", OURS), ("agents_cpu", "#5b9bd5"), ("client_cpu", "#d08a3e")):
            axes.plot(at, [getattr(r.median, figure_name) for r in some], "o-", color=colour, label=figure_name)
        axes.set(xlabel=axis, title=f"CPU s; exponent {one.exponent:.2f}", ylim=(0, None), xlim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
        if not number:
            axes.legend(["all", "agents", "client"], frameon=False, fontsize=8)
    return figure
