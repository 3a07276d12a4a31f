"""The report: one page, everything escaped, nothing fetched."""

import errno
from html.parser import HTMLParser
from itertools import pairwise

import numpy as np
import pytest

from fedstats.errors import Failed
from fedstats.results.associations import Associations
from fedstats.results.report import Notice, ReportContent, Table, TraitReport, write_report
from tests.results.rows import random_rows

NASTY = '<script>alert("x")</script> & <img src=http://example.org/x.png>'


class Page(HTMLParser):
    """Tags with their attributes, and the text between them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag not in {"meta", "img", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def content(**changes) -> ReportContent:
    panel, rows = random_rows(300)
    rows["LOG10P"][17] = 350.0
    result = Associations.from_rows("q1", "quantitative", panel, [rows])
    values = {
        "title": "Association of q1",
        "command": "fedstats gwas --pheno q1",
        "date": "2026-11-22 12:00:00 UTC",
        "federation": "demo",
        "version": "0.1.0",
        "privacy": "masked",
        "privacy_sentence": "The coordinator sees sums over all sites.",
        "sites": Table(("Site", "People"), (("FI", 200), ("EE", 300))),
        "people": (("with a value of q1", 957), ("analysed", 938)),
        "variants": (("in the panel", 300),),
        "traits": (TraitReport("q1", "Linear regression.", result.summary),),
    }
    return ReportContent(**{**values, **changes})


def written(tmp_path, **changes) -> Page:
    return Page(write_report(tmp_path / "out", content(**changes)).read_text())


def test_every_text_is_escaped(tmp_path):
    table = Table((NASTY,), ((NASTY,),), note=NASTY)
    page = written(
        tmp_path,
        title=NASTY,
        command=NASTY,
        federation=NASTY,
        privacy_sentence=NASTY,
        notices=(Notice(NASTY, NASTY, grave=True),),
        sites=table,
        tables={NASTY: {NASTY: 1}},
        meanings={NASTY: NASTY},
        differences=table,
        costs=table,
        people=((NASTY, 1),),
        provenance={NASTY: NASTY},
        methods=(NASTY,),
        traits=(TraitReport(NASTY, NASTY, content().traits[0].summary, {NASTY: NASTY}, (NASTY,)),),
    )

    assert "script" not in [tag for tag, _ in page.tags]
    assert "img" not in [tag for tag, _ in page.tags]


def test_nothing_is_fetched_from_anywhere(tmp_path):
    page = written(tmp_path)

    sources = [value for _, attributes in page.tags for name, value in attributes.items() if name in {"src", "href"}]
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    policies = [attributes["content"] for tag, attributes in page.tags if "http-equiv" in attributes]
    assert policies[0].startswith("default-src 'none'")


def test_tags_are_closed_and_links_lead_somewhere(tmp_path):
    page = written(tmp_path)

    assert page.open == []
    names = {attributes.get("id") for _, attributes in page.tags}
    assert {attributes["href"][1:] for tag, attributes in page.tags if tag == "a"} <= names


def test_pictures_have_text_for_those_who_do_not_see_them(tmp_path):
    page = written(tmp_path)

    texts = [attributes["aria-label"] for tag, attributes in page.tags if tag == "svg"]
    assert texts[0].startswith("Manhattan plot of q1. The strongest signal is rs17 ")
    assert texts[0].endswith("with P = 1e-350.")
    assert texts[1].startswith("Quantile-quantile plot of q1; lambda GC is ")


def test_statuses_that_are_there_and_not_ok_are_explained(tmp_path):
    meanings = {"OK": "every number is there", "LOW_MAC": "too few", "SEPARATION": "told apart"}
    page = written(tmp_path, tables={"afreq": {"OK": 3, "LOW_MAC": 1}}, meanings=meanings)

    assert "LOW_MAC: too few." in page.texts
    assert "25.00" in page.texts
    assert not any(text.startswith(("OK: ", "SEPARATION: ")) for text in page.texts)


def test_accounting_and_sites_are_tables(tmp_path):
    texts = written(tmp_path).texts

    position = texts.index("analysed")
    assert texts[position : position + 2] == ["analysed", "938"]
    assert {"FI", "200", "EE", "300"} <= set(texts)


def test_a_binary_trait_shows_cases_controls_and_effective_n(tmp_path):
    panel, rows = random_rows(300)
    arms = {"CASE_CT": 1000, "CTRL_CT": 3000, "CASE_FREQ": 0.2, "CTRL_FREQ": 0.2}
    result = Associations.from_rows("b1", "binary", panel, [{**rows, **arms}])

    texts = written(tmp_path, traits=(TraitReport("b1", "Logistic.", result.summary),)).texts

    shown = dict(pairwise(texts))
    assert (shown["Cases"], shown["Controls"], shown["Effective N"]) == ("1,000", "3,000", "3,000")


def test_a_trait_without_estimates_has_a_page(tmp_path):
    panel, rows = random_rows(5)
    rows |= {"STATUS": "LOW_MAC", "LOG10P": np.full(5, np.nan)}
    result = Associations.from_rows("q1", "quantitative", panel, [rows])

    page = written(tmp_path, traits=(TraitReport("q1", "Linear.", result.summary),))

    assert "No variant could be tested." in page.tags[[tag for tag, _ in page.tags].index("svg")][1]["aria-label"]


def test_the_same_content_is_the_same_page(tmp_path):
    one, other = (write_report(tmp_path / name, content()).read_bytes() for name in ("a", "b"))

    assert one == other


def test_a_full_disk_leaves_no_report(tmp_path):
    def full(path):
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(Failed, match=r"out\.report\.html: the disk is full"):
        write_report(tmp_path / "out", content(), open_file=full)

    assert list(tmp_path.iterdir()) == []
