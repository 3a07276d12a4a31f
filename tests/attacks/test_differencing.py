"""Attacks by subtraction: two sums over people, or over nodes, that differ by what the attacker is after.

A person's genotypes, or a node's own sums, are the difference of two totals that each look harmless.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.documents import decode, digest
from fedstats.errors import ProtocolRefused
from fedstats.study import Trait
from fedstats.wire.blobs import variants_to_bytes
from fedstats.wire.messages import (
    AbandonOrder,
    BeginOrder,
    ComputeOrder,
    FetchOrder,
    FinishOrder,
    Plan,
    Serving,
    UnmaskOrder,
)
from tests.attacks.attacker import (
    BLOCK,
    FOUR,
    OFF,
    ON,
    attacked,
    counted,
    dosages_of,
    entries,
    leaving_out,
    plan_of,
    refused,
    without,
)
from tests.node_agent.driver import COUNTING, Driver, driven_locally, texts
from tests.node_agent.sites import Federation, make_federation


def begin_at(driver: Driver, plan: Plan, node: str) -> None:
    """Begin at one node what was proposed everywhere: what planning answers is charged before, whatever follows."""
    driver.lines[node].call("Begin", BeginOrder(plan.run, digest(plan)))


def answered(driver: Driver, plan: Plan) -> np.ndarray:
    driver.begin(plan)
    return counted(driver, plan)


# One person left out


def test_a_rerun_without_one_person_shows_that_person_where_nothing_forbids_it(tmp_path: Path):
    with attacked(tmp_path, OFF) as driver:
        first = answered(driver, plan_of(driver, "run-1", (COUNTING,)))

        second = answered(driver, leaving_out(driver, plan_of(driver, "run-2", (COUNTING,)), "FI7"))

        np.testing.assert_array_equal(first - second, dosages_of(driver.federation, "FI", 7))


def test_a_rerun_without_one_person_is_refused(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        plan = leaving_out(driver, plan_of(driver, "run-2", (COUNTING,)), "FI7")
        driver.propose(plan)

        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, plan, "FI")


@pytest.mark.parametrize(("number", "stands"), [(9, False), (10, True)])
def test_the_floor_is_the_number_of_people_who_differ(tmp_path: Path, number: int, stands: bool):
    with attacked(tmp_path, ON) as driver:
        answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        fewer = [f"FI{n}" for n in range(number)]
        plan = leaving_out(driver, plan_of(driver, "run-2", (COUNTING,)), *fewer)
        driver.propose(plan)

        if stands:
            begin_at(driver, plan, "FI")
        else:
            with refused(driver, "FI", "TOO_CLOSE"):
                begin_at(driver, plan, "FI")


def test_swapping_people_counts_those_who_come_and_those_who_go(tmp_path: Path):
    with attacked(tmp_path, ON, people=80) as driver:
        answered(driver, leaving_out(driver, plan_of(driver, "run-1", (COUNTING,)), *(f"FI{n}" for n in range(4))))
        plan = leaving_out(driver, plan_of(driver, "run-2", (COUNTING,)), *(f"FI{n}" for n in range(4, 9)))
        driver.propose(plan)

        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, plan, "FI")  # 4 come back, 5 go: 9 differ


def test_overlapping_people_with_another_roster_are_refused(tmp_path: Path):
    with attacked(tmp_path, ON, FOUR) as driver:
        answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        smaller = without(driver, "SE")
        plan = leaving_out(smaller, plan_of(smaller, "run-2", (COUNTING,)), "FI7", "EE7", "NO7")
        smaller.propose(plan)

        with refused(smaller, "FI", "TOO_CLOSE"):
            begin_at(smaller, plan, "FI")


def test_planning_is_told_that_people_are_too_close_and_not_how_close(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        said = []
        for number in (1, 5, 9):
            plan = plan_of(driver, f"run-{number + 1}", (COUNTING,))
            plan = leaving_out(driver, plan, *(f"FI{n}" for n in range(number)))
            answer = driver.propose(plan)["FI"]
            said.append(decode(Serving, answer.body).serve.models[0].reasons)

        assert said[0] == said[1] == said[2]
        assert [(reason.rule, reason.limit) for reason in said[0]] == [("too_close_to_earlier", 10)]


def test_a_person_who_joins_the_data_later_is_not_shown(tmp_path: Path):
    federation = make_federation(tmp_path, policy=ON)
    table = federation.site("FI").folder / "phenotypes.tsv"
    whole, model = table.read_text(), replace(COUNTING, traits=(Trait("q1", "quantitative"),))
    table.write_text(lacking(whole, 7))
    with driven_locally(federation) as driver:
        answered(driver, plan_of(driver, "run-1", (model,)))
    table.write_text(whole)

    with driven_locally(federation) as driver:
        plan = plan_of(driver, "run-2", (model,))
        driver.propose(plan)
        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, plan, "FI")


def lacking(table: str, person: int) -> str:
    """A table in which one person's last value is missing."""
    lines = table.splitlines()
    lines[person + 1] = "\t".join([*lines[person + 1].split("\t")[:-1], "NA"])
    return "\n".join(lines) + "\n"


