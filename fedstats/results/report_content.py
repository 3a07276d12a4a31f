"""What a report says, as plain data; `fedstats.results.report` makes the page."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fedstats.results.report_parts import Cell
from fedstats.results.summary import Summary


@dataclass(frozen=True)
class Table:
    """A table of the report; columns whose cells are numbers are set to the right."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Notice:
    """Something that every reader must see first; `grave` where numbers may not be used as they are."""

    title: str
    text: str
    grave: bool = False


@dataclass(frozen=True, eq=False)
class TraitReport:
    """One trait: its model in words, further facts to print, and the summary of its rows."""

    name: str
    model: str
    summary: Summary
    facts: Mapping[str, Cell] = field(default_factory=dict)
    files: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class ReportContent:
    """All that the report says.

    Parameters
    ----------
    title
        What the page is called, such as "Association of qt1, bt1".
    command
        The command line as it was typed.
    date
        When the run ended, in words.
    federation
        Its name.
    version
        Version of fedstats.
    privacy
        The setting, such as "masked".
    privacy_sentence
        What it protects, and from whom, in one sentence.
    notices
        Banners: the VALIDATION policy, two nodes, plain sums, nodes left out, sites that differ.
    sites
        A row per site; numbers of people as the catalogue states them.
    people, variants
        What was there, what left and why, what remained: (reason, count), in that order.
    traits
        In the order asked.
    tables
        Variants by status, of each table that is not of a trait.
    meanings
        What each status means, by its name.
    differences
        How sites differ in trait and covariates, as far as the privacy setting lets anybody know.
    costs
        Seconds and bytes by node and phase.
    provenance
        Names and values, such as hashes of plan, roster and panel.
    methods
        Paragraphs that can go into a paper.
    """

    title: str
    command: str
    date: str
    federation: str
    version: str
    privacy: str
    privacy_sentence: str
    sites: Table
    people: tuple[tuple[str, int], ...]
    variants: tuple[tuple[str, int], ...]
    traits: tuple[TraitReport, ...]
    notices: tuple[Notice, ...] = ()
    tables: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    meanings: Mapping[str, str] = field(default_factory=dict)
    differences: Table | None = None
    costs: Table | None = None
    provenance: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ()
