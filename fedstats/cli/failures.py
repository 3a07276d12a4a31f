"""How `fedstats` shows an error: a message, or an object where JSON was asked."""

from fedstats.cli.output import is_json, print_json
from fedstats.errors import FedstatsError
from fedstats.terminal.failures import print_error


def show_error(error: FedstatsError) -> None:
    """One clear message on standard error, or one JSON object where JSON was asked."""
    if is_json():
        print_json("error", error_data(error))
    else:
        print_error("fedstats", error)


def error_data(error: FedstatsError) -> dict[str, object]:
    """An error as data."""
    return {
        "code": error.code,
        "exit_code": error.exit_code,
        "message": error.message,
        "hint": error.hint,
        "node": error.node,
    }