# Pairs of traits


def two_traits(folder: Path, policy: str) -> Federation:
    """Sites with a second trait that one person at FI lacks."""
    federation = make_federation(folder, policy=policy, people=100)
    for site in federation.sites:
        table = site.folder / "phenotypes.tsv"
        header, *rows = table.read_text().splitlines()
        again = [f"{row}\t{'NA' if site.name == 'FI' and n == 7 else n % 11}" for n, row in enumerate(rows)]
        table.write_text("\n".join([f"{header}\tr1", *again]) + "\n")
    return federation


PAIR = (
    replace(COUNTING, traits=(Trait("q1", "quantitative"),)),
    replace(COUNTING, id="a1", traits=(Trait("r1", "quantitative"),)),
)


def test_two_traits_show_who_lacks_one_of_them_where_nothing_forbids_it(tmp_path: Path):
    with driven_locally(two_traits(tmp_path, OFF)) as driver:
        plan = plan_of(driver, "run-1", PAIR)
        driver.begin(plan)

        difference = counted(driver, plan, "a0") - counted(driver, plan, "a1", call=1)

        np.testing.assert_array_equal(difference, dosages_of(driver.federation, "FI", 7))


def test_two_traits_that_are_too_close_cannot_be_in_one_plan(tmp_path: Path):
    with driven_locally(two_traits(tmp_path, ON)) as driver:
        plan = plan_of(driver, "run-1", PAIR)
        driver.propose(plan)

        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, plan, "FI")


def test_nor_in_two_plans_one_after_the_other(tmp_path: Path):
    with driven_locally(two_traits(tmp_path, ON)) as driver:
        answered(driver, plan_of(driver, "run-1", PAIR[:1]))
        plan = plan_of(driver, "run-2", (replace(PAIR[1], id="a0"),))
        driver.propose(plan)

        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, plan, "FI")


def test_planning_is_told_which_models_have_people_who_are_too_close(tmp_path: Path):
    """Those with the very people that were answered are not, nor is who lacks which column, which nobody has asked."""
    columns = replace(COUNTING, id="people", traits=PAIR[1].traits, accounting=True)
    with driven_locally(two_traits(tmp_path, ON)) as driver:
        answered(driver, plan_of(driver, "run-1", (replace(PAIR[1], id="a0"),)))
        answer = driver.propose(plan_of(driver, "run-2", (PAIR[1], replace(PAIR[0], id="a2"), columns)))["FI"]

        models = decode(Serving, answer.body).serve.models
        close = [each.model for each in models if "too_close_to_earlier" in [r.rule for r in each.reasons]]
        assert close == ["a2"]


def test_two_runs_side_by_side_cannot_both_be_opened(tmp_path: Path):
    with driven_locally(two_traits(tmp_path, ON)) as driver:
        first, second = plan_of(driver, "run-1", PAIR[:1]), plan_of(driver, "run-2", (replace(PAIR[1], id="a0"),))
        driver.begin(first)
        earlier, blob = driver.order(first, [BLOCK])
        readies = driver.ready(earlier, driver.open(earlier, blob))
        driver.begin(second)
        order, blob = driver.order(second, [BLOCK])
        driver.compute(order, driver.ready(order, driver.open(order, blob)))
        driver.fetch(order)

        with refused(driver, "FI", "TOO_CLOSE"):
            driver.lines["FI"].start(ComputeOrder(earlier.run, earlier.pass_id, texts(readies)))


def test_a_node_that_is_asked_for_no_shares_still_lets_nobody_be_subtracted(tmp_path: Path):
    """Of four nodes three open a pass: the one whose person is sought is left out of that, and told it was given up."""
    with attacked(tmp_path, ON, FOUR) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        order, blob = driver.order(plan, [BLOCK])
        driver.compute(order, driver.ready(order, driver.open(order, blob)))
        driver.fetch(order)
        completes = driver.commit(order)
        for name, line in driver.lines.items():
            if name != "FI":
                line.call("Unmask", UnmaskOrder(order.run, order.pass_id, texts(completes)))
        driver.lines["FI"].call("Abandon", AbandonOrder(order.run, order.pass_id, "lost"))
        for line in driver.lines.values():
            line.call("Finish", FinishOrder(plan.run))
        second = leaving_out(driver, plan_of(driver, "run-2", (COUNTING,)), "FI7")
        driver.propose(second)

        with refused(driver, "FI", "TOO_CLOSE"):
            begin_at(driver, second, "FI")


