"""Markdown tables of what was measured, and of what the project demands of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan

from benchmarks.growth import Slope, sentence, slope
from benchmarks.machine import sentence as machine_sentence
from benchmarks.records import Record
from benchmarks.tasks import TASKS, Demand

_HEAD = (
    "| task | people x variants | missing | program | variants/s | wall s | CPU s | CPU: times less "
    "| wall: times less | client MiB | agent MiB |\n|---|---|---:|---|---:|---:|---:|---:|---:|---:|---:|\n"
)
_GROWTH_HEAD = (
    "| what grows | to | people x variants | nodes | wall s | CPU s | of agents | of client | agent MiB | client MiB "
    "| MB to and from a node |\n|---|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
)


@dataclass(frozen=True)
class Comparison:
    """One task at one share of missing calls: ours first, then the others in the order in which they ran."""

    ours: Record
    others: tuple[Record, ...]

    def ratio(self, figure: str, name: str = "") -> float:
        """How many times less CPU or wall than the best exact rival whose name begins so; NaN where there is none."""
        exact = [record for record in self.others if record.exact and record.program.startswith(name)]
        rivals = [float(getattr(record.median, figure)) for record in exact]
        return min(rivals) / float(getattr(self.ours.median, figure)) if rivals else float("nan")

    def verdict(self, demand: Demand) -> str:
        """What is demanded, and whether it is met."""
        parts = []
        for figure, least in (("cpu", demand.cpu), ("wall", demand.wall)):
            if least and self.others:
                spare = demand.seconds / float(getattr(self.ours.median, figure))
                met = self.ratio(figure) >= least * (1 - spare) if spare < 1 else True
                parts.append(f"{figure} {_asked(self.ratio(figure), least, demand.seconds)}: {_said(met)}")
        for name, least in demand.named:
            ratio = self.ratio("cpu", name)
            if not isnan(ratio):
                parts.append(f"cpu against {name} {_asked(ratio, least, 0.0)}: {_said(ratio >= least)}")
        for who, most in (("agent", demand.agent_mib), ("client", demand.client_mib)):
            if most:
                found = float(getattr(self.ours.median, f"{who}_anonymous"))
                parts.append(
                    f"anonymous memory of the {who} {found:.0f} MiB of at most {most:g}: {_said(found <= most)}"
                )
        return "; ".join(parts)


def _said(met: bool) -> str:  # noqa: FBT001  # the only thing that it says
    return "met" if met else "NOT met"


def comparisons(records: Sequence[Record]) -> list[Comparison]:
    """Records of tasks, put together in the order of the tasks, with missing calls first."""
    order = {task.name: i for i, task in enumerate(TASKS)}
    tasks = [record for record in records if record.kind == "task"]
    keys = sorted({(order[r.name], -r.at["missing"], r.name) for r in tasks})
    found = []
    for _, missing, name in keys:
        some = [record for record in tasks if record.name == name and record.at["missing"] == -missing]
        mine = next(record for record in some if record.program.startswith("fedstats"))
        found.append(Comparison(mine, tuple(record for record in some if record is not mine)))
    return found


def task_table(records: Sequence[Record]) -> str:
    """A row for each program; the ratios stand in our row, against the best exact rival."""
    titles = {task.name: task.title for task in TASKS}
    lines = [_HEAD]
    for one in comparisons(records):
        for record in (one.ours, *one.others):
            head = (
                [titles[record.name], _size(record), f"{record.at['missing']:.1%}"] if record is one.ours else [""] * 3
            )
            own = [_ratio(one.ratio("cpu")), _ratio(one.ratio("wall"))] if record is one.ours else ["", ""]
            rate = f"{record.at['variants'] / record.median.wall:,.0f}"
            lines.append(_row([*head, record.program, rate, *_seconds(record), *own, *_memory(record)]))
    return "".join(lines)


def demand_table(records: Sequence[Record]) -> str:
    """What is demanded of each task, and whether it is met."""
    demands = {task.name: task for task in TASKS}
    lines = ["| task | people x variants | missing | against what is demanded |\n|---|---|---:|---|\n"]
    for one in comparisons(records):
        task, missing = demands[one.ours.name], one.ours.at["missing"]
        demand = task.demand(missing)
        if not demand.asks:
            continue
        said = one.verdict(demand) or "no rival at hand"
        lines.append(_row([task.title, _size(one.ours), f"{missing:.1%}", said]))
    return "".join(lines)


def growth_table(records: Sequence[Record]) -> str:
    """A row for each point."""
    lines = [_GROWTH_HEAD]
    for record in (record for record in records if record.kind == "growth"):
        median, nodes = record.median, record.at["nodes"]
        each = (median.bytes_to_nodes / nodes / 1e6, median.bytes_from_nodes / nodes / 1e6)
        cells = [
            *(record.name, f"{record.at[record.name]:,.0f}", _size(record), f"{nodes:.0f}", *_seconds(record)),
            *(f"{median.agents_cpu:.2f}", f"{median.client_cpu:.2f}"),
            *(f"{median.agent_anonymous:.0f}", f"{median.client_anonymous:.0f}", f"{each[0]:.1f} + {each[1]:.1f}"),
        ]
        lines.append(_row(cells))
    return "".join(lines)


def slopes(records: Sequence[Record], figure: str = "cpu") -> list[Slope]:
    """Slope of a figure along each axis that was measured."""
    found = []
    growth = [record for record in records if record.kind == "growth"]
    for axis in dict.fromkeys(record.name for record in growth):
        some = [record for record in growth if record.name == axis]
        if len(some) > 1:
            found.append(slope(axis, [r.at[axis] for r in some], [getattr(r.median, figure) for r in some]))
    return found


def memory_sentences(records: Sequence[Record]) -> list[str]:
    """What the most variants add to the peak of anonymous memory, where variants were grown."""
    some = [record for record in records if record.kind == "growth" and record.name == "variants"]
    if len(some) < 2:
        return []
    names = {"agent": "agent_anonymous", "client": "client_anonymous"}
    ends = {who: [getattr(some[i].median, name) for i in (0, -1)] for who, name in names.items()}
    times = some[-1].at["variants"] / some[0].at["variants"]
    return [
        f"anonymous memory of the {who}: {first:.0f} MiB, with {times:.0f} times the variants {last:.0f} MiB"
        for who, (first, last) in ends.items()
    ]


def report(records: Sequence[Record]) -> str:
    """Everything, as Markdown."""
    if not records:
        return "Nothing was measured.\n"
    machines = dict.fromkeys(machine_sentence(record.machine) for record in records)
    quick = "Small sizes (`--quick`): start-up decides most rows.\n" if any(r.quick for r in records) else ""
    said = [*(f"- {line}\n" for line in machines), quick and f"\n{quick}"]
    repeats = sorted({record.repeats for record in records})
    said.append(
        f"\nMedians of {' or '.join(map(str, repeats))} repeats after a warm-up; what takes over a minute ran once.\n"
    )
    if any(record.kind == "task" for record in records):
        said += ["\n", task_table(records)]
        # Demands are of the full sizes; small ones would be judged by their start-up.
        said += ["\n", demand_table(records)] if not any(r.quick for r in records) else []
    if any(record.kind == "growth" for record in records):
        lines = [*(sentence(one) for one in slopes(records)), *memory_sentences(records)]
        said += ["\n", growth_table(records), "\n", *(f"- {line}\n" for line in lines)]
    return "".join(said)


def _size(record: Record) -> str:
    return f"{record.at['people']:,.0f} x {record.at['variants']:,.0f}"


def _seconds(record: Record) -> list[str]:
    return [f"{record.median.wall:.2f}", f"{record.median.cpu:.2f}"]


def _memory(record: Record) -> list[str]:
    return [_or_dash(record.median.client_resident), _or_dash(record.median.agent_resident)]


def _or_dash(value: float) -> str:
    return f"{value:.0f}" if value else "-"


def _asked(ratio: float, least: float, seconds: float) -> str:
    """What there is and what is asked: times less where much less is asked, times as much where more is allowed."""
    if least >= 1:
        return f"{ratio:.2f} times less of at least {least:g}"
    return f"{1 / ratio:.2f} times as much of at most {1 / least:g}{f' and {seconds:g} s' if seconds else ''}"


def _ratio(value: float) -> str:
    return "" if value != value else f"**{value:.2f}x**"


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |\n"
