"""A key holder whose ledger was put back from a backup has forgotten what it opened, and is noticed by who remembers.

Masks are off in these tests: with masks, what it opens a second time is noise.
"""

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from fedstats.coordinator.key_holder import KeyHolder
from fedstats.coordinator.key_holder_ledger import KEPT_IN, SeenLedger
from fedstats.coordinator.nodes import Nodes
from fedstats.errors import Failed, ProtocolRefused
from fedstats.identity.keys import Identity, generate_identity, load_identity
from fedstats.identity.signing import Signed, sign
from fedstats.ledger import verified, verify
from fedstats.transport.in_process import Handler, InProcessTransport
from fedstats.transport.patient import PatientTransport
from fedstats.wire.ledger_place import LedgerOrder, LedgerPlace
from fedstats.wire.messages import DescribeOrder, SignedText
from fedstats.wire.signed_text import from_text, to_text
from key_holder.agent import Agent
from key_holder.cli import app
from key_holder.config import read_settings
from key_holder.holder import accept_own_ledger, open_holder
from key_holder.records import check_openings
from tests.key_holder.vault import BLOCKS, NODES, RUN, Vault, make_vault, order_for, product_of, sums, words_of_nodes

POLICY = 'coordinators = ["desk", "other"]\nallow_unmasked = true\nreason = "a test"\n'
WORDS = words_of_nodes()


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return make_vault(tmp_path / "VAULT", policy=POLICY)


@contextmanager
def agent_of(vault: Vault) -> Iterator[Agent]:
    holder = open_holder(read_settings(vault.config))
    try:
        yield Agent(holder)
    finally:
        holder.close()


def talk_with(vault: Vault, handler: Handler, coordinator: Identity | None = None) -> Nodes:
    transport = PatientTransport(InProcessTransport({"VAULT": handler}), wait_seconds=0)
    return Nodes(transport, coordinator or vault.coordinator, {"VAULT": vault.card.identity})


def seen_in(vault: Vault, folder: Path) -> SeenLedger:
    folder.mkdir(exist_ok=True)
    return SeenLedger(folder / KEPT_IN, "test", "VAULT", vault.card.identity)


def key_holder_seen_from(vault: Vault, agent: Agent, folder: Path, coordinator: Identity | None = None) -> KeyHolder:
    """The key holder as a coordinator speaks with it that keeps what it saw in a folder."""
    talk = talk_with(vault, agent, coordinator)
    return KeyHolder("VAULT", vault.card.paillier_modulus, talk, talk, seen_in(vault, folder))


def opened(vault: Vault, holder: KeyHolder, nodes: int = len(NODES), call: int = 0, run: str = RUN) -> np.ndarray:
    """Sums over the first so many nodes, as the key holder opens them."""
    product = product_of(vault.public, WORDS[:nodes])
    order = order_for(vault, product, call=call, nodes=NODES[:nodes], masked=False)
    return np.frombuffer(holder.open(replace(order, run=run), product), "<u8")


def back_up(vault: Vault) -> None:
    shutil.copytree(vault.folder / "state", vault.folder / "backup")


def put_back(vault: Vault) -> None:
    shutil.rmtree(vault.folder / "state")
    shutil.copytree(vault.folder / "backup", vault.folder / "state")


def opened_then_put_back(vault: Vault, folder: Path) -> np.ndarray:
    """A run's total, by a coordinator that keeps what it saw in a folder; the key holder then forgets the run."""
    back_up(vault)
    with agent_of(vault) as agent:
        total = opened(vault, key_holder_seen_from(vault, agent, folder))
    put_back(vault)
    return total


def last_refusal(vault: Vault) -> str:
    entry = verify(vault.ledger)[-1]
    assert entry.kind == "refused"
    return str(json.loads(entry.body)["code"])


# The attack


def test_a_forgotten_run_is_opened_again_without_a_node_which_shows_it_where_nobody_remembers(
    vault: Vault, tmp_path: Path
):
    total = opened_then_put_back(vault, tmp_path / "desk")

    with agent_of(vault) as agent:
        smaller = opened(vault, key_holder_seen_from(vault, agent, tmp_path / "forgetful"), nodes=3)

    kept = np.uint64(2) ** np.concatenate(BLOCKS).astype(np.uint64) - np.uint64(1)
    np.testing.assert_array_equal((total - smaller) & kept, WORDS[3] & kept)


