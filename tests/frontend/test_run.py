import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from fedstats.dataset import Column, Dataset
from fedstats.errors import DisclosureRefused, Failed, FaultyInput, NodeLost, UsageError
from fedstats.federation import Federation
from fedstats.frontend.analyst import Analyst
from fedstats.frontend.backend import Backend, Event, Events, Place, RosterShrinks
from fedstats.frontend.local_backend import NO_FLOORS, LocalBackend, LocalFederation
from fedstats.local import LocalSite, LocalSums
from fedstats.planning.panel import ABSENT, PRESENT
from fedstats.planning.request import Request
from fedstats.rows import Rows
from fedstats.study import Chunk, Floors, Study
from tests.frontend.hapmap3 import needs_data, part, plink2, pooled, sites_abc, three_sites

pytestmark = needs_data

COVARIATES = ["age", "sex", "PC1-PC4"]
#: plink2 prints six significant digits: half a unit of the sixth, of a number that starts with 1, is 5e-6 of it.
SIX_DIGITS = 5e-6
FEW = "21,22,X,MT"


def joined(result: pl.DataFrame, reference: pl.DataFrame) -> pl.DataFrame:
    """Rows side by side, with those of plink2 named after it."""
    named = reference.rename({name: f"{name}_plink2" for name in reference.columns if name != "ID"})
    return result.join(named, on="ID", how="inner", maintain_order="left")


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(("trait", "people"), [("qt1", 938), ("qt2", 956)])
def test_linear_gwas_of_three_sites_is_plink2_on_pooled_data(trait: str, people: int) -> None:
    result = three_sites().gwas(trait, covariates=COVARIATES, missing="drop")

    both = joined(result.to_polars(), plink2(f"adj.{trait}.glm.linear"))
    assert len(both) == 14_389
    assert result.summary.people == people
    assert (both["OBS_CT"] == both["OBS_CT_plink2"]).all()
    np.testing.assert_allclose(both["BETA"], both["BETA_plink2"], rtol=SIX_DIGITS)
    np.testing.assert_allclose(both["SE"], both["SE_plink2"], rtol=SIX_DIGITS)


def test_site_effects_are_those_of_indicators_on_pooled_data() -> None:
    result = three_sites().gwas("qt1", covariates=["age", "sex"], site_effects="fixed", missing="drop")

    both = joined(result.to_polars(), plink2("sitefx.qt1.glm.linear"))
    assert len(both) == 14_389
    assert (both["OBS_CT"] == both["OBS_CT_plink2"]).all()
    np.testing.assert_allclose(both["BETA"], both["BETA_plink2"], rtol=SIX_DIGITS)
    np.testing.assert_allclose(both["SE"], both["SE_plink2"], rtol=SIX_DIGITS)


def test_common_people_are_those_with_every_trait() -> None:
    results = three_sites().gwas(["qt1", "qt2"], covariates=["age"], trait_people="common", chr="22", missing="drop")

    # The data README: qt1 and age lack 1-2 % each; qt2 lacks nobody, so that qt1's people are those of both.
    assert results["qt1"]["OBS_CT"].tolist() == results["qt2"]["OBS_CT"].tolist()
    assert results["qt2"].summary.people == 938


def test_common_people_are_those_with_the_traits_of_the_other_kind_too() -> None:
    whole, panel = pooled()
    lacking = whole.columns["bt1"].numbers.copy()
    lacking[:40] = np.nan
    columns = {**whole.columns, "bt1": Column("bt1", lacking, whole.columns["bt1"].text)}
    federation = LocalFederation({"A": replace(whole, columns=columns)}, panel)

    results = federation.gwas(["qt1", "bt1"], trait_people="common", chr="22", missing="drop")
    apart = federation.gwas(["qt1", "bt1"], chr="22", missing="drop")

    assert results["qt1"]["OBS_CT"].tolist() == results["bt1"]["OBS_CT"].tolist()
    assert results["qt1"].summary.people < min(apart["qt1"].summary.people, apart["bt1"].summary.people)


