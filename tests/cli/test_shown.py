"""What commands show: the progress bar, lines of JSON, nodes, the floors that a split breaks."""

import io
import json
import threading
from pathlib import Path

import pyarrow as pa
import pytest
from rich.console import Console

from fedstats.cli import nodes, output, runs
from fedstats.cli.progress_bar import ProgressBar, duration
from fedstats.client import NodeReport
from fedstats.errors import NodeUnreachable, ProtocolRefused
from fedstats.frontend.backend import Event
from fedstats.frontend.tables import VariantTable
from fedstats.wire.messages import Catalogue, DatasetEntry
from tests.cli.command import Command


def variants(done: int, total: int = 3000, name: str = "gwas/linear") -> Event:
    return Event("pass", {"pass": name, "done": done, "total": total, "seconds_left": None})


def shown_by(*events: Event) -> str:
    """What a terminal of 120 columns has seen."""
    seen = io.StringIO()
    console = Console(file=seen, force_terminal=True, width=120, color_system=None)
    with ProgressBar(console) as bar:
        for event in events:
            bar.show(event)
            bar._bar.refresh()
    return seen.getvalue()


def test_the_bar_says_pass_step_variants_rate_and_time_left() -> None:
    step = Event("pass", {"state": "asked", "pass": "0.1", "step": "linear_gwas/scan@1", "variants": 1500})

    seen = shown_by(Event("plan"), variants(0), step, variants(1500))

    assert "gwas/linear, scan" in seen
    assert "1,500/3,000 variants" in seen
    assert "/s" in seen
    assert " left" in seen


def test_a_line_stays_for_every_finished_pass() -> None:
    seen = shown_by(
        variants(0), variants(3000), variants(0, name="gwas/logistic"), variants(3000, name="gwas/logistic")
    )

    assert seen.count("gwas/linear: 3,000 variants in ") == 1
    assert seen.count("gwas/logistic: 3,000 variants in ") == 1


def test_a_node_that_goes_away_during_a_run_is_told_with_its_reason() -> None:
    away = Event("node", {"node": "EE", "state": "waiting", "message": "nobody answers"})

    assert "EE: waiting (nobody answers)" in shown_by(Event("plan"), away)
    assert "planning: waiting for EE" in shown_by(away)


WARNING = Event("warning", {"code": "READ_FIRST", "message": "PLAIN: the coordinator saw each node's sums."})


def test_warnings_are_told_on_standard_error_once_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with output.events(as_json=False) as show:
        show(WARNING)

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "fedstats: warning: PLAIN: the coordinator saw each node's sums.\n")


def test_warnings_stay_above_the_bar() -> None:
    assert "fedstats: warning: PLAIN: the coordinator saw each node's sums." in shown_by(WARNING, variants(0))


def test_warnings_are_objects_where_json_was_asked(capsys: pytest.CaptureFixture[str]) -> None:
    with output.events(as_json=True) as show:
        show(WARNING)
    output.speak(as_json=False)

    printed = capsys.readouterr()
    line = json.loads(printed.out)
    assert (line["event"], line["code"], printed.err) == ("warning", "READ_FIRST", "")


def test_without_a_terminal_only_waiting_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with output.events(as_json=False) as show:
        for event in (Event("plan"), variants(0), variants(3000), Event("node", {"node": "EE", "state": "back"})):
            show(event)

    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("", "fedstats: EE: back\n")


def test_json_lines_of_many_threads_are_whole_and_carry_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    def tell(number: int) -> None:
        for _ in range(50):
            show(Event("pass", {"pass": f"{number}.0", "words": "x" * 500}))

    with output.events(as_json=True) as show:
        show(Event("plan", {"run": "r1"}))
        threads = [threading.Thread(target=tell, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    output.speak(as_json=False)

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(lines) == 401
    assert {line["run"] for line in lines} == {"r1"}


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.83, "0.8 s"), (12.2, "12 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")]
)
def test_durations_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said