def test_a_ledger_that_is_whole_refuses_the_run_without_a_node(vault: Vault, tmp_path: Path):
    with agent_of(vault) as agent:
        holder = key_holder_seen_from(vault, agent, tmp_path / "desk")
        opened(vault, holder)

        with pytest.raises(ProtocolRefused) as caught:
            opened(vault, holder, nodes=3, call=1)

    assert caught.value.code == "OTHER_NODES"


def test_a_coordinator_that_remembers_is_refused_and_nothing_is_opened(vault: Vault, tmp_path: Path):
    opened_then_put_back(vault, tmp_path / "desk")

    with agent_of(vault) as agent, pytest.raises(ProtocolRefused, match="older than one that it has shown") as caught:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"), nodes=3)

    assert caught.value.code == "STALE_LEDGER"
    assert "fedstats-keyholder accept-ledger" in caught.value.hint
    assert last_refusal(vault) == "STALE_LEDGER"
    assert {entry.kind for entry in verify(vault.ledger)} == {"newer_ledger_shown", "refused"}


def test_one_who_remembers_shuts_it_for_everybody_also_when_it_is_started_again(vault: Vault, tmp_path: Path):
    opened_then_put_back(vault, tmp_path / "desk")
    with agent_of(vault) as agent, pytest.raises(ProtocolRefused):
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    with agent_of(vault) as agent:
        talk = talk_with(vault, agent, vault.other)
        product = product_of(vault.public, WORDS)
        order = talk.signed(order_for(vault, product, masked=False))
        with pytest.raises(ProtocolRefused) as shown_nothing:
            opened(vault, key_holder_seen_from(vault, agent, tmp_path / "other", vault.other))
        with pytest.raises(ProtocolRefused) as asked_straight:
            talk.transport.put("VAULT", order, product)

    assert (shown_nothing.value.code, asked_straight.value.code) == ("STALE_LEDGER", "STALE_LEDGER")
    assert "ordered" not in {entry.kind for entry in verify(vault.ledger)}


def test_it_stays_shut_also_for_one_who_was_shown_nothing_that_is_lost(vault: Vault, tmp_path: Path):
    with agent_of(vault) as agent:
        seen_in(vault, tmp_path / "other").show(talk_with(vault, agent, vault.other))
    opened_then_put_back(vault, tmp_path / "desk")

    with agent_of(vault) as agent:
        seen_in(vault, tmp_path / "other").show(talk_with(vault, agent, vault.other))
        with pytest.raises(ProtocolRefused):
            seen_in(vault, tmp_path / "desk").show(talk_with(vault, agent))
        with pytest.raises(ProtocolRefused) as caught:
            seen_in(vault, tmp_path / "other").show(talk_with(vault, agent, vault.other))

    assert caught.value.code == "STALE_LEDGER"


def test_a_forgotten_ledger_that_has_grown_beyond_the_place_is_noticed(vault: Vault, tmp_path: Path):
    opened_then_put_back(vault, tmp_path / "desk")
    with agent_of(vault) as agent:
        holder = key_holder_seen_from(vault, agent, tmp_path / "forgetful")
        for call in range(3):
            opened(vault, holder, call=call)

    with agent_of(vault) as agent, pytest.raises(ProtocolRefused) as caught:
        seen_in(vault, tmp_path / "desk").show(talk_with(vault, agent))

    assert caught.value.code == "STALE_LEDGER"


# What is kept, and shown again


def test_the_place_that_is_kept_lies_after_what_was_opened(vault: Vault, tmp_path: Path):
    with agent_of(vault) as agent:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    with verified(vault.ledger) as chain:
        check_openings(vault.ledger, chain)
        entries = list(chain)
    assert [entry.kind for entry in entries] == ["ordered", "opened"]
    assert place_in(tmp_path / "desk") == LedgerPlace(0, 2, entries[-1].hash)


def place_in(folder: Path) -> LedgerPlace:
    kept = from_text(SignedText(**json.loads((folder / KEPT_IN).read_bytes())))
    return LedgerPlace(**json.loads(kept.body))


def test_an_older_place_does_not_take_the_place_of_a_newer_one(vault: Vault, tmp_path: Path):
    seen = seen_in(vault, tmp_path / "desk")
    with agent_of(vault) as agent:
        older = talk_with(vault, agent).ask_signed("VAULT", "Describe", LedgerOrder("test", None))
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))
        newer = place_in(tmp_path / "desk")

        seen._keep(LedgerPlace(**json.loads(older.body)), to_text(older))

    assert place_in(tmp_path / "desk") == newer