def test_auto_runs_quantitative_and_binary_traits_of_one_request() -> None:
    results = three_sites().gwas(["bt1", "qt1", "bt2"], covariates=COVARIATES, missing="drop")

    assert [(name, result.kind) for name, result in results.items()] == [
        ("bt1", "binary"),
        ("qt1", "quantitative"),
        ("bt2", "binary"),
    ]
    for trait, separated in (("bt1", 0), ("bt2", 120)):
        both = joined(results[trait].to_polars(), plink2(f"adj.{trait}.glm.logistic"))
        assert (both["OBS_CT"] == both["OBS_CT_plink2"]).all()
        assert (both["STATUS"] == "SEPARATION").to_list() == both["OR_plink2"].is_null().to_list()
        assert int((both["STATUS"] == "SEPARATION").sum()) == separated
        fitted = both.filter(pl.col("STATUS") == "OK")
        # plink2 stops before full convergence, which moves an estimate by less than 1e-4 of its standard error.
        difference = (fitted["BETA"] - fitted["OR_plink2"].log()) / fitted["SE"]
        assert difference.abs().max() < 1e-4


@pytest.mark.parametrize(
    ("ask", "table", "reference", "counts", "reals"),
    [
        ("freq", "afreq", "all.afreq", ["OBS_CT"], ["ALT_FREQS"]),
        ("missing", "vmiss", "all.vmiss", ["MISSING_CT", "OBS_CT"], ["F_MISS"]),
        ("hardy", "hardy", "all.hardy", ["HOM_A1_CT", "HET_A1_CT", "TWO_AX_CT"], ["O(HET_A1)", "E(HET_A1)", "P"]),
        ("hardy", "hardy.x", "all.hardy.x", ["FEMALE_HET_A1_CT", "MALE_A1_CT"], ["FEMALE_A1_FREQ", "P"]),
    ],
)
def test_tables_of_three_sites_are_those_of_plink2(
    tmp_path: Path, ask: str, table: str, reference: str, counts: list[str], reals: list[str]
) -> None:
    getattr(three_sites(), ask)(out=tmp_path / "run")

    ours = pl.read_csv(tmp_path / f"run.{table}.tsv.gz", separator="\t", null_values="NA", infer_schema_length=None)
    theirs = plink2(reference)
    assert ours["ID"].to_list() == theirs["ID"].to_list()
    for name in counts:
        assert ours[name].to_list() == theirs[name].to_list()
    for name in reals:
        np.testing.assert_allclose(ours[name], theirs[name], rtol=SIX_DIGITS)


def test_a_list_of_traits_gives_a_dict_in_the_order_asked() -> None:
    results = three_sites().gwas(["qt2", "qt1"], covariates=COVARIATES, chr=FEW)

    assert list(results) == ["qt2", "qt1"]
    assert [result.trait for result in results.values()] == ["qt2", "qt1"]


def test_traits_in_one_run_have_the_same_bits_as_alone() -> None:
    together = three_sites().gwas(["qt1", "qt2"], covariates=COVARIATES, chr=FEW)

    alone = three_sites().gwas("qt2", covariates=COVARIATES, chr=FEW)

    assert together["qt2"].to_arrow().equals(alone.to_arrow())


def test_rows_come_in_the_order_of_the_panel() -> None:
    _, panel = pooled()

    result = three_sites().gwas("qt1", chr=FEW)

    assert result["ID"].tolist() == [
        i for i, c in zip(panel.ids.to_pylist(), panel.chromosome, strict=True) if c in (21, 22, 23, 26)
    ]


def test_filtered_variants_get_no_row_but_a_count(tmp_path: Path) -> None:
    result = three_sites().gwas("qt1", chr="22", maf=0.2, out=tmp_path / "run")

    record = json.loads((tmp_path / "run.run.json").read_text())
    frequency = result["A1_FREQ"]
    assert ((frequency >= 0.2) & (frequency <= 0.8)).all()
    assert len(result) + record["filtered"]["gwas/linear"]["maf"] == record["studies"][0]["variants"]
    listed = pl.read_csv(tmp_path / "run.variants.tsv.gz", separator="\t")
    assert listed["REASON"].value_counts().rows() == [("MAF", record["filtered"]["gwas/linear"]["maf"])]
    assert set(listed["RESULTS"]) == {"qt1"}
    assert set(listed["ID"]).isdisjoint(result["ID"])


def test_a_keep_list_restricts_people(tmp_path: Path) -> None:
    whole, _ = pooled()
    listed = list(zip(whole.family_ids[:500].tolist(), whole.individual_ids[:500].tolist(), strict=True))

    result = three_sites().gwas("qt2", chr="22", keep=listed)

    assert result.summary.people == 500


