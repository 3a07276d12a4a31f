"""How a command ends: one message that says what, where, which limit and what to do, and its exit code.

For `fedstats` and `fedstats-node` alike; neither shows a traceback unless it is asked for.
"""

import difflib
import os
import signal
import sys
import traceback
from collections.abc import Callable

import typer

from fedstats.errors import Failed, FaultyInput, FedstatsError, UsageError

#: Set to anything, it shows where an unexpected error comes from.
TRACEBACK_VARIABLE = "FEDSTATS_TRACEBACK"

#: click's root of errors of usage; newer versions of typer bundle click under another name.
_CLICK_ERROR = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")

Show = Callable[[FedstatsError], None]


def exit_code(program: str, app: typer.Typer, show: Show) -> int:
    """Run the command line of this process; its exit code, every error having been shown once.

    Parameters
    ----------
    program
        What the program is called in messages, however it was started.
    app
        Its commands.
    show
        Shows an error to whoever typed the command, or to the program that started it.
    """
    try:
        # typer turns Ctrl-C into 130 unless the command has made an error of its own of it.
        code = app(prog_name=program, standalone_mode=False) or 0
        return _failed(_interrupted(), show) if code == 128 + signal.SIGINT else code
    except FedstatsError as error:
        return _failed(error, show)
    except (KeyboardInterrupt, typer.Abort):
        return _failed(_interrupted(), show)
    except BrokenPipeError:
        # Whoever read our output has gone; what Python still holds of it must not fail a second time.
        sys.stdout = None  # as Python itself does where there is no output
        return FedstatsError.exit_code
    except Exception as error:  # noqa: BLE001  # the last resort: still one message and not a page
        if _wants_help(error):
            return FaultyInput.exit_code
        return _failed(_misused(error) or _of_file(error) or _bug(error), show)


def print_error(program: str, error: FedstatsError) -> None:
    """One clear message on standard error."""
    label = f"\x1b[1;31m{program}:\x1b[0m" if _in_colour() else f"{program}:"
    print(f"{label} {error}", file=sys.stderr)  # noqa: T201  # this is the output


def _failed(error: FedstatsError, show: Show) -> int:
    show(error)
    return error.exit_code


def _interrupted() -> Failed:
    """Ctrl-C outside of a run."""
    return Failed("interrupted; nothing half-written was left behind", code="INTERRUPTED")


def _wants_help(error: Exception) -> bool:
    """Whether nothing was typed but the name of a group of commands; then its help page is shown."""
    wanted = type(error).__name__ == "NoArgsIsHelpError"
    if wanted:
        print(error.format_message(), file=sys.stderr)  # type: ignore[attr-defined]  # noqa: T201  # this is the output
    return wanted


def _misused(error: Exception) -> UsageError | None:
    """What click says of a command line that it cannot read, as an error of ours; None for any other error."""
    if not isinstance(error, _CLICK_ERROR):
        return None
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else ""
    _, _, command = path.partition(" ")
    where = f"{command}: " if command else ""
    return UsageError(f"{where}{_said(error)}", code="USAGE", hint=f"See {path} --help." if path else "")


def _said(error: Exception) -> str:
    """Click's message; of the flags that a misspelt one resembles, the nearest alone."""
    near = difflib.get_close_matches(
        getattr(error, "option_name", ""), getattr(error, "possibilities", None) or [], n=1, cutoff=0.0
    )
    if near:
        return f"no such option: {error.option_name}; did you mean {near[0]}?"  # type: ignore[attr-defined]  # NoSuchOption
    message: str = error.format_message()  # type: ignore[attr-defined]  # every error of click has it
    return message[:1].lower() + message[1:].rstrip(".")


def _of_file(error: Exception) -> FedstatsError | None:
    """A file that cannot be read or written, by its name; None for any other error."""
    if not isinstance(error, OSError) or not error.filename:
        return None
    return Failed(f"{error.filename}: {error.strerror}", code="FILE")


def _bug(error: Exception) -> Failed:
    """An error that nobody expected, in one line; where it comes from only for those who ask."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    return Failed(
        f"internal error: {type(error).__name__}: {error}",
        code="INTERNAL",
        hint=f"This is a bug. Run the command again with {TRACEBACK_VARIABLE}=1 and report what it prints.",
    )


def _in_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
