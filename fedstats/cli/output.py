"""What a command shows while it runs: a progress bar on a terminal, lines of JSON where asked, else hardly anything."""

import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol


class Shown(Protocol):
    """An event of a run: what happened, with what belongs to it."""

    @property
    def event(self) -> str:
        """plan, node, pass, warning, result or error."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """What belongs to the event."""
        ...


Show = Callable[[Shown], None]


class _State:
    """How this process speaks: one command a process."""

    json = False
    run = ""
    lock = threading.Lock()


def is_json() -> bool:
    """Whether JSON was asked, also where the command line could not be read to its end."""
    return _State.json or "--json" in sys.argv[1:]


def speak(*, as_json: bool) -> None:
    """Settle whether this command speaks JSON."""
    _State.json = as_json


def events(*, as_json: bool) -> AbstractContextManager[Show]:
    """How events of a run are shown."""
    speak(as_json=as_json)
    if as_json:
        return _json_lines()
    return _progress() if sys.stderr.isatty() else _quiet()


def print_json(event: str, data: Mapping[str, Any]) -> None:
    """One object on one line; events come from many threads."""
    with _State.lock:
        _State.run = str(data.get("run") or _State.run)
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        line = {"event": event, "time": now, "run": _State.run, **data}
        sys.stdout.write(json.dumps(line, default=str) + "\n")
        sys.stdout.flush()


def say(text: str) -> None:
    """Print a line of the command's result, unless JSON was asked."""
    if not _State.json:
        print(text)  # noqa: T201  # this is the output


def say_warning(event: Shown) -> str:
    """What a reader of the results must know, in words."""
    return f"fedstats: warning: {event.data.get('message')}"


def say_node(event: Shown) -> str:
    """A change of a node's state in words."""
    message = str(event.data.get("message") or "")
    return f"{event.data.get('node')}: {event.data.get('state')}" + (f" ({message})" if message else "")


@contextmanager
def _json_lines() -> Iterator[Show]:
    yield lambda event: print_json(event.event, event.data)


@contextmanager
def _quiet() -> Iterator[Show]:
    """Only what whoever reads the output of a batch job must know: warnings, and a run that waits for a node."""
    planned = False

    def show(event: Shown) -> None:
        nonlocal planned
        planned = planned or event.event == "plan"
        if event.event == "warning":
            _print_aside(say_warning(event))
        elif planned and event.event == "node":
            _print_aside(f"fedstats: {say_node(event)}")

    yield show


def _print_aside(text: str) -> None:
    """Print where no script reads results."""
    print(text, file=sys.stderr, flush=True)  # noqa: T201  # this is the output


@contextmanager
def _progress() -> Iterator[Show]:
    from fedstats.cli.progress_bar import ProgressBar

    with ProgressBar() as bar:
        yield bar.show