def test_every_file_of_a_run_is_there(tmp_path: Path) -> None:
    three_sites().gwas(["qt1"], covariates=COVARIATES, chr=FEW, out=tmp_path / "run")

    assert files(tmp_path) == [
        "run.log",
        "run.qt1.parquet",
        "run.qt1.tsv.gz",
        "run.report.html",
        "run.run.json",
        "run.variants.tsv.gz",
    ]


def test_the_report_says_who_is_in_and_what_warns(tmp_path: Path) -> None:
    three_sites().gwas(["qt2"], covariates=COVARIATES, chr="22", out=tmp_path / "run")

    page = (tmp_path / "run.report.html").read_text()
    assert "qt2: a covariate missing" in page
    assert "linear model with age, sex, PC1, PC2, PC3, PC4" in page
    assert "Variants were chosen beforehand (--chr). Each variant was tested by linear regression" in page
    assert "qt2 differs between sites" in page  # the README: qt2 is confounded by ancestry, as are the sites


def test_lists_of_people_are_counted_in_log_record_and_report(tmp_path: Path) -> None:
    whole, panel = pooled()
    people = list(zip(whole.family_ids.tolist(), whole.individual_ids.tolist(), strict=True))

    LocalFederation({"A": whole}, panel).freq(chr="22", keep=people[:300], remove=people[:100], out=tmp_path / "run")

    log = (tmp_path / "run.log").read_text()
    assert "--keep names 300 people\n--remove names 100 people\n" in log
    assert "  200  people\n" in log
    assert json.loads((tmp_path / "run.run.json").read_text())["listed_people"] == {"keep": 300, "remove": 100}
    assert "named by --remove" in (tmp_path / "run.report.html").read_text()
    for name in ("run.log", "run.run.json", "run.report.html"):
        assert people[0][1] not in (tmp_path / name).read_text()


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"nodes": ["A", "X"]}, "there is no site 'X'; the sites are A, B, C"),
        ({"nodes": ["X", "Y"]}, "the request has 2 faults"),
        ({"plan_only": True, "out": "run"}, "--plan-only proposes a plan to nodes, and in one process there are none"),
        ({"resume": True, "out": "run"}, "--resume goes on with an interrupted run"),
    ],
)
def test_what_means_nothing_in_one_process_is_refused(
    keywords: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    with pytest.raises(UsageError, match=re.escape(said)):
        three_sites().gwas("qt1", chr="22", **keywords)

    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".log"] == []


def test_lists_that_change_nothing_are_told(tmp_path: Path) -> None:
    told: list[Event] = []

    three_sites().gwas("qt1", chr="22", remove=[], exclude=[], events=told.append)

    messages = [event.data["message"] for event in told if event.event == "warning"]
    assert "--remove names nobody and changes nothing" in messages
    assert "--exclude names no variant and changes nothing" in messages


def test_the_record_of_a_run_counts_people_and_statuses(tmp_path: Path) -> None:
    three_sites().gwas(["qt1"], covariates=COVARIATES, chr=FEW, out=tmp_path / "run")

    record = json.loads((tmp_path / "run.run.json").read_text())
    # plink2: OBS_CT is at most 938; the data README says 957 people and 1-2 % missing values.
    assert record["people"]["gwas/linear"]["everyone"] == 957
    assert record["people"]["gwas/linear"]["traits"]["qt1"]["complete"] == 938
    assert record["results"]["qt1"]["status"] == {"OK": 618}
    assert record["nodes"] == ["A", "B", "C"]
    assert record["request"]["covar"] == COVARIATES


@pytest.mark.parametrize("command", ["freq", "hardy", "missing"])
def test_tables_of_counts_say_how_many_people_they_are_of(command: str, tmp_path: Path) -> None:
    getattr(three_sites(), command)(chr="22", out=tmp_path / "run")

    record = json.loads((tmp_path / "run.run.json").read_text())
    # The data README: 957 people; nobody lacks anything where nothing is asked for.
    assert record["people"][command] == {"everyone": 957, "covariate_missing": 0, "traits": {}}
    assert "people whom the run may use" in (tmp_path / "run.report.html").read_text()


def test_tables_of_counts_of_some_people_say_who_is_left_out(tmp_path: Path) -> None:
    three_sites().freq("qt1", chr="22", out=tmp_path / "run")

    record = json.loads((tmp_path / "run.run.json").read_text())
    assert record["people"]["freq"]["everyone"] == 957
    assert 0 < record["people"]["freq"]["traits"]["qt1"]["trait_missing"] < 957