# Names that could be taken for others


def test_two_models_of_one_id_are_refused(tmp_path: Path):
    """Floors and distances of the one would be looked at, and sums made of the people of the other."""
    with attacked(tmp_path, ON) as driver, refused(driver, "EE", "MALFORMED", ProtocolRefused):
        driver.propose(plan_of(driver, "run-1", (COUNTING, replace(COUNTING, traits=(Trait("q1", "quantitative"),)))))


def test_a_run_that_is_called_as_plans_are_is_refused(tmp_path: Path):
    """Runs on the people of an earlier run name it by its plan's digest, too."""
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))

        with refused(driver, "EE", "MALFORMED", ProtocolRefused):
            driver.propose(replace(plan, run=digest(plan)))


def test_people_with_whom_no_run_began_are_refused(tmp_path: Path):
    """Whom nobody compared with those who were answered is not answered, whatever made the difference."""
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]
        node.ledger.write("UPDATE run_cohorts SET cohort = 'others'")
        order, blob = driver.order(plan, [BLOCK])
        driver.lines["FI"].put(plan.run, "asks", blob)

        with refused(driver, "FI", "OTHER_PEOPLE", ProtocolRefused):
            driver.lines["FI"].call("Open", order)


def test_people_of_whom_nothing_is_kept_are_refused(tmp_path: Path):
    """A node that cannot compare people with those who were answered does not answer them."""
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]
        node.ledger.write("DELETE FROM cohort_people")
        order, blob = driver.order(plan, [BLOCK])
        driver.lines["FI"].put(plan.run, "asks", blob)

        with refused(driver, "FI", "OTHER_PEOPLE", ProtocolRefused):
            driver.lines["FI"].call("Open", order)


def test_words_are_computed_for_the_people_of_the_pass_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Masks that were agreed for some people must not lie on words about others."""
    with attacked(tmp_path, ON) as driver:
        plan = plan_of(driver, "run-1", (COUNTING,))
        driver.begin(plan)
        order, blob = driver.order(plan, [BLOCK])
        readies = driver.ready(order, driver.open(order, blob))
        node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]
        monkeypatch.setattr(type(node.cohorts), "name_of", lambda *_: "others")

        driver.lines["FI"].start(ComputeOrder(order.run, order.pass_id, texts(readies)))
        with pytest.raises(ProtocolRefused) as caught:
            driver.lines["FI"].stream("Fetch", FetchOrder(order.run, order.pass_id, 0))

        assert caught.value.code == "OTHER_PEOPLE"
        assert "computed" not in [kind for kind, _ in entries(driver, "FI")]


# One node left out


def test_a_rerun_without_a_node_and_a_variant_shows_that_node_where_nothing_forbids_it(tmp_path: Path):
    with attacked(tmp_path, OFF, FOUR) as driver:
        first = answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        smaller = without(driver, "SE")

        second = answered(smaller, fewer_variants(smaller, plan_of(smaller, "run-2", (COUNTING,))))

        own = np.maximum(driver.federation.site("SE").dosages[BLOCK], 0).sum(axis=1)
        np.testing.assert_array_equal(first - second, own)


def test_a_rerun_without_a_node_is_refused_whatever_variants_it_asks(tmp_path: Path):
    with attacked(tmp_path, ON, FOUR) as driver:
        answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        smaller = without(driver, "SE")
        plan = fewer_variants(smaller, plan_of(smaller, "run-2", (COUNTING,)))
        smaller.propose(plan)

        with refused(smaller, "FI", "OTHER_ROSTER"):
            begin_at(smaller, plan, "FI")


def fewer_variants(driver: Driver, plan: Plan) -> Plan:
    """The plan with one variant less, so that it is not the same question."""
    listed = variants_to_bytes(np.arange(len(driver.panel) - 1))
    (sha256,) = {line.put(plan.run, "variants", listed) for line in driver.lines.values()}
    return replace(plan, variants=sha256)


# The same again


def test_repeating_an_answer_adds_nothing_to_average_and_costs_nothing(tmp_path: Path):
    with attacked(tmp_path, ON) as driver:
        first = answered(driver, plan_of(driver, "run-1", (COUNTING,)))
        budgets = _columns_and_numbers(driver)

        second = answered(driver, plan_of(driver, "run-2", (COUNTING,)))

        np.testing.assert_array_equal(first, second)
        assert _columns_and_numbers(driver) == budgets


def _columns_and_numbers(driver: Driver) -> list[object]:
    ledger = driver.lines["FI"].agent.node.ledger  # type: ignore[attr-defined]
    return [ledger.rows(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4") for table in ("budget_numbers", "budget_shares")]
