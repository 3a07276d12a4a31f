"""The report as HTML, part by part, in the order in which it is read."""

from collections.abc import Mapping
from html import escape

from fedstats.results.plots import manhattan_svg, qq_svg
from fedstats.results.report_content import Notice, ReportContent, Table, TraitReport
from fedstats.results.report_parts import Cell, facts, figure, paragraph, section, shown, table
from fedstats.results.report_style import STYLE
from fedstats.results.shared_facts import MINOR_ALLELE_COUNT
from fedstats.results.summary import Summary

_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_LOCI_COLUMNS = (
    "Variant", "Chr", "Position", "Effect allele", "Other allele", "Frequency", "N", "Beta", "SE", "P"
)  # fmt: skip


def page(content: ReportContent) -> str:
    """The whole page."""
    sections = _sections(content)
    links = "".join(f'<li><a href="#{name}">{escape(title)}</a></li>' for name, title, _ in sections)
    body = "".join(section(name, title, text) for name, title, text in sections)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta name="generator" content="fedstats {escape(content.version, quote=True)}">\n'
        f"<title>{escape(content.title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        '<a class="skip" href="#content">Skip to the results</a>\n'
        f'{_head(content, links)}<main id="content">\n{body}</main>\n{_foot(content)}</body></html>\n'
    )


def _sections(content: ReportContent) -> list[tuple[str, str, str]]:
    """Anchor, title and HTML of each section that has something to say."""
    traits = [
        (f"trait-{number}", trait.name, _trait(trait, content.meanings))
        for number, trait in enumerate(content.traits, 1)
    ]
    every = [
        *traits,
        ("results", "Results", _tables(content)),
        ("sites", "Sites", _table(content.sites, "Sites of this run")),
        ("differences", "Differences between sites", _table(content.differences, "Differences between sites")),
        ("people", "People", _accounting(content.people, "People")),
        ("variants", "Variants", _accounting(content.variants, "Variants")),
        ("cost", "Time and bytes", _table(content.costs, "Time and bytes by node")),
        ("methods", "Methods", "".join(paragraph(text) for text in content.methods)),
        ("provenance", "Provenance", _provenance(content)),
    ]
    return [part for part in every if part[2]]


def _head(content: ReportContent, links: str) -> str:
    notices = "".join(_notice(notice) for notice in content.notices)
    overview: dict[str, Cell] = {
        "Federation": content.federation,
        "Sites": len(content.sites.rows),
        "Privacy": content.privacy,
        "Finished": content.date,
    }
    return (
        f'<header class="top"><h1>{escape(content.title)}</h1>\n{notices}{facts(overview)}'
        f"{paragraph(content.privacy_sentence)}<pre><code>{escape(content.command)}</code></pre>\n"
        f'<nav aria-label="Sections"><ul>{links}</ul></nav></header>\n'
    )


def _foot(content: ReportContent) -> str:
    return f"<footer>Made by fedstats {escape(content.version)}, {escape(content.date)}.</footer>\n"


def _notice(notice: Notice) -> str:
    kind = "notice grave" if notice.grave else "notice"
    return f'<div class="{kind}" role="note"><strong>{escape(notice.title)}</strong>{paragraph(notice.text)}</div>\n'


def _table(content: Table | None, caption: str) -> str:
    if content is None or not content.rows:
        return ""
    return table(content.columns, content.rows, caption=caption, show_caption=False) + paragraph(content.note, "note")


def _accounting(rows: tuple[tuple[str, int], ...], counted: str) -> str:
    if not rows:
        return ""
    caption = f"{counted}: what was there, what left and why, what remained"
    return table(("Step", counted), rows, caption=caption, show_caption=False)


def _trait(trait: TraitReport, meanings: Mapping[str, str]) -> str:
    summary = trait.summary
    return (
        paragraph(trait.model)
        + facts({**_trait_facts(summary), **trait.facts})
        + _manhattan(trait)
        + f'<div class="pair">{_qq(trait)}<div>{_status(summary.status_counts, meanings)}{_files(trait)}</div></div>\n'
        + _loci(summary)
    )