def test_tables_of_variants_say_how_many_have_each_status(tmp_path: Path) -> None:
    whole, panel = pooled()
    federation = LocalFederation({"A": whole}, panel, floors=replace(NO_FLOORS, min_mac=400))
    told: list[Event] = []

    table = federation.freq(chr="22", pass_variants=100, out=tmp_path / "run", events=told.append)

    statuses = table["STATUS"].tolist()
    expected = {name: statuses.count(name) for name in ("OK", "LOW_MAC")}
    assert min(expected.values()) > 0
    assert table.status_counts == expected
    assert list(table.status_counts.values()) == sorted(expected.values(), reverse=True)
    assert told[-1].data["status"] == expected
    assert json.loads((tmp_path / "run.run.json").read_text())["results"]["afreq"]["status"] == expected
    assert f"{expected['LOW_MAC']} LOW_MAC" in (tmp_path / "run.log").read_text()
    assert "LOW_MAC: fewer minor alleles" in (tmp_path / "run.report.html").read_text()


def test_events_tell_of_plan_passes_and_results() -> None:
    told: list[Event] = []

    three_sites().gwas("qt1", chr="22", pass_variants=100, events=told.append)

    kinds = [event.event for event in told]
    assert kinds[0] == "plan"
    assert kinds[-1] == "result"
    passes = [event.data for event in told if event.event == "pass"]
    assert [at["done"] for at in passes][:3] == [0, 100, 200]
    assert passes[-1]["done"] == passes[-1]["total"]


def analyst_of(kind: type[LocalBackend], sites: dict[str, Dataset], **given: object) -> Analyst:
    """Asks sites that have every variant, through a backend of some kind."""
    _, panel = pooled()
    available = dict.fromkeys(sites, np.full(len(panel), PRESENT, np.uint8))

    @contextmanager
    def opened(request: Request, place: Place, events: Events) -> Iterator[Backend]:
        yield kind(sites, panel, available, **given)  # type: ignore[arg-type]  # as the test gives it

    return Analyst(opened)


def test_events_tell_of_whatever_warns() -> None:
    told: list[Event] = []
    validating = analyst_of(LocalBackend, sites_abc(), banners=("VALIDATION: not for private data.",))

    validating.gwas("qt2", covariates=COVARIATES, chr="22", events=told.append)

    warned = [event.data for event in told if event.event == "warning"]
    assert [warning["code"] for warning in warned] == ["READ_FIRST", "SITES_DIFFER"]
    assert warned[0]["message"] == "VALIDATION: not for private data."
    assert warned[1]["message"].startswith("qt2 differs between sites")


@pytest.mark.parametrize("asked", [{"pheno": "qt9"}, {"pheno": "qt1", "plan_only": True}])
def test_a_run_that_computes_nothing_warns_of_no_results(asked: dict[str, object]) -> None:
    told: list[Event] = []
    plain = analyst_of(LocalBackend, sites_abc(), banners=("PLAIN: the coordinator saw each node's sums.",))

    with suppress(UsageError):
        plain.gwas(**asked, chr="22", events=told.append)  # type: ignore[arg-type]

    assert [event.data["code"] for event in told if event.event == "warning"] == []


def test_variants_that_a_site_lacks_fall_out_with_their_reason(tmp_path: Path) -> None:
    whole, panel = pooled()
    first = np.full(len(panel), PRESENT, np.uint8)
    lacks = first.copy()
    lacks[np.flatnonzero(panel.chromosome == 22)[:5]] = ABSENT
    sites = {"A": part(whole, np.arange(500)), "B": part(whole, np.arange(500, 957))}
    federation = LocalFederation(sites, panel, availability={"A": first, "B": lacks})

    result = federation.gwas("qt2", chr="22", out=tmp_path / "run")

    table = pl.read_csv(tmp_path / "run.variants.tsv.gz", separator="\t")
    assert len(result) == int((panel.chromosome == 22).sum()) - 5
    assert (table["REASON"].to_list(), table["NODES"].to_list()) == (["ABSENT"] * 5, [1] * 5)


