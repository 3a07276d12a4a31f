"""The comparison as one self-contained page, for those who decide on access to data."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from math import ceil, floor

import numpy as np

from fedstats.comparison.outcomes import COLUMNS, Comparison, Outcome, cells
from fedstats.results.chart import DARK, GREY, INK, LIGHT, SIGNAL, Chart, Curve, Dots, Name, Rule, Ticks, ticks
from fedstats.results.chart_svg import chart_svg
from fedstats.results.report_parts import facts, figure, paragraph, section, table
from fedstats.results.report_style import STYLE

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_TITLE = "Privacy settings side by side"
_INTRODUCTION = (
    "The same study, run by real agents over mutual TLS under every privacy setting: what each setting costs, how far "
    "its answer is from the analysis of pooled data, and how well an attacker can tell from what is seen whether a "
    "person took part. An attack that does no better than a coin has an AUC of 0.5; 1 means that everybody is "
    "recognised."
)
_READING = (
    "Plain, masked and paillier open the same totals, so their answers and what those answers leak are the same; they "
    "differ in what is seen on the way. Only differential privacy changes the answer itself: it hides people also from "
    "readers of the result, and pays in power."
)
_COSTS = (
    "CPU seconds are those of all processes, agents from the moment they are ready; bytes are one node's, whole "
    "messages as the coordinator counts them, divided by the number of variants. Power is the share of planted "
    "variants that reach P = 5e-8. The pooled analysis is separate code in double precision."
)
_ATTACK = (
    "The attack is a likelihood ratio over common variants (Sankararaman et al. 2009) on people of the first node "
    "against people of the same population who took no part; the attacker knows the population's frequencies from a "
    "panel of further people. For an upload, the attacker reads one node's genotype counts out of its bytes as if they "
    "were plain, over several uploads with new keys; for the output, the allele frequencies of the result."
)
_COLOURS = (DARK, SIGNAL, LIGHT, GREY, INK, "#5b8c5a", "#8a5a8c")


def page(comparison: Comparison) -> str:
    """The whole page."""
    most = max(outcome.nodes for outcome in comparison.outcomes)
    least = min(outcome.nodes for outcome in comparison.outcomes)
    first = [outcome for outcome in comparison.outcomes if outcome.nodes == least]
    body = (
        section("leak", "Cost against leak", _leak_figures(first))
        + (section("nodes", "Cost against nodes", _nodes_figures(comparison.outcomes)) if most > least else "")
        + section("figures", "All figures", _table(comparison.outcomes))
        + section("trust", "Whom one must trust", _trust(first))
        + section("methods", "How it was measured", paragraph(_COSTS) + paragraph(_ATTACK))
    )
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_TITLE}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f'{_head(comparison)}<main id="content">\n{body}</main>\n'
        f"<footer>Made by fedstats {escape(comparison.machine['fedstats'])}, "
        f"{escape(comparison.machine['date'])}.</footer>\n</body></html>\n"
    )


def _head(comparison: Comparison) -> str:
    told = facts(
        {
            "People": comparison.people,
            "Variants": comparison.variants,
            "Nodes": ", ".join(str(nodes) for nodes in sorted({one.nodes for one in comparison.outcomes})),
            "Repeats": comparison.repeats,
            "Power of the pooled analysis": comparison.pooled_power,
        }
    )
    return f'<header class="top"><h1>{_TITLE}</h1>\n{paragraph(_INTRODUCTION)}{told}{paragraph(_READING)}</header>\n'


def _leak_figures(outcomes: Sequence[Outcome]) -> str:
    nodes = outcomes[0].nodes
    caption = f"{nodes} nodes. To the left is cheaper, lower leaks less; the line is a coin."
    upload = _leak_chart(outcomes, [one.auc_upload for one in outcomes], "AUC from one node's upload")
    output = _leak_chart(outcomes, [one.auc_output for one in outcomes], "AUC from the result")
    described = "CPU seconds of all processes against the AUC of membership inference, one dot a setting."
    return figure(chart_svg(upload, described), f"What one node's upload leaks to the coordinator. {caption}") + figure(
        chart_svg(output, described), f"What the published result leaks to anybody. {caption}"
    )


def _leak_chart(outcomes: Sequence[Outcome], auc: Sequence[float], label: str) -> Chart:
    """One dot a setting: CPU on a logarithmic axis, and what the attack finds."""
    x, y = np.log10([one.cpu for one in outcomes]), np.clip(auc, 0.4, 1.0)
    x_ticks = _decades(float(x.min()), float(x.max()))
    limits = (x_ticks[0][0], x_ticks[-1][0])
    return Chart(
        label,
        *(9.0, 4.2),
        x_limits=limits,
        y_limits=(0.4, 1.05),
        x_label="CPU seconds of all processes",
        y_label=label,
        x_ticks=x_ticks,
        y_ticks=ticks([0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0]),
        dots=tuple(Dots(x[i : i + 1], y[i : i + 1], 8.0, _COLOURS[i % len(_COLOURS)]) for i in range(len(outcomes))),
        rules=(Rule(0.5, GREY, dashed=True),),
        names=tuple(_names([one.setting for one in outcomes], x.tolist(), y.tolist(), limits)),
    )


def _names(texts: Sequence[str], x: Sequence[float], y: Sequence[float], limits: tuple[float, float]) -> Iterable[Name]:
    """Names beside their dots; those that would lie on one another step upwards."""
    step, wide = 0.05, 0.2 * (limits[1] - limits[0])
    placed: list[tuple[float, float]] = []
    for text, across, height in sorted(zip(texts, x, y, strict=True), key=lambda one: one[2]):
        top = height + 0.025
        while any(abs(across - other) < wide and abs(top - at) < step for other, at in placed):
            top += step
        placed.append((across, top))
        yield Name(text, across, height, across, top)


def _nodes_figures(outcomes: Sequence[Outcome]) -> str:
    caption = "People are the same at every number of nodes; every agent ran on this one machine."
    cpu = _nodes_chart(outcomes, "CPU seconds of all processes", lambda one: one.cpu)
    wall = _nodes_chart(outcomes, "Wall seconds", lambda one: one.wall)
    described = "Cost of every setting against the number of nodes."
    return figure(chart_svg(cpu, described), caption) + figure(chart_svg(wall, described), caption)


def _nodes_chart(outcomes: Sequence[Outcome], label: str, figure_of: Callable[[Outcome], float]) -> Chart:
    """A line a setting; both axes are logarithmic, so that proportional growth has the slope of the diagonal."""
    lines = _by_setting(outcomes)
    x = {name: np.log10([one.nodes for one in line]) for name, line in lines.items()}
    y = {name: np.log10([max(figure_of(one), 1e-2) for one in line]) for name, line in lines.items()}
    nodes = sorted({one.nodes for one in outcomes})
    y_ticks = _decades(min(float(v.min()) for v in y.values()), max(float(v.max()) for v in y.values()))
    low, high = float(np.log10(nodes[0])), float(np.log10(nodes[-1]))
    room = 0.3 * (high - low)
    ends = {name: (float(x[name][-1]), float(y[name][-1])) for name in lines}
    colours = dict(zip(lines, _COLOURS, strict=False))
    return Chart(
        label,
        *(9.0, 4.6),
        x_limits=(low - 0.05, high + room),
        y_limits=(y_ticks[0][0], y_ticks[-1][0]),
        x_label="Nodes",
        y_label=label,
        x_ticks=tuple((float(np.log10(number)), str(number)) for number in nodes),
        y_ticks=y_ticks,
        dots=tuple(Dots(x[name], y[name], 5.0, colours[name]) for name in lines),
        curves=tuple(Curve(x[name], y[name], colours[name]) for name in lines),
        names=tuple(_names_at_ends(ends, room, y_ticks[-1][0] - y_ticks[0][0])),
    )


def _by_setting(outcomes: Sequence[Outcome]) -> dict[str, list[Outcome]]:
    lines: dict[str, list[Outcome]] = {}
    for outcome in sorted(outcomes, key=lambda one: one.nodes):
        lines.setdefault(outcome.setting, []).append(outcome)
    return dict(sorted(lines.items(), key=lambda line: [one.setting for one in outcomes].index(line[0])))


def _names_at_ends(ends: Mapping[str, tuple[float, float]], room: float, tall: float) -> Iterable[Name]:
    """Names to the right of the last points, one above the other."""
    height = float("-inf")
    for name, (x, y) in sorted(ends.items(), key=lambda end: end[1][1]):
        height = max(y, height + 0.055 * tall)
        yield Name(name, x, y, x + 0.6 * room, height)


def _decades(low: float, high: float) -> Ticks:
    """Ticks at 1, 2 and 5 times powers of ten around two logarithms."""
    marks = [(power, digit) for power in range(floor(low) - 1, ceil(high) + 2) for digit in (1, 2, 5)]
    places = [(power + float(np.log10(digit)), f"{digit * 10.0**power:g}") for power, digit in marks]
    first = max(number for number, (place, _) in enumerate(places) if place <= low)
    last = min(number for number, (place, _) in enumerate(places) if place >= high)
    return tuple(places[first : max(last, first + 1) + 1])


def _table(outcomes: Sequence[Outcome]) -> str:
    heads = [head for head, _, _ in COLUMNS]
    numeric = frozenset(range(1, len(heads)))
    rows = [cells(outcome) for outcome in outcomes]
    return table(heads, rows, caption="Every setting at every number of nodes", show_caption=False, numeric=numeric)


def _trust(outcomes: Sequence[Outcome]) -> str:
    rows = [(one.setting, one.trust) for one in outcomes]
    heads = ("Setting", "Could learn one node's sums")
    note = "Nobody else can. What the totals themselves say of people is the same under plain, masked and paillier."
    return table(heads, rows, caption="Whom one must trust", show_caption=False) + paragraph(note, "note")
