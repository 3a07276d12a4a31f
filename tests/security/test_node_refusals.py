"""What a node refuses in runs and passes; each refusal is in the ledger, and nothing was computed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fedstats import scratch
from fedstats.coordinator.splitting import LARGEST_PASS_WORDS
from fedstats.dataset import People
from fedstats.documents import decode, digest
from fedstats.errors import DisclosureRefused, Failed, FedstatsError, ProtocolRefused, Refused, UsageError
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import sign
from fedstats.ledger import verify
from fedstats.planning.people_lists import people_bytes
from fedstats.privacy.masking_coordinator import transcript_of
from fedstats.privacy.messages import PASS_KEYS, PassKeys
from fedstats.privacy.pass_state import PassState
from fedstats.study import Study
from fedstats.wire.messages import (
    AbandonOrder,
    BeginOrder,
    CommitOrder,
    ComputeOrder,
    FetchOrder,
    LostNode,
    PassOrder,
    ReadyOrder,
    ReceiptOrder,
    RunKeysOrder,
    Serving,
    StatusOrder,
    SurveyOrder,
    UnmaskOrder,
)
from fedstats.wire.messages import PassStatus as Status
from fedstats.wire.passes import pass_context
from node_agent import pass_orders
from node_agent.pass_orders import this_pass
from node_agent.pass_secrets import agree, agreed
from node_agent.spool import Spool
from tests.node_agent.driver import COUNTING, SCANNED, TEST_FLOORS, Driver, driven_locally, texts
from tests.node_agent.sites import REAL_POLICY, VALIDATION_POLICY, make_federation, node_toml

BLOCK = [np.arange(0, 12)]


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    with driven_locally(make_federation(tmp_path)) as found:
        yield found


def kinds_in_ledger(driver: Driver, name: str) -> list[str]:
    return [entry.kind for entry in verify(driver.federation.site(name).folder / "state" / "ledger.sqlite")]


def assert_nothing_computed(driver: Driver) -> None:
    for name in driver.names:
        assert not {"chunk", "computed"} & set(kinds_in_ledger(driver, name))


def opened_pass(driver: Driver, privacy: str = "masked", **changes):
    """A run that has begun and a pass that is open everywhere."""
    plan = driver.plan(privacy=privacy, **changes)
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    return plan, order, driver.open(order, blob)


# Plans


def test_an_analysis_that_is_not_allowed_is_refused_before_anything_is_computed(driver: Driver):
    study = Study(analysis="hardy", models=(COUNTING,), nodes=driver.names, floors=TEST_FLOORS)

    with pytest.raises(Refused, match=r"rule analyses: 'hardy' .* Nothing was sent"):
        driver.propose(driver.plan(study=study))

    assert kinds_in_ledger(driver, driver.names[0])[-1] == "refused"
    assert_nothing_computed(driver)


def test_a_small_cohort_is_not_served_and_cannot_begin(tmp_path: Path):
    with driven_locally(make_federation(tmp_path, people=40)) as driver:
        plan = driver.plan()
        serving = decode(Serving, driver.propose(plan)["FI"].body)
        (reason,) = serving.serve.models[0].reasons

        with pytest.raises(DisclosureRefused, match=r"min_people.*limit is 50.*nothing was sent"):
            driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(plan)))

        assert (reason.rule, reason.limit) == ("min_people", 50)
        assert kinds_in_ledger(driver, "FI")[-1] == "refused"
        assert_nothing_computed(driver)


def test_a_cohort_that_became_too_small_by_a_list_of_people_is_not_served(driver: Driver):
    keep = b'{"keep":[["FI1","FI1"],["FI2","FI2"]],"remove":[]}'
    sha = driver.lines["FI"].put("run-1", "people", keep)
    plan = driver.plan()
    plan = replace(plan, request=replace(plan.request, people=sha))
    driver.put_blobs(plan)

    serving = decode(Serving, driver.lines["FI"].call("Propose", plan).body)

    assert [reason.rule for reason in serving.serve.models[0].reasons] == ["min_people"]


@pytest.mark.parametrize("stretch", [7, 1 << 18])
def test_a_plan_with_variants_that_this_node_lacks_is_refused(
    driver: Driver, monkeypatch: pytest.MonkeyPatch, stretch: int
):
    monkeypatch.setattr(scratch, "SLICE", stretch)
    elsewhere = driver.panel.position.copy()
    elsewhere[-2:] += 1_000_000
    driver.panel = replace(driver.panel, position=elsewhere)

    with pytest.raises(ProtocolRefused, match="2 variants of the run are not in the data set"):
        driver.propose(driver.plan())

    assert_nothing_computed(driver)


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"roster": "0" * 64}, ProtocolRefused, "another roster"),
        ({"federation": "other"}, ProtocolRefused, "another roster"),
        ({"protocol": 2}, ProtocolRefused, "speaks protocol 2"),
        ({"dataset": "none"}, UsageError, "no data set 'none'; there is demo"),
        ({"build": "GRCh38"}, ProtocolRefused, "the plan is on GRCh38, this data set on GRCh37"),
        ({"variants": "0" * 64}, ProtocolRefused, "the list of variants was not put"),
        ({"panel": "0" * 64}, ProtocolRefused, "the variant panel was not put"),
        ({"amends": "none"}, ProtocolRefused, "amends a run that did not begin here"),
    ],
)
def test_a_plan_that_does_not_fit_this_node_is_refused(driver: Driver, changes, kind, message):
    with pytest.raises(kind, match=message):
        driver.propose(driver.plan(**changes))

    assert_nothing_computed(driver)


def test_a_node_with_another_identity_in_the_plan_is_refused(driver: Driver):
    plan = driver.plan()
    nodes = {**plan.nodes, "SE": generate_identity().public_hex}

    with pytest.raises(ProtocolRefused, match="'SE' whose identity is not in this node's roster"):
        driver.propose(replace(plan, nodes=nodes))


def test_a_study_of_other_nodes_than_the_plan_is_refused(driver: Driver):
    plan = driver.plan()

    with pytest.raises(ProtocolRefused, match="nodes of plan and study"):
        driver.propose(replace(plan, nodes={**plan.nodes, "NO": plan.nodes["SE"]}))


def test_a_trait_that_the_data_lack_is_named(driver: Driver):
    model = replace(SCANNED, traits=(replace(SCANNED.traits[0], name="height"),))
    study = Study(analysis="gwas/linear", models=(model,), nodes=driver.names, floors=TEST_FLOORS)

    with pytest.raises(UsageError, match="no column 'height'"):
        driver.propose(driver.plan(study=study))


def test_a_stranger_who_signs_well_is_refused(driver: Driver):
    stranger = generate_identity()
    plan = driver.plan()
    driver.put_blobs(plan)

    with pytest.raises(ProtocolRefused, match="may not ask here") as caught:
        driver.lines["FI"].call("Propose", sign(stranger, "Plan", plan))

    assert caught.value.code == "WRONG_SIGNER"


def test_a_plan_that_was_changed_after_it_was_signed_is_refused(driver: Driver):
    signed = sign(driver.federation.coordinator, "Plan", driver.plan())

    with pytest.raises(ProtocolRefused, match="changed on its way"):
        driver.lines["FI"].call("Propose", replace(signed, body=signed.body.replace(b"run-1", b"run-2")))


def test_a_run_cannot_begin_with_a_plan_that_was_not_proposed(driver: Driver):
    with pytest.raises(ProtocolRefused, match="was not proposed here"):
        driver.lines["FI"].call("Begin", BeginOrder("run-1", "0" * 64))


def test_a_run_begins_once(driver: Driver):
    plan = driver.plan()
    driver.begin(plan)
    refined = replace(plan, pass_variants=100)
    driver.propose(refined)

    with pytest.raises(ProtocolRefused, match="first answer stands") as caught:
        driver.lines["FI"].call("Begin", BeginOrder(plan.run, digest(refined)))

    assert caught.value.code == "CONFLICT"


def test_two_nodes_are_too_few(tmp_path: Path):
    federation = make_federation(tmp_path)
    with driven_locally(federation, ("EE", "FI")) as driver, pytest.raises(Refused, match="smaller than 3"):
        driver.propose(driver.plan(privacy="masked"))


def test_two_nodes_may_where_their_policies_say_so(tmp_path: Path):
    policy = REAL_POLICY + "allow_two_nodes = true\n"
    with driven_locally(make_federation(tmp_path, ("EE", "FI"), policy=policy)) as driver:
        study = replace(driver.plan().study, floors=replace(TEST_FLOORS, min_nodes=2))
        plan = driver.plan(privacy="masked", study=study)
        driver.begin(plan)
        order, blob = driver.order(plan, BLOCK)

        counts = driver.counts(plan, order, driver.whole_pass(plan, order, blob), BLOCK[0])

        assert counts.called.max() <= 120


# Passes: one answer to one ask


def test_every_repeated_ask_gets_the_same_bytes(driver: Driver):
    plan = driver.plan(privacy="masked")
    assert driver.propose(plan) == driver.propose(plan)
    driver.begin(plan)
    keys = dict(driver.run_keys)
    driver.begin(plan)
    assert driver.run_keys == keys
    order, blob = driver.order(plan, BLOCK)
    first = driver.open(order, blob)
    assert driver.open(order, blob) == first
    readies = driver.ready(order, first)
    assert driver.ready(order, first) == readies
    driver.compute(order, readies)
    words = driver.fetch(order)
    driver.compute(order, readies)
    assert driver.fetch(order) == words
    completes = driver.commit(order)
    assert driver.commit(order) == completes
    assert driver.unmask(order, completes) == driver.unmask(order, completes)


def test_masked_words_of_two_passes_over_the_same_data_differ(driver: Driver):
    plan, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    again, blob = driver.order(plan, BLOCK, call=1)
    driver.compute(again, driver.ready(again, driver.open(again, blob)))

    first, second = driver.fetch(order)["FI"], driver.fetch(again)["FI"]

    # Of random 64-bit words, none is equal by chance.
    assert not np.any(np.frombuffer(first, "<u8") == np.frombuffer(second, "<u8"))


def test_words_can_be_fetched_from_any_offset(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    whole = driver.fetch(order)["FI"]

    rest = driver.lines["FI"].stream("Fetch", FetchOrder(order.run, order.pass_id, 100), 100)

    assert rest == whole[100:]


def test_the_same_pass_with_other_content_is_a_conflict(driver: Driver):
    plan, order, _ = opened_pass(driver)
    other, blob = driver.order(plan, [np.arange(12, 20)])
    assert other.pass_id == order.pass_id

    with pytest.raises(ProtocolRefused) as caught:
        driver.open(other, blob)

    assert caught.value.code == "CONFLICT"
    assert_nothing_computed(driver)


def test_other_keys_after_the_first_are_a_conflict(driver: Driver):
    plan, order, keys = opened_pass(driver)
    driver.ready(order, keys)
    elsewhere, blob = driver.order(plan, BLOCK, call=1)
    others = driver.open(elsewhere, blob)

    with pytest.raises(ProtocolRefused) as caught:
        driver.ready(order, others)

    assert caught.value.code == "CONFLICT"


@pytest.mark.parametrize("attempt", ["swap", "leave out", "stranger"])
def test_keys_that_are_not_every_nodes_own_are_refused(driver: Driver, attempt: str):
    _, order, keys = opened_pass(driver)
    if attempt == "swap":
        shown = {**keys, "SE": keys["EE"]}
    elif attempt == "leave out":
        shown = {name: signed for name, signed in keys.items() if name != "SE"}
    else:
        shown = {**keys, "NO": keys["SE"]}

    with pytest.raises(ProtocolRefused) as caught:
        driver.lines["FI"].call("Ready", ReadyOrder(order.run, order.pass_id, texts(shown)))

    assert caught.value.code in ("WRONG_ROSTER", "SWAPPED_KEY", "WRONG_SIGNER")
    assert_nothing_computed(driver)


def test_run_keys_of_another_run_are_refused(driver: Driver):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    earlier = dict(driver.run_keys)
    second = driver.plan(run="run-2", privacy="masked")
    driver.propose(second)
    driver.lines["FI"].call("Begin", BeginOrder("run-2", digest(second)))

    with pytest.raises(ProtocolRefused, match="another run or plan"):
        driver.lines["FI"].call("Begin", RunKeysOrder("run-2", texts(earlier)))


def test_no_words_without_every_nodes_signature(driver: Driver):
    _, order, keys = opened_pass(driver)
    readies = driver.ready(order, keys)
    readies.pop("SE")

    with pytest.raises(ProtocolRefused, match="SE is missing"):
        driver.compute(order, readies)
    with pytest.raises(ProtocolRefused, match="no words to fetch"):
        driver.fetch(order)

    assert_nothing_computed(driver)


@pytest.mark.parametrize("method", ["Ready", "Compute", "Commit"])
def test_steps_out_of_order_are_refused(driver: Driver, method: str):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    if method != "Ready":
        driver.open(order, blob)
    asks = {
        "Ready": ReadyOrder(order.run, order.pass_id, {}),
        "Compute": ComputeOrder(order.run, order.pass_id, {}),
        "Commit": CommitOrder(order.run, order.pass_id),
    }

    with pytest.raises(ProtocolRefused) as caught:
        driver.lines["FI"].ask(method, asks[method])

    assert caught.value.code in ("OUT_OF_ORDER", "UNKNOWN_PASS")


def test_seed_shares_need_enough_signatures(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    driver.fetch(order)
    completes = driver.commit(order)

    with pytest.raises(ProtocolRefused, match=r"2 of 3 nodes signed.*it takes 3"):
        driver.unmask(order, {name: completes[name] for name in ("EE", "FI")})


def test_an_abandoned_pass_gives_nothing_any_more(driver: Driver):
    _, order, keys = opened_pass(driver)
    readies = driver.ready(order, keys)
    line = driver.lines["FI"]
    line.call("Abandon", AbandonOrder(order.run, order.pass_id, "test"))
    line.call("Abandon", AbandonOrder(order.run, order.pass_id, "again, for another reason"))

    asks = [("Open", order), ("Ready", ReadyOrder(order.run, order.pass_id, texts(keys)))]
    asks += [("Compute", ComputeOrder(order.run, order.pass_id, texts(readies)))]
    for method, ask in asks:
        with pytest.raises(ProtocolRefused) as caught:
            line.ask(method, ask)
        assert caught.value.code == "ABANDONED"
    assert not list((driver.federation.site("FI").folder / "state" / "secrets").glob("pass-*"))


def test_a_pass_abandoned_before_it_came_is_refused(driver: Driver):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    driver.lines["FI"].call("Abandon", AbandonOrder(order.run, order.pass_id, "test"))

    with pytest.raises(ProtocolRefused, match="abandoned"):
        driver.open(order, blob)


def test_an_open_pass_cannot_be_abandoned(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    driver.fetch(order)
    driver.unmask(order, driver.commit(order))

    with pytest.raises(ProtocolRefused, match="open already"):
        driver.lines["FI"].call("Abandon", AbandonOrder(order.run, order.pass_id, "test"))


def test_another_attempt_needs_the_first_to_be_abandoned(driver: Driver):
    plan, order, _ = opened_pass(driver)
    again, blob = driver.order(plan, BLOCK, attempt=1)

    with pytest.raises(ProtocolRefused, match=r"another attempt .* was not abandoned"):
        driver.open(again, blob)

    for line in driver.lines.values():
        line.call("Abandon", AbandonOrder(order.run, order.pass_id, "test"))
    assert set(driver.open(again, blob)) == set(driver.names)


def test_a_receipt_ends_a_pass_and_leaves_no_secret_or_word(driver: Driver):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)

    driver.whole_pass(plan, order, blob)

    state = driver.federation.site("FI").folder / "state"
    left = sorted(path.name for path in (state / "secrets").iterdir() if path.name.startswith("pass-"))
    assert (left, list((state / "spool").iterdir())) == ([], [])
    with pytest.raises(ProtocolRefused, match="it is over"):
        driver.fetch(order)
    answer = driver.lines["FI"].call("Status", StatusOrder(order.run, order.pass_id))
    assert decode(Status, answer.body).state == "closed"


def test_a_receipt_for_other_words_is_refused(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    driver.fetch(order)
    driver.unmask(order, driver.commit(order))

    with pytest.raises(ProtocolRefused, match="other words"):
        driver.lines["FI"].call("Receipt", ReceiptOrder(order.run, order.pass_id, "0" * 64))


# Orders of passes


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pass_id": "0" * 64}, "WRONG_PASS_ID"),
        ({"plan": "0" * 64}, "NO_PLAN"),
        ({"step": "genotypes/none@1"}, "UNKNOWN_STEP"),
        ({"step": "linear_gwas/scan@1"}, "STEP_NOT_ALLOWED"),
        ({"step": "people/accounting@1"}, "STEP_NOT_ALLOWED"),
        ({"model": "a9"}, "UNKNOWN_MODEL"),
        ({"asks": "0" * 64}, "NO_BLOB"),
        ({"words": 5}, "WRONG_LAYOUT"),
        ({"layout": "0" * 64}, "WRONG_LAYOUT"),
    ],
)
def test_an_order_that_the_plan_does_not_have_is_refused(driver: Driver, changes, code):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    driver.lines["FI"].put(order.run, "asks", blob)

    with pytest.raises(ProtocolRefused) as caught:
        driver.lines["FI"].call("Open", replace(order, **changes))

    assert caught.value.code == code
    assert_nothing_computed(driver)


@pytest.mark.parametrize(
    ("variants", "code"),
    [
        ([np.array([3, 2])], "MALFORMED"),
        ([np.arange(0, 5), np.arange(4, 8)], "MALFORMED"),
        ([np.array([35])], "WRONG_VARIANTS"),  # on X, where the model is of autosomes
        ([np.array([400])], "NO_VARIANT"),
        (None, "MALFORMED"),
    ],
)
def test_variants_that_the_run_does_not_have_are_refused(driver: Driver, variants, code):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    good = order
    if variants is None:
        order, blob = replace(order, step="genotypes/counts@2"), b""
        order = replace(order, asks=driver.lines["FI"].put(order.run, "asks", blob))
    else:
        order, blob = driver.order(plan, variants)
        driver.lines["FI"].put(order.run, "asks", blob)

    with pytest.raises(ProtocolRefused) as caught:
        driver.lines["FI"].call("Open", order)

    assert good.pass_id == order.pass_id
    assert caught.value.code == code


def test_more_variants_than_the_plan_allows_in_a_pass_are_refused(driver: Driver):
    plan = driver.plan(privacy="masked", pass_variants=8)
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)

    with pytest.raises(ProtocolRefused, match="asks 12 variants, the plan says at most 8"):
        driver.open(order, blob)


def test_more_than_64_mib_a_pass_are_refused(driver: Driver, monkeypatch: pytest.MonkeyPatch):
    assert pass_orders.LARGEST_PASS_BYTES == 64 * 2**20 == 8 * LARGEST_PASS_WORDS
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    monkeypatch.setattr(pass_orders, "LARGEST_PASS_BYTES", 8 * order.words - 1)

    with pytest.raises(ProtocolRefused, match=rf"{8 * order.words} bytes is too large, the limit .* --pass-variants"):
        driver.open(order, blob)

    monkeypatch.setattr(pass_orders, "LARGEST_PASS_BYTES", 8 * order.words)
    assert set(driver.open(order, blob)) == set(driver.names)


# The lock on people

FOUR = ("EE", "FI", "NO", "SE")


def finished_run(driver: Driver, run: str, privacy: str = "masked", **changes):
    plan = driver.plan(run=run, privacy=privacy, **changes)
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    driver.whole_pass(plan, order, blob)
    return plan


def three_of(driver: Driver) -> Driver:
    return replace(driver, lines={name: driver.lines[name] for name in FOUR[:3]})


@pytest.mark.parametrize("privacy", ["plain", "masked"])
def test_the_same_people_with_another_roster_are_refused(tmp_path: Path, privacy: str):
    with driven_locally(make_federation(tmp_path, FOUR)) as driver:
        finished_run(driver, "run-1", privacy)
        smaller = three_of(driver)

        with pytest.raises(ProtocolRefused, match="same people were answered before") as caught:
            finished_run(smaller, "run-2", privacy)

        assert caught.value.code == "OTHER_ROSTER"


def test_the_same_people_with_the_same_roster_may_be_asked_again(driver: Driver):
    finished_run(driver, "run-1")

    finished_run(driver, "run-2")

    assert states_at_fi(driver, "run-2") == [PassState.OPENED]


def states_at_fi(driver: Driver, run: str) -> list[PassState]:
    """Where the passes of a run stand at FI."""
    records = driver.lines["FI"].agent.node.records  # type: ignore[attr-defined]  # lines without a network have one
    return [records.passed(pass_id).state for pass_id in records.passes_of_run(run)]


def test_other_people_may_be_asked_with_another_roster(tmp_path: Path):
    with driven_locally(make_federation(tmp_path, FOUR)) as driver:
        finished_run(driver, "run-1")
        smaller = three_of(driver)
        remove = people_bytes(People(remove=frozenset((f"{s}{n}", f"{s}{n}") for s in FOUR[:3] for n in range(10))))
        plan = smaller.plan(run="run-2", privacy="masked")
        shas = {line.put("run-2", "people", remove) for line in smaller.lines.values()}

        finished_run(smaller, "run-2", request=replace(plan.request, people=shas.pop()))

        assert states_at_fi(driver, "run-2") == [PassState.OPENED]


def test_validation_switches_the_lock_off(tmp_path: Path):
    with driven_locally(make_federation(tmp_path, FOUR, policy=VALIDATION_POLICY)) as driver:
        finished_run(driver, "run-1")

        finished_run(three_of(driver), "run-2")

        assert states_at_fi(driver, "run-2") == [PassState.OPENED]


def test_unopened_passes_are_abandoned_before_a_run_on_the_same_people_with_other_nodes(tmp_path: Path):
    with driven_locally(make_federation(tmp_path, FOUR)) as driver:
        _, order, keys = opened_pass(driver)
        driver.compute(order, driver.ready(order, keys))
        driver.fetch(order)

        finished_run(three_of(driver), "run-2")

        with pytest.raises(ProtocolRefused) as caught:
            driver.lines["FI"].call("Commit", CommitOrder(order.run, order.pass_id))
        assert caught.value.code == "ABANDONED"


@contextmanager
def two_rosters(folder: Path) -> Iterator[tuple[Driver, PassOrder, Callable[[], None]]]:
    """A pass of four nodes whose words are computed, and what answers the same people with three of them instead."""
    with driven_locally(make_federation(folder, FOUR)) as driver:
        smaller = three_of(driver)
        second = smaller.plan(run="run-2", privacy="masked")
        smaller.begin(second)
        _, order, keys = opened_pass(driver)
        driver.compute(order, driver.ready(order, keys))

        def answer_three() -> None:
            smaller.whole_pass(second, *smaller.order(second, BLOCK))

        yield driver, order, answer_three


def test_a_pass_that_is_to_be_opened_after_another_roster_took_the_lock_is_refused(tmp_path: Path):
    with two_rosters(tmp_path) as (driver, order, answer_three):
        driver.fetch(order)
        completes = driver.commit(order)
        answer_three()

        for name in FOUR[:3]:
            with pytest.raises(ProtocolRefused) as caught:
                driver.lines[name].call("Unmask", UnmaskOrder(order.run, order.pass_id, texts(completes)))
            assert caught.value.code == "OTHER_ROSTER"


def test_a_pass_is_not_even_complete_after_another_roster_took_the_lock(tmp_path: Path):
    with two_rosters(tmp_path) as (driver, order, answer_three):
        answer_three()

        with pytest.raises(ProtocolRefused) as caught:
            driver.fetch(order)

        assert caught.value.code == "OTHER_ROSTER"


def test_words_that_are_complete_lock_nobody_and_shares_do(driver: Driver):
    """So a pass that waits for a lost node can be given up, and the same people be asked without it."""
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    driver.fetch(order)
    completes = driver.commit(order)
    node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one
    record = node.records.passed(order.pass_id)
    assert node.records.lock(record.cohort, record.domain) is None

    driver.unmask(order, completes)

    assert node.records.lock(record.cohort, record.domain).run == order.run


def test_what_a_node_agreed_to_follows_again_from_its_ledger_until_the_pass_is_over(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.ready(order, keys)
    node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one
    one = this_pass(node, order.run, order.pass_id)
    first = agreed(node, one)

    node.agreed.forget()
    node.channels.forget()

    assert agreed(node, one) is not first
    assert agreed(node, one) == first
    driver.lines["FI"].call("Abandon", AbandonOrder(order.run, order.pass_id, "test"))
    assert node.records.pass_keys(order.pass_id) == ()


def test_keys_that_were_taken_back_with_their_transaction_leave_nothing_behind(driver: Driver):
    """What is kept in memory is of the keys in the ledger, also where others had been shown before and were refused."""
    plan, order, keys = opened_pass(driver)
    said = decode(PassKeys, keys["SE"].body)
    identity = driver.federation.site("SE").identity
    other = sign(identity, PASS_KEYS, replace(said, nonce_commitment="0" * 64))
    node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one
    one = this_pass(node, order.run, order.pass_id)

    def agree_and_fail() -> None:
        with node.ledger.transaction():
            agree(node, one, (keys["EE"], keys["FI"], other))
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        agree_and_fail()

    driver.ready(order, keys)

    in_order = list(driver.run_keys.values()), list(keys.values())
    assert agreed(node, one).transcript == transcript_of(pass_context(plan, order), *in_order)


def test_keys_of_a_pass_stay_in_no_ledger_once_it_is_over(driver: Driver):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)

    driver.whole_pass(plan, order, blob)

    node = driver.lines["FI"].agent.node  # type: ignore[attr-defined]  # lines without a network have one
    assert node.records.pass_keys(order.pass_id) == ()


def amended(driver: Driver, first, run: str = "run-2"):
    """A plan that goes on without SE, with the consent that SE had signed or not."""
    serving = driver.lines["SE"].call("Propose", first)
    lost = LostNode("SE", serving.body.hex(), serving.signature.hex())
    return three_of(driver).plan(run=run, privacy="masked", amends=first.run, lost=(lost,))


def federation_with_consent(tmp_path: Path, *, consent: bool):
    federation = make_federation(tmp_path, FOUR)
    line = "continue_without_me = true\n" if consent else ""
    federation.site("SE").config.write_text(node_toml("SE", REAL_POLICY + line))
    return federation


def test_an_amended_run_goes_on_without_a_node_that_had_agreed(tmp_path: Path):
    with driven_locally(federation_with_consent(tmp_path, consent=True)) as driver:
        first = finished_run(driver, "run-1")
        smaller = three_of(driver)
        plan = amended(driver, first)
        smaller.begin(plan)
        order, blob = smaller.order(plan, BLOCK)

        smaller.whole_pass(plan, order, blob)

        assert "amended" in kinds_in_ledger(driver, "FI")


def test_a_node_that_had_not_agreed_stays_in(tmp_path: Path):
    with driven_locally(federation_with_consent(tmp_path, consent=False)) as driver:
        first = finished_run(driver, "run-1")

        with pytest.raises(ProtocolRefused, match="SE had not signed continue_without_me") as caught:
            three_of(driver).propose(amended(driver, first))

        assert caught.value.code == "NO_CONSENT"


def test_consent_for_another_run_does_not_count(tmp_path: Path):
    with driven_locally(federation_with_consent(tmp_path, consent=True)) as driver:
        first = finished_run(driver, "run-1")
        other = finished_run(driver, "run-9")
        plan = amended(driver, other)

        with pytest.raises(ProtocolRefused, match="consent of SE is for another run"):
            three_of(driver).propose(replace(plan, amends=first.run))


def test_forged_consent_is_refused(tmp_path: Path):
    with driven_locally(federation_with_consent(tmp_path, consent=False)) as driver:
        first = finished_run(driver, "run-1")
        plan = amended(driver, first)
        (lost,) = plan.lost
        body = bytes.fromhex(lost.serving_body).replace(b'"continue_without_me":false', b'"continue_without_me":true')

        with pytest.raises(ProtocolRefused, match="changed on its way"):
            three_of(driver).propose(replace(plan, lost=(replace(lost, serving_body=body.hex()),)))


def test_an_amendment_may_only_leave_out_the_lost(tmp_path: Path):
    with driven_locally(federation_with_consent(tmp_path, consent=True)) as driver:
        first = finished_run(driver, "run-1")
        plan = amended(driver, first)

        with pytest.raises(ProtocolRefused, match="without the lost ones"):
            driver.propose(replace(driver.plan(run="run-2", privacy="masked"), amends=plan.amends, lost=plan.lost))


# Disks, and what nobody expected


def test_a_full_ledger_lets_nothing_out_and_can_be_asked_again(driver: Driver):
    plan = driver.plan(privacy="masked")
    driver.begin(plan)
    order, blob = driver.order(plan, BLOCK)
    line = driver.lines["FI"]
    line.put(order.run, "asks", blob)
    ledger = line.agent.node.ledger
    ledger.connection.execute("CREATE TABLE filler (x)")
    pages = ledger.connection.execute("PRAGMA page_count").fetchone()[0]
    ledger.connection.execute(f"PRAGMA max_page_count = {pages}")

    with pytest.raises(Failed, match="the ledger cannot be written") as caught:
        _ask_often(driver, line)

    assert caught.value.code == "LEDGER_UNWRITABLE"
    ledger.connection.execute("PRAGMA max_page_count = 1000000")
    assert line.call("Open", order).kind == "masking/pass-keys@1"


def _ask_often(driver: Driver, line) -> None:
    """Small answers fit into pages that are there; a full disk shows with one of the next."""
    for _ in range(50):
        line.call("Survey", _survey(driver))


def _survey(driver: Driver) -> SurveyOrder:
    from fedstats.identity.roster import roster_digest
    from fedstats.planning.survey import Questions

    return SurveyOrder("s" * 200, roster_digest(driver.federation.roster), "demo", Questions(("q1",), (), ()))


def test_a_full_spool_stops_the_pass_and_it_goes_on_when_there_is_room(driver: Driver, monkeypatch: pytest.MonkeyPatch):
    _, order, keys = opened_pass(driver)
    readies = driver.ready(order, keys)

    def full(self, path, recorded, chunks) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(Spool, "_write", full)
        driver.compute(order, readies)
        with pytest.raises(FedstatsError, match="No space left on device") as caught:
            driver.fetch(order)
    driver.compute(order, readies)

    assert caught.value.code == "SPOOL_UNWRITABLE"
    assert {len(words) for words in driver.fetch(order).values()} == {8 * order.words}


def test_a_changed_chunk_is_never_made_again(driver: Driver):
    _, order, keys = opened_pass(driver)
    driver.compute(order, driver.ready(order, keys))
    driver.fetch(order)
    node = driver.lines["FI"].agent.node
    path = next((driver.federation.site("FI").folder / "state" / "spool").iterdir())
    path.write_bytes(b"\x00" * path.stat().st_size)

    with pytest.raises(Failed, match="must be abandoned") as caught:
        node.spool.check(order.pass_id)

    assert caught.value.code == "SPOOL_DAMAGED"


def test_a_cut_off_tail_is_removed_and_the_chunk_made_again(driver: Driver):
    _, order, keys = opened_pass(driver)
    readies = driver.ready(order, keys)
    path = driver.federation.site("FI").folder / "state" / "spool" / f"{order.pass_id}.words"
    path.write_bytes(b"\x17" * 77)

    driver.compute(order, readies)

    assert len(driver.fetch(order)["FI"]) == 8 * order.words
    driver.lines["FI"].agent.node.spool.check(order.pass_id)


def test_an_error_nobody_expected_says_nothing_but_an_incident(driver: Driver, monkeypatch: pytest.MonkeyPatch):
    def broken(*_args) -> None:
        raise ValueError("person FI7 has 3.25 in /data/secret.tsv")

    monkeypatch.setattr("node_agent.runs.check_plan", broken)

    with pytest.raises(Failed, match="not expected") as caught:
        driver.propose(driver.plan())

    assert caught.value.code == "INTERNAL"
    assert caught.value.incident in caught.value.message
    assert "FI7" not in str(caught.value)
    assert "secret" not in str(caught.value)
