"""Job: everything a run is given, from names and lists as an analyst writes them."""

import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from fedstats.dataset import People
from fedstats.errors import UsageError
from fedstats.frontend.backend import Place
from fedstats.planning.request import Request

#: A list is given as such, or as a file.
Names = str | Sequence[str]
PeopleList = str | Path | Iterable[tuple[str, str]]
VariantList = str | Path | Iterable[str]

_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


@dataclass(frozen=True)
class Job:
    """A request with the lists that it speaks of, and where its files go.

    Attributes
    ----------
    extract, exclude
        Identifiers of variants; None for no such list.
    command
        What the log says was typed.
    plan_only
        Propose the plans and write them, and ask for no sum.
    listed
        How many people each list names that was given, by its flag: "keep", "remove".
    """

    request: Request
    people: People = field(default_factory=People)
    extract: tuple[str, ...] | None = None
    exclude: tuple[str, ...] | None = None
    place: Place = field(default_factory=Place)
    command: str = ""
    plan_only: bool = False
    listed: Mapping[str, int] = field(default_factory=dict)


def place_of(out: str | Path | None, *, resume: bool) -> Place:
    """Where files go; None keeps everything in memory.

    Raises
    ------
    UsageError
        Files could not be written there, or there is nothing to resume without a place.
    """
    if out is None:
        if resume:
            raise UsageError("--resume needs the --out of the run that it goes on with", code="BAD_OUT")
        return Place()
    path = Path(out)
    if path.is_dir() or str(out).endswith("/"):
        hint = f"Give a prefix in it, as in {path / 'run'}."
        raise UsageError(f"--out {out} is a folder; it must be the prefix of files", code="BAD_OUT", hint=hint)
    if not path.parent.is_dir():
        raise UsageError(
            f"--out {out}: there is no folder {path.parent}", code="BAD_OUT", hint="Make it first, or choose another."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise UsageError(
            f"--out {out}: you may not write in {path.parent.absolute()}", code="BAD_OUT", hint="Choose another folder."
        )
    return Place(path, resume)


def names_of(given: Names) -> tuple[str, ...]:
    """Names as a tuple; text is split at commas."""
    listed = given.split(",") if isinstance(given, str) else given
    return tuple(name.strip() for name in listed if name.strip())


def listed_people(keep: PeopleList | None, remove: PeopleList | None) -> tuple[People, dict[str, int]]:
    """The lists of a run, and how many people each of them names that was given.

    Raises
    ------
    UsageError
        A list cannot be read, or keeps nobody.
    """
    found = {"keep": people_of(keep, "--keep"), "remove": people_of(remove, "--remove")}
    if found["keep"] is not None and not found["keep"]:
        raise _empty("--keep", keep, "the list names nobody")
    counts = {flag: len(people) for flag, people in found.items() if people is not None}
    return People(found["keep"], found["remove"] or frozenset()), counts


def _empty(flag: str, given: object, why: str) -> UsageError:
    where = f" {given}" if isinstance(given, str | Path) else ""
    message = f"{flag}{where}: {why}, so that nothing would be left"
    return UsageError(message, code="BAD_LIST", hint=f"Name some in it, or leave {flag} out.")


def people_of(given: PeopleList | None, flag: str) -> frozenset[tuple[str, str]] | None:
    """Pairs of FID and IID, FID "" where a list has IID alone; a path is read."""
    if given is None:
        return None
    if not isinstance(given, str | Path):
        return frozenset((str(family), str(individual)) for family, individual in given)
    lines = [line.split() for line in _read(Path(given), flag).splitlines() if line.strip()]
    header = lines[0][0].lstrip("#").upper() if lines else ""
    rows = lines[1:] if header in {"FID", "IID"} else lines
    alone = header == "IID" or all(len(line) == 1 for line in rows)
    if not alone and any(len(line) < 2 for line in rows):
        raise UsageError(f"{flag} {given}: some lines have no FID and IID", code="BAD_LIST")
    return frozenset(("", line[0]) if alone else (line[0], line[1]) for line in rows)


def earlier_people(given: str | Path) -> str:
    """What `Request.people_as` says: digests of the plans of an earlier run, given by its OUT; ids stay as they are."""
    text = str(given)
    if not text or all(re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", run) for run in text.split(",")):
        return text
    record = Path(f"{text}.run.json")
    try:
        plans = json.loads(record.read_text(encoding="utf-8")).get("plans", {})
    except (OSError, ValueError, AttributeError):
        raise UsageError(
            f"--people-as {text}: there is no record of a finished run in {record.name}",
            code="BAD_LIST",
            hint="Give the --out of an earlier run, whose OUT.run.json still lies there.",
        ) from None
    if not plans:
        raise UsageError(f"--people-as {text}: that run asked no nodes, so none remembers it", code="BAD_LIST")
    return ",".join(plans[name] for name in sorted(plans))


def variants_of(given: VariantList | None, flag: str) -> tuple[str, ...] | None:
    """Identifiers of variants; a path is read, one or more a line.

    Raises
    ------
    UsageError
        A list cannot be read, or extracts nothing.
    """
    if given is None:
        return None
    found = tuple(_read(Path(given), flag).split()) if isinstance(given, str | Path) else tuple(given)
    if not found and flag == "--extract":
        raise _empty(flag, given, "the list names no variant")
    return found


def ranges_of(given: Iterable[str]) -> dict[str, tuple[float, float]]:
    """Ranges of columns from texts such as "q1=-4:4".

    Raises
    ------
    UsageError
        A text is no range, or a column has two.
    """
    found: dict[str, tuple[float, float]] = {}
    for text in given:
        name, _, limits = text.rpartition("=")
        match = re.fullmatch(rf"\s*({_NUMBER})\s*:\s*({_NUMBER})\s*", limits)
        if match is None or not name.strip():
            raise UsageError(f"--range {text!r} is no range", code="BAD_REQUEST", hint="Write --range NAME=LOW:HIGH.")
        if name.strip() in found:
            raise UsageError(f"--range names {name.strip()!r} twice", code="BAD_REQUEST")
        found[name.strip()] = (float(match[1]), float(match[2]))
    return found


def seconds_of(given: str | float) -> float:
    """A duration in seconds: 90, "90s", "15m", "2h" or "1d"."""
    if not isinstance(given, str):
        return float(given)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", given.strip().lower())
    if match is None or match[2] not in _UNITS:
        raise UsageError(f"--wait {given!r} is no duration", code="BAD_REQUEST", hint="Write 90s, 15m or 2h.")
    return float(match[1]) * _UNITS[match[2]]


def _read(path: Path, flag: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text in UTF-8"
        raise UsageError(
            f"{flag} {path}: {reason}", code="BAD_LIST", hint="Give a text file with one a line, or leave the flag out."
        ) from None