def report(name: str, *traits: str, privacy: str = "masked") -> NodeReport:
    dataset = DatasetEntry("biobank", 1200, "GRCh38", traits, ("age", "sex"))
    catalogue = Catalogue(
        node=name,
        nonce="",
        roster="",
        versions={"fedstats": "0.1.0"},
        protocol=1,
        datasets=(dataset,),
        policy={"privacy": privacy, "min_people": "100", "preset": ""},
        budgets={"demo|biobank|queries": "7 left of 9", "demo|biobank|columns": "up to 1/4 spent"},
        certificate_expires="2020-01-01T00:00:00+00:00",
        ledger_head="",
    )
    return NodeReport(name, "127.0.0.1:7401", catalogue, seconds=0.012)


def test_nodes_that_agree_stand_together(capsys: pytest.CaptureFixture[str]) -> None:
    found = [report("FI", "bmi", "t2d"), report("EE", "bmi", privacy="masked, plain")]
    away = NodeUnreachable("nobody answers at no.where:7403: the name does not resolve", code="UNRESOLVED", node="NO")
    found.append(NodeReport("NO", "no.where:7403", error=away))
    other = ProtocolRefused("the node has another roster", code="WRONG_ROSTER", node="SE")
    found.append(NodeReport("SE", "127.0.0.1:7404", error=other))

    nodes._show("demo", found, with_policy=False)

    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Federation demo: 4 nodes, 2 ready" in lines
    assert "FI 127.0.0.1:7401 ready 12 ms 1,200+ 0.1.0 7 2020-01-01 soon" in lines
    assert "NO no.where:7403 away: name does not resolve" in lines
    assert "SE 127.0.0.1:7404 refuses: wrong roster" in lines
    assert "biobank GRCh38 traits bmi all" in lines
    assert "biobank GRCh38 traits t2d FI" in lines
    assert "privacy masked FI" in lines
    assert "min_people 100 all" in lines
    assert "demo biobank columns up to 1/4 spent all" in lines


def test_tables_are_told_with_their_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    def of(name: str, *statuses: str) -> VariantTable:
        return VariantTable(name, pa.table({"STATUS": list(statuses)}))

    runs.say_tables({"hardy": of("hardy", "LOW_MAC", "OK", "OK"), "hardy.x": of("hardy.x", "OK")})

    assert capsys.readouterr().out.splitlines() == [
        "hardy    3 variants (2 OK, 1 LOW_MAC)",
        "hardy.x  1 variants (1 OK)",
    ]


def test_a_sandbox_that_cannot_be_made_leaves_nothing(fedstats: Command, pooled: Path, tmp_path: Path) -> None:
    words = ("--bfile", pooled, "--pheno", f"{pooled}.pheno.tsv", "--covar", f"{pooled}.covar.tsv")

    wrong_name = fedstats("sandbox", "create", tmp_path / "box", *words, "--site-column", "age")
    wrong_swap = fedstats("sandbox", "create", tmp_path / "box", *words, "--site-column", "site", "--swap", "XX")

    wrong_stay = fedstats(
        "sandbox", "create", tmp_path / "box", *words, "--site-column", "site", "--continue-without-me", "YY"
    )

    assert (wrong_name.code, wrong_swap.code, wrong_stay.code) == (2, 2, 2)
    assert "no site is called 'YY'" in wrong_stay.errors
    assert "which cannot name a site" in wrong_name.errors
    assert "no site is called 'XX'; there are EE, FI, NO" in wrong_swap.errors
    assert list((tmp_path / "box").iterdir()) == []


def test_create_says_which_default_floors_the_split_breaks(fedstats: Command, pooled: Path, tmp_path: Path) -> None:
    words = ("--bfile", pooled, "--pheno", f"{pooled}.pheno.tsv", "--covar", f"{pooled}.covar.tsv")
    ended = fedstats("sandbox", "create", tmp_path / "box", *words, "--site-column", "site")

    assert ended.code == 0
    assert "Floors of the default policy that this split breaks" in ended.output
    # 300 people in shares of 100, 130 and 70; 2 % of them are cases of b2.
    assert "NO has 70 people, fewer than 100" in ended.output
    assert "of b2, fewer than 20 in an arm" in ended.output
    assert f"Next: fedstats sandbox up {tmp_path / 'box'} --detach" in ended.output
