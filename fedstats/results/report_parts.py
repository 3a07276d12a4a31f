"""Pieces of HTML: escaped text, numbers, tables, figures."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

#: A cell of a table: counts get separators, reals four significant digits, None a dash.
Cell = str | int | float | None

_DASH = "–"


def shown(cell: Cell) -> str:
    """A cell as escaped text: counts with separators, reals with four digits, a dash for nothing."""
    if cell is None or (isinstance(cell, float) and math.isnan(cell)):
        return _DASH
    if isinstance(cell, int):
        return f"{cell:,}".replace("-", "−")
    if isinstance(cell, float):
        return f"{cell:.4g}".replace("e-0", "e-").replace("-", "−")
    return escape(cell)


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Cell]],
    *,
    caption: str,
    show_caption: bool = True,
    numeric: frozenset[int] | None = None,
) -> str:
    """A table with a caption; it scrolls sideways by itself, also by keyboard.

    A caption that only repeats the heading above it is for screen readers alone (`show_caption` false).
    `numeric` are the columns set to the right; without it, those that hold numbers only.
    """
    cells = [tuple(row) for row in rows]
    if numeric is None:
        numeric = frozenset(index for index in range(len(columns)) if _is_numeric(cells, index))
    head = "".join(
        f'<th scope="col"{_number(index in numeric)}>{escape(name)}</th>' for index, name in enumerate(columns)
    )
    body = "".join(_row(row, numeric) for row in cells)
    unseen = ' class="unseen"'
    label = escape(caption, quote=True)
    return (
        f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">'
        f"<table><caption{'' if show_caption else unseen}>{escape(caption)}</caption>"
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>\n"
    )


def facts(items: Mapping[str, Cell]) -> str:
    """Names and values side by side."""
    pairs = "".join(f"<div><dt>{escape(name)}</dt><dd>{shown(value)}</dd></div>" for name, value in items.items())
    return f'<dl class="facts">{pairs}</dl>\n'


def figure(picture: str, caption: str) -> str:
    """A picture, as HTML that says itself what it shows, over its caption."""
    return f"<figure>{picture}<figcaption>{escape(caption)}</figcaption></figure>\n"


def section(name: str, title: str, body: str) -> str:
    """A section that can be linked to."""
    anchor = escape(name, quote=True)
    return f'<section aria-labelledby="{anchor}"><h2 id="{anchor}">{escape(title)}</h2>\n{body}</section>\n'


def paragraph(text: str, kind: str = "") -> str:
    """A paragraph; nothing for an empty text."""
    if not text:
        return ""
    css = f' class="{escape(kind, quote=True)}"' if kind else ""
    return f"<p{css}>{escape(text)}</p>\n"


def _row(cells: tuple[Cell, ...], numeric: frozenset[int]) -> str:
    first = f'<th scope="row"{_number(0 in numeric)}>{shown(cells[0])}</th>'
    rest = "".join(f"<td{_number(index in numeric)}>{shown(cell)}</td>" for index, cell in enumerate(cells[1:], 1))
    return f"<tr>{first}{rest}</tr>"


def _is_numeric(rows: list[tuple[Cell, ...]], index: int) -> bool:
    held = [row[index] for row in rows if row[index] is not None]
    return bool(held) and all(isinstance(cell, int | float) for cell in held)


def _number(right: bool) -> str:  # noqa: FBT001  # one private switch, named at every call by its position in a row
    return ' class="number"' if right else ""
