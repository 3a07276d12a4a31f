"""A preview in words, for a terminal or a file."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from node_agent.node import Node
from node_agent.plans import proposed
from node_agent.preview import Preview, StepShown

#: Where nobody looks at a terminal, lines are not broken.
_WIDTH_OF_FILES = 220


def show(found: Preview, *, terminal: bool) -> None:
    """Print a preview."""
    console = Console(width=None if terminal else _WIDTH_OF_FILES, highlight=False)
    for heading, value in found.summary.items():
        console.print(f"{heading:<11} {escape(value)}")
    console.print(f"\nProtection  {escape(found.protection)}")
    for note in found.notes:
        console.print(f"Note        {escape(note)}")
    asked = [step for step in found.steps if step.times]
    title = "asked" if any(step.times > 0 for step in found.steps) else "what may be asked"
    console.print(_table("step models times numbers of-each what-lets-it-out", _steps(asked), title))
    console.print(_table("step field what along numbers total-at-most", _fields(found.steps), "numbers of one release"))
    console.print(f"In all: {total(found.steps)}")
    idle = [step for step in found.steps if not step.times]
    if idle:
        listed = ", ".join(dict.fromkeys(step.step for step in idle))
        console.print(f"The plan would also allow, though the rehearsal did not ask: {escape(listed)}")
    console.print(_table("budget afterwards", _budgets(found)))
    _verdict(console, found)


def as_json(found: Preview) -> str:
    """A preview as one line of JSON."""
    return json.dumps(asdict(found), sort_keys=True)


def list_plans(node: Node) -> None:
    """Print the plans that were proposed to a node."""
    rows = (
        (digest[:16], plan.created, plan.project, plan.study.analysis, ", ".join(plan.study.nodes), _state(begun=begun))
        for digest, plan, begun in proposed(node)
    )
    Console(width=_WIDTH_OF_FILES, highlight=False).print(_table("plan asked project analysis nodes state", rows))


def _state(*, begun: bool) -> str:
    return "begun" if begun else "proposed"


def total(steps: Sequence[StepShown]) -> str:
    """How many numbers of the whole cohort, and of each variant, the rehearsal asked for."""
    of = {each: sum(step.numbers * step.times for step in steps if step.each == each) for each in ("run", "variant")}
    if any(step.times < 0 for step in steps):
        return "not known without a rehearsal."
    return f"{of['run']:,} numbers of the whole cohorts, and {of['variant']:,} of each variant, counting every model."


def _steps(steps: Iterable[StepShown]) -> Iterator[tuple[str, ...]]:
    models: dict[tuple[str, ...], list[str]] = {}
    for one in steps:
        times = "?" if one.times < 0 else str(one.times)
        models.setdefault((one.step, times, str(one.numbers), one.each, one.rule), []).append(one.model)
    for (step, times, numbers, each, rule), names in models.items():
        yield (step, ", ".join(names), times, numbers, each, rule)


def _fields(steps: Iterable[StepShown]) -> Iterator[tuple[str, ...]]:
    told: set[tuple[str, str, int]] = set()
    for step in steps:
        for one in step.fields:
            if step.times and (key := (step.step, one.field, one.numbers)) not in told:
                told.add(key)
                yield (step.step, one.field, one.what, one.along, str(one.numbers), f"{one.most:.3g}")


def _budgets(found: Preview) -> Iterator[tuple[str, ...]]:
    own = f"{found.summary['project']}|{found.summary['data set']}|"
    for what, number in found.charges.items():
        yield (f"new {what}", str(number))
    for key, value in found.budgets.items():
        if key.startswith(own):
            yield (key.removeprefix(own), value)


def _table(columns: str, rows: Iterable[Sequence[str]], title: str = "") -> Any:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title=title or None, title_justify="left", title_style="bold")
    for column in columns.split():
        right = column in ("times", "numbers", "total-at-most")
        table.add_column(column.replace("-", " "), justify="right" if right else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(escape, row))
    return table


def _verdict(console: Console, found: Preview) -> None:
    if not found.refusals:
        console.print("This node would serve it.")
        return
    console.print("[bold]This node would refuse it:[/bold]")
    for refusal in found.refusals:
        console.print(f"  {refusal.code}: {escape(refusal.message)}")
