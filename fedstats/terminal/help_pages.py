"""Help pages: options in named groups, plain text, quick to print."""

from typing import Any

import typer
import typer.core

#: Wider than click's 80 columns where the terminal is.
WIDEST_LINE = 110

SETTINGS = {"max_content_width": WIDEST_LINE, "help_option_names": ["-h", "--help"]}

_UNNAMED = "Options"


class GroupedCommand(typer.core.TyperCommand):
    """A command whose help lists options under the headings of their `rich_help_panel`.

    typer itself does so only with rich markup, which takes longer to load than everything else that --help needs.
    """

    def format_options(self, ctx: Any, formatter: Any) -> None:  # Any: click is bundled with typer, or not
        """Write each group of options under its heading, in the order of their first options."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                heading = getattr(parameter, "rich_help_panel", None) or _UNNAMED
                groups.setdefault(_heading(parameter, heading), []).append(_tidied(record))
        for heading in sorted(groups, key=lambda name: name == _UNNAMED):
            with formatter.section(heading):
                formatter.write_dl(groups[heading])

    def get_short_help_str(self, limit: int = 0) -> str:  # noqa: ARG002  # click's signature
        """The first line of the command's help in the list of commands, whole: click would cut it at 45 characters."""
        return self.short_help or (self.help or "").partition("\n")[0]


def _heading(parameter: Any, otherwise: str) -> str:
    return "Arguments" if parameter.param_type_name == "argument" else otherwise


def _tidied(record: tuple[str, str]) -> tuple[str, str]:
    """One space before what click appends in brackets."""
    return record[0], record[1].replace("  [", " [").removeprefix("[required]")
