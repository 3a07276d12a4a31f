"""What the benchmark counts, fits and says."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.growth import points, sentence, slope
from benchmarks.machine import commit_of
from benchmarks.on_paper import FIXED, GENOTYPES, NODES_VARIANTS, UNDER_WAY, VARIANTS, law, of_one_machine
from benchmarks.records import Record, newest
from benchmarks.tables import Comparison, comparisons, task_table
from benchmarks.tasks import COVARIATES, TASKS, Demand, Program
from benchmarks.turns import LONG_SECONDS, in_turn
from benchmarks.written import between
from fedstats.comparison.measure import CommandFailed, Measured, measure, median_of
from fedstats.study import LARGEST_PASS, Floors

BUSY = "import time\nwhile time.process_time() < 0.5: pass"
HOLDING = "import time; held = b'x' * (200 << 20); time.sleep(0.3)"


@pytest.mark.parametrize("quick", [True, False])
def test_every_scan_has_people_enough_for_the_columns_that_default_policies_allow(quick: bool) -> None:
    """Nodes have about the same number of people; the intercept is a column, too."""
    scans = [
        *(
            (task.name, task.size(0, quick=quick).people, 3, len(task.traits), COVARIATES)
            for task in TASKS
            if task.traits
        ),
        *(
            (point.axis, point.size.people, point.nodes, point.traits, point.covariates)
            for point in points(quick=quick)
        ),
    ]

    allowed = Floors().parameters_per_person
    assert not [scan for scan in scans if 1 + scan[3] + scan[4] > allowed * (scan[1] // scan[2])]


def record(program: str, cpu: float, wall: float, *, exact: bool = True) -> Record:
    at = {"people": 10.0, "variants": 20.0, "missing": 0.005, "nodes": 3.0, "traits": 1.0, "covariates": 10.0}
    return Record("s", True, "task", "linear", program, exact, at, 1, Measured(wall, cpu), {}, {})


def test_cpu_of_a_command_counts_its_children(tmp_path: Path) -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BUSY!r}])"

    found = measure([sys.executable, "-c", nested], tmp_path / "log")

    assert 0.5 <= found.client_cpu < 2.0  # half a second by its own clock, and two starts of Python


def test_memory_of_a_command_is_its_own_and_not_that_of_the_process_that_starts_it(tmp_path: Path) -> None:
    ballast = bytearray(400 << 20)

    found = measure([sys.executable, "-c", HOLDING], tmp_path / "log")

    assert len(ballast) == 400 << 20
    assert 200 < found.client_anonymous < 300
    assert 200 < found.client_resident < 300


def test_memory_of_a_command_is_that_of_its_largest_child(tmp_path: Path) -> None:
    nested = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {HOLDING!r}])"

    found = measure([sys.executable, "-c", nested], tmp_path / "log")

    assert 200 < found.client_anonymous < 300


def test_a_command_that_fails_says_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="no such thing"):
        measure([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "log")


def test_memory_is_held_against_what_may_be_taken() -> None:
    one = record("fedstats", 1.0, 1.0)
    held = replace(one, median=Measured(1.0, 1.0, agent_anonymous=280.0, client_anonymous=510.0))

    said = Comparison(held, ()).verdict(Demand(agent_mib=300, client_mib=500))

    assert said == (
        "anonymous memory of the agent 280 MiB of at most 300: met; "
        "anonymous memory of the client 510 MiB of at most 500: NOT met"
    )


def test_medians_are_taken_of_each_figure_by_itself() -> None:
    found = median_of([Measured(1.0, 9.0), Measured(2.0, 1.0), Measured(3.0, 5.0)])

    assert (found.wall, found.client_cpu) == (2.0, 5.0)


def test_slope_of_a_cubic_is_three() -> None:
    found = slope("people", [1, 2, 4], [2, 16, 128])

    assert found.exponent == pytest.approx(3.0, abs=1e-12)


def test_sentence_names_the_exponent_and_the_axis() -> None:
    found = slope("variants", [1, 2, 4], [1, 2, 4])

    assert sentence(found).startswith("time grows with exponent 1.00 in variants")


def test_a_law_finds_the_weights_that_made_its_points() -> None:
    at = [{"people": p, "variants": v, "nodes": n} for p in (1e3, 4e3) for v in (1e4, 2e4) for n in (3.0, 15.0)]
    made = [2.0 + 1e-5 * w["nodes"] * w["variants"] + 3e-8 * w["people"] * w["variants"] for w in at]

    found = law([FIXED, NODES_VARIANTS, GENOTYPES], at, made)

    assert found.weights == pytest.approx((2.0, 1e-5, 3e-8), rel=1e-9)
    assert found.at({"people": 1e6, "variants": 2e7, "nodes": 15.0}) == pytest.approx(2.0 + 3e3 + 6e5, rel=1e-9)


def test_what_is_under_way_does_not_grow_beyond_two_passes() -> None:
    at = [{"people": 1e3, "variants": v, "nodes": 3.0} for v in (5e4, 1e5, 2e5, 1e6)]
    made = [100.0 + 1e-3 * min(w["variants"], 3 * LARGEST_PASS) + 5e-5 * w["variants"] for w in at]

    found = law([FIXED, UNDER_WAY, VARIANTS], at, made)

    assert found.at({"people": 1e6, "variants": 2e7, "nodes": 15.0}) == pytest.approx(100.0 + 300.0 + 1e3, rel=1e-9)
    assert found.heaviest({"people": 1e6, "variants": 2e7, "nodes": 15.0}) == "variants"
    assert found.heaviest({"people": 1e6, "variants": 1e6, "nodes": 15.0}) == "variants under way"
    assert found.heaviest({"people": 1e6, "variants": 1e4, "nodes": 15.0}) == "variants under way"


def test_seconds_of_two_machines_are_not_added_up() -> None:
    here, there = record("fedstats", 1.0, 1.0), record("fedstats", 2.0, 2.0)
    here, there = (replace(one, machine={"cpu": cpu}) for one, cpu in ((here, "new"), (there, "old")))
    growth = replace(here, kind="growth", name="nodes")

    assert of_one_machine([there, here, growth]) == [here, growth]


def test_what_was_measured_last_stands() -> None:
    old = replace(record("fedstats", 1.0, 1.0), session="2026-01-01")
    new, other = replace(old, session="2026-01-02"), replace(old, name="hardy")

    assert newest([old, other, new]) == [other, new]


def test_ratio_is_against_the_best_exact_rival_for_each_figure() -> None:
    some = [record("fedstats", 2.0, 2.0), record("a", 10.0, 20.0), record("b", 12.0, 8.0)]

    (found,) = comparisons([*some, record("approximate", 1.0, 1.0, exact=False)])

    assert (found.ratio("cpu"), found.ratio("wall")) == (5.0, 4.0)


def test_a_demand_that_is_missed_is_said_to_be_missed() -> None:
    (found,) = comparisons([record("fedstats", 2.0, 2.0), record("a", 8.0, 8.0)])

    assert found.verdict(Demand(5.0, 4.0)) == (
        "cpu 4.00 times less of at least 5: NOT met; wall 4.00 times less of at least 4: met"
    )


@pytest.mark.parametrize(("least", "said"), [(4.0, "met"), (4.1, "NOT met")])
def test_a_demand_may_name_a_rival_that_is_not_the_fastest(least: float, said: str) -> None:
    (found,) = comparisons([record("fedstats", 2.0, 2.0), record("fast 1", 4.0, 4.0), record("slow 2", 8.0, 8.0)])

    assert found.verdict(Demand(2.0, named=(("slow", least),))) == (
        f"cpu 2.00 times less of at least 2: met; cpu against slow 4.00 times less of at least {least:g}: {said}"
    )
    assert "absent" not in found.verdict(Demand(2.0, named=(("absent", least),)))


def test_seconds_that_a_demand_allows_are_added_to_the_rival() -> None:
    # 3 times 0.2 s and a second more are 1.6 s.
    within, beyond = ([record("fedstats", cpu, 1.0), record("a", 0.2, 0.2)] for cpu in (1.59, 1.61))
    demand = Demand(cpu=1 / 3, seconds=1.0)

    assert "NOT" not in comparisons(within)[0].verdict(demand)
    assert "NOT met" in comparisons(beyond)[0].verdict(demand)


def test_table_shows_approximate_rivals_without_a_ratio() -> None:
    text = task_table([record("fedstats", 2.0, 2.0), record("approximate", 1.0, 1.0, exact=False)])

    assert "approximate" in text
    assert "**" not in text


def test_what_stands_between_marks_is_replaced_and_the_rest_stays() -> None:
    text = "a\n<!-- x: begin -->\nold\n<!-- x: end -->\nb\n"

    assert between(text, "x", "new\n") == "a\n<!-- x: begin -->\nnew\n<!-- x: end -->\nb\n"


def test_a_program_is_repeated_after_its_warm_up_unless_it_takes_long() -> None:
    calls: list[str] = []

    def program(name: str, wall: float) -> Program:
        return Program(name, lambda _: (calls.append(name), Measured(wall, 1.0))[1])

    found = in_turn([program("short", 1.0), program("long", LONG_SECONDS + 1)], 2, lambda _: None)

    assert calls == ["short", "long", "short", "short"]
    assert {name: len(runs) for name, runs in found.items()} == {"short": 2, "long": 1}


def test_a_version_is_marked_where_anything_but_results_differs(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=a@b", *words], cwd=tmp_path, check=True)

    program, results = tmp_path / "benchmarks" / "program.py", tmp_path / "benchmarks" / "results" / "day.jsonl"
    results.parent.mkdir(parents=True)
    for path in (program, results):
        path.write_text("one")
    git("init", "--quiet")
    git("add", ".")
    git("commit", "--quiet", "-m", "first")

    results.write_text("two")
    assert not commit_of(tmp_path).endswith("+")
    program.write_text("two")
    assert commit_of(tmp_path).endswith("+")
