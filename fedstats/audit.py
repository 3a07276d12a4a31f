"""An audit at a terminal: what a verified ledger holds, counted by kind or entry by entry."""

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedstats.errors import UsageError
from fedstats.ledger import Entry, counted, whole_chain


@dataclass(frozen=True)
class Shown:
    """Which entries of a ledger are shown, and how.

    Attributes
    ----------
    run, kind
        How the run begins that they are about; their kind; "" for any.
    entries
        Each entry, and not how many there are of each kind.
    as_json
        Each entry as one JSON object a line, and nothing else.
    """

    run: str = ""
    kind: str = ""
    entries: bool = False
    as_json: bool = False


def show(entries: Sequence[Entry], how: Shown, plans: Collection[str] = ()) -> None:
    """Print entries of a ledger.

    Parameters
    ----------
    entries
        All of them, whose chain was verified.
    how
        Which are shown, and how.
    plans
        Digests of the plans of the run, where one is named: answers to proposals name nothing else.

    Raises
    ------
    UsageError
        Code NO_ENTRIES: none is of this run or kind.
    """
    chosen = _of_kind(_of_run(entries, how.run, plans), how.kind)
    if how.as_json:
        _print(_as_json(entry) for entry in chosen)
        return
    if how.entries:
        _print(_in_words(entry) for entry in chosen)
    else:
        _print_counted(chosen)
    _print([whole_chain(entries)])


def _of_run(entries: Sequence[Entry], run: str, plans: Collection[str]) -> Sequence[Entry]:
    """Entries about a run, by its own name or those of its passes and plans."""
    if not run:
        return entries
    bodies = [json.loads(entry.body) for entry in entries]
    of_runs = [body for body in bodies if str(body.get("run", "")).startswith(run)]
    names = {*plans, *(body["run"] for body in of_runs), *(body["pass"] for body in of_runs if "pass" in body)}
    found = [entry for entry, body in zip(entries, bodies, strict=True) if names & _names_in(body)]
    if not found:
        raise UsageError(f"no entry is about a run that begins like {run!r}", code="NO_ENTRIES")
    return found


def _names_in(body: Mapping[str, Any]) -> set[str]:
    """What an entry names; the key of an answer has its kind of ask and a name."""
    return {part for value in body.values() for part in str(value).split("|")}


def _of_kind(entries: Sequence[Entry], kind: str) -> Sequence[Entry]:
    found = [entry for entry in entries if kind in ("", entry.kind)]
    if kind and not found:
        kinds = ", ".join(sorted({entry.kind for entry in entries}))
        raise UsageError(f"no entry is of the kind {kind!r}; there are {kinds or 'none at all'}", code="NO_ENTRIES")
    return found


def _as_json(entry: Entry) -> str:
    parts = {"entry": entry.seq, "at": entry.at, "kind": entry.kind, "body": json.loads(entry.body), "hash": entry.hash}
    return json.dumps(parts, separators=(",", ":"))


def _in_words(entry: Entry) -> str:
    words = (f"{name}={value}" for name, value in json.loads(entry.body).items())
    return " ".join((f"{entry.seq:>6}  {entry.at[:19]}  {entry.kind:<13}", *words)).rstrip()


def _print(lines: Iterator[str] | Sequence[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _print_counted(entries: Sequence[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("entry", "number", "first", "last", box=None)
    for row in counted(entries):
        table.add_row(*row)
    Console(soft_wrap=True, highlight=False).print(table)
