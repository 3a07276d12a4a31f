"""What a command shows while it runs and when it fails: a progress bar on a terminal, lines of JSON, clear errors."""

import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

from fedstats.errors import FedstatsError


class Shown(Protocol):
    """An event of a run: what happened, with what belongs to it."""

    @property
    def event(self) -> str:
        """plan, node, pass, result or error."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """What belongs to the event."""
        ...


Show = Callable[[Shown], None]


class _State:
    json = False


def events(*, as_json: bool) -> AbstractContextManager[Show]:
    """How events of a run are shown: JSON lines, a progress bar on a terminal, or nothing."""
    _State.json = as_json
    if as_json:
        return _json_lines()
    return _progress() if sys.stderr.isatty() else _quiet()


def _print_json(event: str, data: Mapping[str, Any]) -> None:
    line = {"event": event, "time": datetime.now(UTC).isoformat(timespec="milliseconds"), **data}
    print(json.dumps(line, default=str), flush=True)  # noqa: T201  # this is the output


@contextmanager
def _json_lines() -> Any:
    yield lambda event: _print_json(event.event, event.data)


@contextmanager
def _quiet() -> Any:
    yield lambda event: None


@contextmanager
def _progress() -> Any:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"))
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("planning", total=None, told="")
        started = time.monotonic()
        yield lambda event: _tick(bar, task, event, started)


def _tick(bar: Any, task: Any, event: Shown, started: float) -> None:
    data = event.data
    if event.event == "node" and data.get("state") not in {"ready", "serving"}:
        bar.console.print(f"{data.get('node')}: {data.get('state')} {data.get('message', '')}".rstrip())
    if event.event != "pass" or not data.get("total"):
        return
    done, total = int(data.get("done", 0)), int(data["total"])
    rate = done / max(time.monotonic() - started, 1e-9)
    left = data.get("seconds_left")
    told = f"{done:,}/{total:,} variants  {rate:,.0f}/s" + (f"  {_duration(float(left))} left" if left else "")
    bar.update(task, description=str(data.get("pass", "")), total=total, completed=done, told=told)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def show_error(error: Exception) -> None:
    """One clear message on standard error, or one JSON object where JSON was asked."""
    if _State.json and isinstance(error, FedstatsError):
        _print_json("error", error_data(error))
        return
    print(f"fedstats: {error}", file=sys.stderr)  # noqa: T201  # this is the output


def error_data(error: FedstatsError) -> dict[str, Any]:
    """An error as data."""
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
        "node": error.node,
    }


def say(text: str) -> None:
    """Print a line of the command's result, unless JSON was asked."""
    if not _State.json:
        print(text)  # noqa: T201  # this is the output
