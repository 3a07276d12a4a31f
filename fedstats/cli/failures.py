"""How a command fails: one message that says what, where, which limit and what to do, and its exit code."""

import os
import sys
import traceback

import typer

from fedstats.cli.output import is_json, print_json
from fedstats.errors import Failed, FedstatsError, UsageError

#: Set to anything, it shows where an unexpected error comes from.
TRACEBACK_VARIABLE = "FEDSTATS_TRACEBACK"

#: click's root of errors of usage; newer versions of typer bundle click under another name.
_CLICK_ERROR = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")


def failed(error: FedstatsError) -> int:
    """Show an error; the exit code that belongs to it."""
    show_error(error)
    return error.exit_code


def show_error(error: FedstatsError) -> None:
    """One clear message on standard error, or one JSON object where JSON was asked."""
    if is_json():
        print_json("error", error_data(error))
        return
    label = "\x1b[1;31mfedstats:\x1b[0m" if _in_colour() else "fedstats:"
    print(f"{label} {error}", file=sys.stderr)  # noqa: T201  # this is the output


def error_data(error: FedstatsError) -> dict[str, object]:
    """An error as data."""
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
        "node": error.node,
    }


def interrupted() -> Failed:
    """Ctrl-C outside of a run."""
    return Failed("interrupted; nothing half-written was left behind", code="INTERRUPTED")


def wants_help(error: Exception) -> bool:
    """Whether nothing was typed but the name of a group of commands; then its help page is shown."""
    wanted = type(error).__name__ == "NoArgsIsHelpError"
    if wanted:
        print(error.format_message(), file=sys.stderr)  # type: ignore[attr-defined]  # noqa: T201  # this is the output
    return wanted


def misused(error: Exception) -> UsageError | None:
    """What click says of a command line that it cannot read, as an error of ours; None for any other error."""
    if not isinstance(error, _CLICK_ERROR):
        return None
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "fedstats"
    message = error.format_message()  # type: ignore[attr-defined]  # every error of click has it
    message = message[:1].lower() + message[1:].rstrip(".")
    return UsageError(f"{command}: {message}", code="USAGE", hint=f"See {command} --help.")


def show_bug(error: Exception) -> None:
    """An error that nobody expected, in one line; where it comes from only for those who ask."""
    if os.environ.get(TRACEBACK_VARIABLE):
        traceback.print_exception(error)
    show_error(
        Failed(
            f"internal error: {type(error).__name__}: {error}",
            code="INTERNAL",
            hint=f"This is a bug. Run the command again with {TRACEBACK_VARIABLE}=1 and report what it prints.",
        )
    )


def _in_colour() -> bool:
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")
