"""A key holder in this process: a product up, the sums of its lanes down, once and the same again."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from fedstats.errors import FedstatsError
from fedstats.ledger import verified, verify
from fedstats.transport.in_process import InProcessTransport
from fedstats.transport.patient import PatientTransport
from fedstats.wire.messages import DescribeOrder, FetchOrder
from key_holder.agent import Agent
from key_holder.config import read_settings
from key_holder.finishing import KEPT, end_forgotten
from key_holder.holder import open_holder
from key_holder.records import check_openings
from tests.key_holder.line import Line
from tests.key_holder.vault import NODES, RUN, Vault, make_vault, order_for, product_of, sums, words_of_nodes


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return make_vault(tmp_path / "VAULT")


@pytest.fixture
def agent(vault: Vault) -> Iterator[Agent]:
    holder = open_holder(read_settings(vault.config))
    yield Agent(holder)
    holder.close()


@pytest.fixture
def line(vault: Vault, agent: Agent) -> Line:
    transport = PatientTransport(InProcessTransport({"VAULT": agent}), wait_seconds=0)
    return Line(transport, "VAULT", vault.card.identity, vault.coordinator)


def kinds(vault: Vault) -> list[str]:
    with verified(vault.ledger) as chain:
        check_openings(vault.ledger, chain)
        entries = list(chain)
    return [entry.kind for entry in entries]


def test_opened_words_are_the_sums_of_all_nodes_modulo_two_to_their_widths(vault: Vault, line: Line):
    words = words_of_nodes()
    product = product_of(vault.public, words)

    opened = line.open(order_for(vault, product), product)

    np.testing.assert_array_equal(opened, sums(words))
    assert opened.dtype == np.uint64


def test_the_ledger_says_for_whom_what_was_opened_and_holds_no_value(vault: Vault, line: Line):
    words = words_of_nodes()
    product = product_of(vault.public, words)
    order = order_for(vault, product)

    opened = line.open(order, product)

    entries = verify(vault.ledger)
    assert [entry.kind for entry in entries] == ["ordered", "opened"]
    body = json.loads(entries[0].body)
    assert (body["run"], body["coordinator"], body["nodes"]) == (RUN, "desk", ",".join(sorted(NODES)))
    assert (body["masked"], body["product"], body["plan"]) == ("yes", order.sha256, order.plan)
    assert [str(word) for word in opened if str(word) in "".join(entry.body for entry in entries) and word > 9999] == []


def test_the_same_order_again_gives_the_stored_words_and_decrypts_nothing(
    vault: Vault, line: Line, agent: Agent, monkeypatch: pytest.MonkeyPatch
):
    product = product_of(vault.public, words_of_nodes())
    first = line.open(order_for(vault, product), product)
    decrypted: list[object] = []
    monkeypatch.setattr(type(agent.holder.decrypt), "__call__", lambda *_: decrypted.append(1) or iter(()))

    again = line.open(order_for(vault, product), product)

    np.testing.assert_array_equal(again, first)
    assert decrypted == []
    assert kinds(vault) == ["ordered", "opened"]


def test_a_finished_run_leaves_no_words_on_disk_and_the_same_product_opens_to_the_same(vault: Vault, line: Line):
    words = words_of_nodes()
    product = product_of(vault.public, words)
    line.open(order_for(vault, product), product)

    line.finish(RUN)

    state = vault.folder / "state"
    assert [*(state / "products").iterdir(), *(state / "words").iterdir()] == []
    np.testing.assert_array_equal(line.open(order_for(vault, product), product), sums(words))
    assert kinds(vault) == ["ordered", "opened", "finished", "ordered", "opened"]


def test_words_that_are_fetched_after_their_run_is_finished_are_gone(vault: Vault, line: Line):
    product = product_of(vault.public, words_of_nodes())
    order = order_for(vault, product)
    line.open(order, product)
    line.finish(RUN)

    def at(offset: int):
        return "Fetch", line.signed(FetchOrder(order.run, order.pass_id, offset))

    with pytest.raises(FedstatsError, match="no longer kept") as caught:
        list(line.transport.fetch("VAULT", at, 8 * order.words))

    assert caught.value.code == "GONE"
    assert kinds(vault)[-1] == "refused"


def test_words_that_were_changed_on_disk_are_not_given_out(vault: Vault, line: Line, agent: Agent):
    product = product_of(vault.public, words_of_nodes())
    order = order_for(vault, product)
    line.open(order, product)
    path = agent.holder.words.path(order.pass_id)
    path.write_bytes(bytes(8 * order.words))

    with pytest.raises(FedstatsError, match="changed or are gone") as caught:
        line.open(order, product)

    assert caught.value.code == "DAMAGED_WORDS"


def test_what_is_stored_is_for_the_owner_alone(vault: Vault, line: Line):
    product = product_of(vault.public, words_of_nodes())
    line.open(order_for(vault, product), product)

    state = vault.folder / "state"
    assert {path.stat().st_mode & 0o777 for path in state.rglob("*") if path.is_file() and path.suffix != ".crt"} == {
        0o600
    }


def test_describe_says_the_modulus_and_the_policy(vault: Vault, line: Line):
    found = line.describe(DescribeOrder("test", "", "nonce"))

    assert (found.key_holder, found.nonce, found.modulus) == ("VAULT", "nonce", vault.card.paillier_modulus)
    assert found.policy["min_nodes"] == "3"
    assert found.policy["allow_unmasked"] == "false"


def test_one_run_may_have_many_passes(vault: Vault, line: Line):
    several = [words_of_nodes(seed) for seed in range(3)]

    for call, words in enumerate(several):
        product = product_of(vault.public, words)
        np.testing.assert_array_equal(line.open(order_for(vault, product, call=call), product), sums(words))

    assert kinds(vault) == ["ordered", "opened"] * 3


def test_a_pass_that_was_ordered_and_not_opened_is_opened_at_the_next_start(
    vault: Vault, monkeypatch: pytest.MonkeyPatch
):
    words = words_of_nodes()
    product = product_of(vault.public, words)
    order = order_for(vault, product)
    holder = open_holder(read_settings(vault.config))
    monkeypatch.setattr("key_holder.opening.begin", lambda *_: None)
    transport = PatientTransport(InProcessTransport({"VAULT": Agent(holder)}), wait_seconds=0)
    line = Line(transport, "VAULT", vault.card.identity, vault.coordinator)
    line.accepted(transport.put("VAULT", line.signed(order), product))
    holder.close()
    monkeypatch.undo()
    assert kinds(vault) == ["ordered"]

    holder = open_holder(read_settings(vault.config))
    agent = Agent(holder)
    agent.resume()
    again = Line(
        PatientTransport(InProcessTransport({"VAULT": agent}), wait_seconds=0),
        "VAULT",
        vault.card.identity,
        vault.coordinator,
    )
    opened = again.open(order, product)
    holder.close()

    np.testing.assert_array_equal(opened, sums(words))
    assert kinds(vault) == ["ordered", "opened"]


@pytest.mark.parametrize(("days", "kept"), [(-1, True), (1, False)])
def test_a_run_that_nobody_finished_is_forgotten_after_thirty_quiet_days(
    vault: Vault, agent: Agent, line: Line, days: int, kept: bool
):
    words = words_of_nodes()
    product = product_of(vault.public, words)
    order = order_for(vault, product)
    line.open(order, product)

    end_forgotten(agent.holder, datetime.now(UTC) + KEPT + timedelta(days=days))

    assert bool([*agent.holder.words.folder.iterdir()]) is kept
    assert kinds(vault) == ["ordered", "opened", *([] if kept else ["forgotten"])]
    # What was opened stays known: the same product gives the same words, another one is refused.
    np.testing.assert_array_equal(line.open(order, product), sums(words))


def test_a_run_counts_from_the_day_on_which_it_was_first_missed(vault: Vault, agent: Agent, line: Line):
    """A ledger of before has no days of its runs."""
    words = words_of_nodes()
    product = product_of(vault.public, words)
    line.open(order_for(vault, product), product)
    agent.holder.ledger.write("DELETE FROM run_activity")
    later = datetime.now(UTC) + 2 * KEPT

    end_forgotten(agent.holder, later)
    assert kinds(vault) == ["ordered", "opened"]
    end_forgotten(agent.holder, later + KEPT + timedelta(days=1))
    assert kinds(vault) == ["ordered", "opened", "forgotten"]
