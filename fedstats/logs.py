"""Logs: JSON lines in the state folder, lines for people on stderr; never arrays, identifiers or data.

What leaves the machine is none of this: peers see codes and incidents only.
Fields that could hold data are cut down on their way into either log.
"""

import logging
import logging.handlers
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, TextIO

import structlog

_LONGEST = 400
_BYTES, _KEPT_FILES = 20_000_000, 5
_PLAIN = (str, int, float, bool, type(None))

EventDict = MutableMapping[str, Any]  # Any: structlog's own type of events


def redact(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Keep plain fields, cut long texts, and say only the type of anything else."""
    for name, value in event.items():
        if name in ("exc_info", "exception", "_record"):
            continue
        if isinstance(value, Path):
            event[name] = value.name
        elif not isinstance(value, _PLAIN):
            event[name] = f"<{type(value).__name__}>"
        elif isinstance(value, str) and len(value) > _LONGEST:
            event[name] = value[:_LONGEST] + "..."
    return event


def set_up_logs(state: Path | None, name: str, people: TextIO | None = None, *, role: str = "node") -> None:
    """Send events to `people` (stderr unless given) and, where there is a state folder, to its agent.log.

    Every event says under `role` the name of the party.
    """
    shared: list[Any] = [  # Any: structlog's processors
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        redact,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [_for_people(people or sys.stderr)]
    if state is not None:
        root.handlers.append(_file(state / "agent.log"))
    root.setLevel(logging.INFO)
    structlog.contextvars.bind_contextvars(**{role: name})


def _for_people(stream: TextIO) -> logging.Handler:
    handler = logging.StreamHandler(stream)
    console = structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=_one_line)
    handler.setFormatter(_formatter(console))
    return handler


def _one_line(stream: Any, exc_info: Any) -> None:  # Any: structlog's signature
    """For people an error is one line; the traceback is in agent.log."""
    stream.write(f"  {exc_info[0].__name__}; traceback in agent.log")


def _file(path: Path) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_KEPT_FILES, encoding="utf-8")
    handler.setFormatter(_formatter(structlog.processors.JSONRenderer(), structlog.processors.format_exc_info))
    return handler


def _formatter(renderer: Any, *before: Any) -> logging.Formatter:  # Any: structlog's processors
    cut = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    return structlog.stdlib.ProcessorFormatter(processors=[cut, *before, renderer])