def test_what_another_key_holder_signed_is_not_shown(vault: Vault, tmp_path: Path):
    place = LedgerPlace(0, 9, "ab" * 32)
    (tmp_path / "desk").mkdir()
    signed = to_text(sign(generate_identity(), "LedgerPlace", place))
    (tmp_path / "desk" / KEPT_IN).write_text(json.dumps(vars(signed)))

    with agent_of(vault) as agent:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    assert place_in(tmp_path / "desk").count == 2


def test_a_place_that_the_key_holder_never_signed_is_refused_and_shuts_nothing(vault: Vault, tmp_path: Path):
    place = LedgerPlace(0, 9, "ab" * 32)
    forged = replace(sign(generate_identity(), "LedgerPlace", place), signer=vault.card.identity)
    with agent_of(vault) as agent:
        with pytest.raises(ProtocolRefused) as caught:
            talk_with(vault, agent).ask_signed("VAULT", "Describe", LedgerOrder("test", to_text(forged)))
        last = last_refusal(vault)

        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    assert (caught.value.code, last) == ("BAD_SIGNATURE", "BAD_SIGNATURE")


class Rewound:
    """A key holder that does not look at what it is shown, and says that its ledger is empty."""

    def __init__(self, identity: Identity) -> None:
        self.identity = identity

    def call(self, method: str, order: Signed) -> Signed:
        return sign(self.identity, "LedgerPlace", LedgerPlace(0, 0, "0" * 64))

    def put(self, order: Signed, data: bytes) -> Signed:
        raise AssertionError("nothing may be sent to it")

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterator[bytes]]:
        raise AssertionError("nothing may be asked of it")


def test_a_coordinator_refuses_an_older_ledger_by_itself(vault: Vault, tmp_path: Path):
    with agent_of(vault) as agent:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))
    rewound = Rewound(load_identity(vault.folder / "state" / "identity.key"))

    with pytest.raises(ProtocolRefused, match="nothing was sent to be opened") as caught:
        opened(vault, key_holder_seen_from(vault, rewound, tmp_path / "desk"), call=1)  # type: ignore[arg-type]

    assert caught.value.code == "STALE_LEDGER"


def test_coordinators_that_keep_nothing_are_answered_as_before(vault: Vault):
    with agent_of(vault) as agent:
        talk = talk_with(vault, agent)
        said = talk.ask_signed("VAULT", "Describe", DescribeOrder("test", "", "nonce"))
        product = product_of(vault.public, WORDS)
        accepted = talk.transport.put("VAULT", talk.signed(order_for(vault, product)), product)

    assert (said.kind, accepted.kind) == ("KeyHolderCatalogue", "Accepted")


# Going on


def test_the_custodian_can_go_on_with_the_older_ledger(vault: Vault, tmp_path: Path):
    total = opened_then_put_back(vault, tmp_path / "desk")
    with agent_of(vault) as agent, pytest.raises(ProtocolRefused):
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    done = CliRunner().invoke(app, ["accept-ledger", "--config", str(vault.config)])

    assert done.exit_code == 0
    assert "as generation 1" in done.output
    with agent_of(vault) as agent:
        np.testing.assert_array_equal(opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk")), total)
    assert place_in(tmp_path / "desk").generation == 1
    assert sums(WORDS).tolist() == total.tolist()


def test_a_ledger_from_before_it_was_accepted_is_older_again(vault: Vault, tmp_path: Path):
    opened_then_put_back(vault, tmp_path / "desk")
    accept_own_ledger(read_settings(vault.config))
    with agent_of(vault) as agent:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))
    put_back(vault)

    with agent_of(vault) as agent, pytest.raises(ProtocolRefused) as caught:
        opened(vault, key_holder_seen_from(vault, agent, tmp_path / "desk"))

    assert caught.value.code == "STALE_LEDGER"
    # A generation of its own, not the first once more: or else the lost one's places would be taken for this one's.
    assert accept_own_ledger(read_settings(vault.config)) == 2


def test_a_ledger_is_accepted_only_while_the_key_holder_is_stopped(vault: Vault):
    with agent_of(vault), pytest.raises(Failed, match="another agent runs with this state folder; stop it first"):
        accept_own_ledger(read_settings(vault.config))