def _trait_facts(summary: Summary) -> dict[str, Cell]:
    known: dict[str, Cell] = {"People": summary.people}
    if summary.cases:
        known = {
            "Cases": summary.cases,
            "Controls": summary.controls,
            "Effective N": round(summary.effective_n),
        }
    known |= {"Variants tested": summary.ok_rows, "Lambda GC": summary.lambda_gc}
    return known | ({"Lambda 1000": summary.lambda_1000} if summary.cases else {})


def _manhattan(trait: TraitReport) -> str:
    summary = trait.summary
    best = "No variant could be tested."
    if summary.top:
        locus = summary.top[0]
        best = f"The strongest signal is {locus.label} on chromosome {locus.chromosome} with P = {locus.p_text}."
    caption = (
        "P values along the genome; lines at 5e-8 (genome-wide) and 1e-5 (suggestive). "
        f"{summary.ok_rows:,} variants; where dots would hide each other, some are left out."
    )
    return figure(manhattan_svg(summary, f"Manhattan plot of {trait.name}. {best}"), caption)


def _qq(trait: TraitReport) -> str:
    summary = trait.summary
    caption = (
        f"Observed against expected P, variants with a minor allele count of at least {MINOR_ALLELE_COUNT}; "
        "the band holds 95 % of independent tests without association."
    )
    description = f"Quantile-quantile plot of {trait.name}; lambda GC is {summary.lambda_gc:.3f}."
    return figure(qq_svg(summary, description), caption)


def _tables(content: ReportContent) -> str:
    """Statuses of tables that are not of a trait."""
    told = ((escape(name), _status(counts, content.meanings)) for name, counts in content.tables.items())
    return "".join(f"<h3>{name}</h3>{statuses}" for name, statuses in told)


def _status(counts: Mapping[str, int], meanings: Mapping[str, str]) -> str:
    """How many variants have each status, and what those mean that are not OK."""
    every = max(sum(counts.values()), 1)
    rows = [(status, count, f"{100.0 * count / every:.2f}") for status, count in counts.items()]
    told = [f"{name}: {meanings[name]}." for name in counts if name != "OK" and name in meanings]
    shown = table(("Status", "Variants", "%"), rows, caption="Variants by status", numeric=frozenset({1, 2}))
    return shown + "".join(paragraph(text, "note") for text in told)


def _files(trait: TraitReport) -> str:
    if not trait.files:
        return ""
    listed = "".join(f"<li><code>{escape(name)}</code></li>" for name in trait.files)
    return f"<h3>Files</h3><ul>{listed}</ul>\n"


def _loci(summary: Summary) -> str:
    if not summary.top:
        return ""
    rows = [
        (
            locus.label,
            locus.chromosome,
            locus.position,
            locus.effect_allele,
            locus.ref if locus.effect_allele == locus.alt else locus.alt,
            f"{locus.effect_allele_frequency:.4f}",
            locus.people,
            _four_digits(locus.beta),
            _four_digits(locus.standard_error),
            locus.p_text,
        )
        for locus in summary.top
    ]
    caption = "Strongest loci: the best variant within 500 kb on either side"
    return table(_LOCI_COLUMNS, rows, caption=caption, numeric=frozenset({2, 5, 6, 7, 8, 9}))


def _four_digits(value: float) -> str:
    """Four significant digits, trailing zeros too, so that a column reads evenly."""
    return f"{value:#.4g}".replace("-", "−", 1) if value < 0 else f"{value:#.4g}"


def _provenance(content: ReportContent) -> str:
    if not content.provenance:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="hash">{shown(value)}</td></tr>'
        for name, value in content.provenance.items()
    )
    return (
        "<details open><summary>Hashes and versions</summary>"
        f'<div class="scroll"><table><tbody>{rows}</tbody></table></div></details>\n'
    )