@pytest.mark.parametrize(
    ("asked", "error", "code", "exit_code"),
    [
        ({"pheno": "qt9"}, UsageError, "NO_COLUMN", 2),
        ({"pheno": "qt1", "covariates": ["superpop"]}, UsageError, "NOT_NUMERIC", 2),
        ({"pheno": "qt1", "covariates": ["PC1-PC9"]}, FaultyInput, "NO_COLUMN", 2),
        ({"pheno": "qt1", "model": "logistic"}, UsageError, "NOT_BINARY", 2),
        ({"pheno": "qt1", "chr": "99"}, UsageError, "UNKNOWN_CHROMOSOME", 2),
        (
            {"pheno": "qt1", "covariates": ["site3"], "categorical": ["site3"]},
            DisclosureRefused,
            "LEVEL_AT_FEW_NODES",
            3,
        ),
    ],
)
def test_a_wrong_question_ends_before_anything_is_written_but_the_log(
    tmp_path: Path, asked: dict[str, object], error: type[Exception], code: str, exit_code: int
) -> None:
    whole, panel = pooled()
    sites = {name: part(whole, np.flatnonzero(whole.columns["site3"].text == name)) for name in "ABC"}
    federation = LocalFederation(sites, panel, floors=Floors(min_mac=1))

    with pytest.raises(error) as caught:
        federation.gwas(**asked, out=tmp_path / "run")  # type: ignore[arg-type]

    assert (caught.value.code, caught.value.exit_code) == (code, exit_code)  # type: ignore[attr-defined]
    assert files(tmp_path) == ["run.log"]
    assert f"ERROR ({code}, exit {exit_code})" in (tmp_path / "run.log").read_text()


def test_floors_that_a_site_does_not_reach_name_it() -> None:
    whole, panel = pooled()
    sites = {
        "A": part(whole, np.arange(50)),
        "B": part(whole, np.arange(50, 500)),
        "C": part(whole, np.arange(500, 957)),
    }
    federation = LocalFederation(sites, panel, floors=Floors())

    with pytest.raises(DisclosureRefused, match="qt2: the policy of A needs at least 100 people at a node"):
        federation.gwas("qt2", chr="22")


def test_a_misspelt_keyword_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="unexpected keyword 'covariate'"):
        three_sites().gwas("qt1", covariate=["age"])  # type: ignore[call-arg]


class LosesANode(LocalSums):
    """Sums until the first chunk is done, then a node is gone."""

    def map(self, function: Callable[[Federation, Chunk], Rows], chunks: Sequence[Chunk]) -> Iterator[Rows]:
        yield function(self, chunks[0])
        raise NodeLost("site B does not answer any more", code="NODE_LOST", hint="Run again with --resume.")


@dataclass
class LosingBackend(LocalBackend):
    """As a network whose node is lost in the middle."""

    def federation(self, study: Study) -> Federation:
        return LosesANode([LocalSite(data, np.ones(data.people, np.bool_)) for data in self.datasets.values()])


def test_finished_passes_are_kept_as_partial_files_when_a_node_is_lost(tmp_path: Path) -> None:
    whole, _ = pooled()

    with pytest.raises(NodeLost) as caught:
        analyst_of(LosingBackend, {"A": whole}).gwas("qt2", chr="22", pass_variants=100, out=tmp_path / "run")

    assert caught.value.exit_code == 4
    assert files(tmp_path) == ["run.log", "run.qt2.partial.parquet", "run.qt2.partial.tsv.gz"]
    assert len(pl.read_parquet(tmp_path / "run.qt2.partial.parquet")) == 100


@dataclass
class ShrinkingBackend(LocalBackend):
    """As a network that loses its last node for good at the first sum."""

    shrunk: bool = False

    def federation(self, study: Study) -> Federation:
        if self.shrunk:
            return super().federation(study)
        self.shrunk = True
        self.datasets = dict(list(self.datasets.items())[:-1])
        raise RosterShrinks("site C is lost for good; the others go on", code="ROSTER_SHRINKS")


def test_a_run_goes_on_with_the_survivors_and_every_row_says_so() -> None:
    told: list[Event] = []

    result = analyst_of(ShrinkingBackend, sites_abc()).gwas("qt2", chr="22", events=told.append)

    survivors = {name: sites_abc()[name] for name in "AB"}
    assert set(result["NODES"]) == {2}
    assert result.to_arrow().equals(LocalFederation(survivors, pooled()[1]).gwas("qt2", chr="22").to_arrow())
    assert [event.data["node"] for event in told if event.event == "node"] == ["C"]


def test_no_table_of_a_run_stays_where_one_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "run.qt2.tsv.gz").mkdir()  # stands in the way of the second table when it gets its name

    with pytest.raises(Failed, match=r"run.qt2.tsv.gz: could not be written"):
        three_sites().gwas(["qt1", "qt2"], chr="22", out=tmp_path / "run")

    assert files(tmp_path) == ["run.log", "run.qt2.tsv.gz"]
