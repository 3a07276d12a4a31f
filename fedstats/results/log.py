"""OUT.log: what was asked, what happened, and how it ended; written also when a run fails."""

import contextlib
import platform
import shlex
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from fedstats.errors import Failed, FedstatsError, Stopped
from fedstats.results.files import write_failure

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The present moment."""
    return datetime.now(UTC)


class RunLog:
    """A log that grows line by line, on the disk and, if asked, on the terminal.

    As a context manager it ends with the error that left the block, if one did.
    Unlike the tables it is not atomic: a log is most needed when a run does not reach its end.

    Parameters
    ----------
    prefix
        OUT; the file is OUT.log.
    version
        Version of fedstats.
    command
        The command line as it was typed.
    terminal
        Takes each line for the screen; without it the log is silent.
    """

    def __init__(
        self,
        prefix: str | Path,
        *,
        version: str,
        command: str,
        terminal: Callable[[str], None] | None = None,
        clock: Clock = utc_now,
    ) -> None:
        self.path = Path(f"{prefix}.log")
        self._clock = clock
        self._terminal = terminal
        self._started = clock()
        try:
            self._file = self.path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise write_failure(self.path, 0, error) from error
        python = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
        self.line(f"fedstats {version}, {python}")
        self.line(f"Command: {command}")
        self.line(f"Start:   {_stamp(self._started)}")
        self.line("")

    def line(self, text: str) -> None:
        """Append a line; it is on the disk when this returns."""
        if self._terminal is not None:
            self._terminal(text)
        try:
            self._file.write(text + "\n")
        except OSError as error:
            raise write_failure(self.path, self.path.stat().st_size, error) from error

    def section(self, title: str) -> None:
        """An empty line and an underlined title."""
        self.line("")
        self.line(title)
        self.line("-" * len(title))

    def table(self, rows: list[tuple[str, int | str]]) -> None:
        """Reasons or names with their counts, aligned."""
        counts = [f"{count:,}" if isinstance(count, int) else count for _, count in rows]
        width = max((len(count) for count in counts), default=0)
        for (name, _), count in zip(rows, counts, strict=True):
            self.line(f"  {count:>{width}}  {name}")

    def close(self, error: BaseException | None = None) -> None:
        """Write how it ended, and when."""
        if self._file.closed:
            return
        ended = self._clock()
        try:
            self.line("")
            if error is not None:
                self.line(_epitaph(error))
            self.line(f"End:     {_stamp(ended)} ({_duration((ended - self._started).total_seconds())})")
        finally:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if error is None:
            self.close()
            return
        with contextlib.suppress(Failed):  # a full disk must not hide why the run ended
            self.close(error)


def command_as_typed() -> str:
    """The command line of this process, its program without the folder."""
    return shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]])


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min {rest} s"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _epitaph(error: BaseException) -> str:
    """The line that says why the run ended before its time."""
    if isinstance(error, KeyboardInterrupt | Stopped):
        return "INTERRUPTED by the user."
    if isinstance(error, FedstatsError):
        return f"ERROR ({error.code}, exit {error.exit_code}): {error}"
    return f"ERROR ({type(error).__name__}): {error}"
