"""A progress bar for each pass over the variants: how many are done, how many a second, how long it will take."""

import threading
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TaskID, TextColumn
from rich.text import Text

from fedstats.cli.output import Shown, say_node, say_warning

#: Steps whose names say little to whoever waits for them.
_STEPS = {
    "accounting": "counting people",
    "counts": "counting genotypes",
    "counts_by_sex": "counting genotypes",
    "arms": "counting cases and controls",
    "null": "null model",
    "round_zero": "score test",
    "round_zero_by_sex": "score test",
    "approach": "fitting",
    "round": "fitting",
}


class _Told(ProgressColumn):
    """Variants done, variants a second and time left; the clock goes on between chunks."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        done, total = int(task.completed), int(task.total or 0)
        if not total:
            return Text("")
        told = f"{done:,}/{total:,} variants"
        seconds = task.fields["seconds"]
        if done and seconds:
            since = time.monotonic() - task.fields["at"]
            told += f"  {done / seconds:,.0f}/s  {duration(max(0.0, seconds / done * (total - done) - since))} left"
        return Text(told)


class ProgressBar:
    """Shows events of one run on the terminal; a line stays for every pass that is finished."""

    def __init__(self, console: Console | None = None) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24), _Told())
        self._bar = Progress(*columns, console=console or Console(stderr=True), transient=True)
        self._lock = threading.Lock()
        self._task = self._new_task("planning")
        self._planned = False
        self._pass, self._step, self._started = "", "", time.monotonic()

    def _new_task(self, said: str) -> TaskID:
        """A bar whose end is not known yet."""
        return self._bar.add_task(said, total=None, seconds=0.0, at=0.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, event: Shown) -> None:
        """Show an event; may be called from many threads."""
        with self._lock:
            if event.event == "plan":
                self._planned = True
            elif event.event == "node":
                self._show_node(event)
            elif event.event == "warning":
                self._bar.console.print(say_warning(event), style="yellow", markup=False, highlight=False)
            elif event.event == "pass" and "total" in event.data:
                self._show_variants(event)
            elif event.event == "pass":
                self._step = _step_in_words(str(event.data.get("step", "")))
                self._describe()

    def _show_node(self, event: Shown) -> None:
        if self._planned or event.data.get("state") == "left out":
            self._bar.console.print(say_node(event), markup=False, highlight=False)
        elif event.data.get("state") == "waiting":
            self._bar.update(self._task, description=f"planning: waiting for {event.data.get('node')}")

    def _show_variants(self, event: Shown) -> None:
        name, done, total = str(event.data["pass"]), int(event.data["done"]), int(event.data["total"])
        now = time.monotonic()
        if name != self._pass:
            self._pass, self._started = name, now
        seconds = now - self._started
        self._bar.update(self._task, total=total, completed=done, seconds=seconds, at=now)
        self._describe()
        if done == total and total:
            self._bar.console.print(
                f"{name}: {total:,} variants in {duration(seconds)} ({total / max(seconds, 1e-9):,.0f} a second)",
                markup=False,
                highlight=False,
            )
            self._pass = self._step = ""
            self._bar.remove_task(self._task)
            self._task = self._new_task("writing")

    def _describe(self) -> None:
        said = ", ".join(text for text in (self._pass, self._step) if text) or "planning"
        self._bar.update(self._task, description=said)


def _step_in_words(step: str) -> str:
    """`linear_gwas/scan@1` as people call it."""
    name = step.partition("@")[0].rpartition("/")[2]
    return _STEPS.get(name, name.replace("_", " "))


def duration(seconds: float) -> str:
    """A time in words: 2 h 5 min, 3 min 20 s, 12 s, 0.8 s."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
