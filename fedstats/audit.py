"""An audit at a terminal: what a verified ledger holds, counted by kind or entry by entry."""

import json
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fedstats.errors import UsageError
from fedstats.ledger import Chain, Entry, counted


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


def show(chain: Chain, how: Shown, plans: Collection[str] = ()) -> None:
    """Print entries of a ledger.

    Parameters
    ----------
    chain
        The ledger, which was verified.
    how
        Which are shown, and how.
    plans
        Digests of the plans of the run, where one is named: answers to proposals name nothing else.

    Raises
    ------
    UsageError
        Code NO_ENTRIES: none is of this run or kind.
    """
    chosen = _Chosen(chain, _names_of_run(chain, how.run, plans) if how.run else None, how)
    if how.as_json:
        _print(map(_as_json, chosen))
        return
    if how.entries:
        _print(map(_in_words, chosen))
    else:
        _print_counted(chosen)
    _print([str(chain)])


@dataclass(frozen=True)
class _Chosen:
    """Entries of a run, if names of one are given, and of a kind; they are read as they are printed.

    The first entry of a ledger of years is printed before the last is read.
    """

    chain: Chain
    names: set[str] | None
    how: Shown

    def __iter__(self) -> Iterator[Entry]:
        of_run = (entry for entry in self.chain if self._is_of_run(entry))
        run_kinds: set[str] = set()
        found = False
        for entry in of_run:
            run_kinds.add(entry.kind)
            if self.how.kind in ("", entry.kind):
                found = True
                yield entry
        if not found:
            self._refuse(run_kinds)

    def _is_of_run(self, entry: Entry) -> bool:
        return self.names is None or bool(self.names & _names_in(json.loads(entry.body)))

    def _refuse(self, kinds: set[str]) -> None:
        """Say what there is in place of what was asked for; an empty ledger is none to complain of."""
        if self.names is not None and not kinds:
            raise UsageError(f"no entry is about a run that begins like {self.how.run!r}", code="NO_ENTRIES")
        if self.how.kind:
            there = ", ".join(sorted(kinds)) or "none at all"
            raise UsageError(f"no entry is of the kind {self.how.kind!r}; there are {there}", code="NO_ENTRIES")


def _names_of_run(chain: Chain, run: str, plans: Collection[str]) -> set[str]:
    """Names under which entries are about a run: its own, and those of its passes and plans."""
    bodies = (json.loads(entry.body) for entry in chain)
    of_runs = (body for body in bodies if str(body.get("run", "")).startswith(run))
    names = {body[name] for body in of_runs for name in ("run", "pass") if name in body}
    return names | set(plans)


def _names_in(body: Mapping[str, Any]) -> set[str]:
    """What an entry names; the key of an answer has its kind of ask and a name."""
    return {part for value in body.values() for part in str(value).split("|")}


def _as_json(entry: Entry) -> str:
    parts = {"entry": entry.seq, "at": entry.at, "kind": entry.kind, "body": json.loads(entry.body), "hash": entry.hash}
    return json.dumps(parts, separators=(",", ":"))


def _in_words(entry: Entry) -> str:
    words = (f"{name}={value}" for name, value in json.loads(entry.body).items())
    return " ".join((f"{entry.seq:>6}  {entry.at[:19]}  {entry.kind:<13}", *words)).rstrip()


def _print(lines: Iterable[str]) -> None:
    sys.stdout.writelines(f"{line}\n" for line in lines)


def _print_counted(entries: Iterable[Entry]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("entry", "number", "first", "last", box=None)
    for row in counted(entries):
        table.add_row(*row)
    Console(soft_wrap=True, highlight=False).print(table)
