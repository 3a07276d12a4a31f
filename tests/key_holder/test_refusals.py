"""What a key holder refuses: nothing is decrypted, nothing is stored, and the ledger holds the refusal."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from fedstats.errors import FedstatsError, Refused
from fedstats.identity.keys import Identity, generate_identity, load_identity
from fedstats.identity.signing import Signed, sign
from fedstats.ledger import verify
from fedstats.privacy.paillier_keys import load_key
from fedstats.wire.key_holder_messages import AlikeBlocks, DecryptOrder
from fedstats.wire.messages import DescribeOrder, FetchOrder, FinishOrder
from key_holder.agent import Agent
from key_holder.config import read_settings
from key_holder.holder import open_holder
from tests.key_holder.vault import (
    BLOCKS,
    NODES,
    RUN,
    Vault,
    make_vault,
    order_for,
    product_of,
    sums,
    words_of_nodes,
)

BOTH = 'coordinators = ["desk", "other"]\n'


@dataclass
class Desk:
    """A key holder in this process whose decryptions are counted, and a product for it."""

    vault: Vault
    agent: Agent
    product: bytes
    batches: list[bytes]

    def order(self, **changes: object) -> DecryptOrder:
        return order_for(self.vault, self.product, **changes)

    def put(self, order: DecryptOrder, product: bytes | None = None, *, signer: Identity | None = None) -> Signed:
        """As the service does: the announcement is checked before bytes are taken in."""
        signed = sign(signer or self.vault.coordinator, "DecryptOrder", order)
        self.agent.announced(signed)
        return self.agent.put(signed, self.product if product is None else product)

    def words(self, order: DecryptOrder, *, signer: Identity | None = None) -> np.ndarray:
        ask = sign(signer or self.vault.coordinator, "FetchOrder", FetchOrder(order.run, order.pass_id, 0))
        return np.frombuffer(b"".join(self.agent.fetch("Fetch", ask)[1]), "<u8")

    def refused(self, code: str, *, entries: int = 1) -> None:
        """See that the last entry is this refusal, and that nothing else happened."""
        found = verify(self.vault.ledger)
        assert [entry.kind for entry in found][-1] == "refused"
        assert json.loads(found[-1].body)["code"] == code
        assert len(found) == entries
        if entries == 1:
            assert self.batches == []
            assert list((self.vault.folder / "state" / "products").iterdir()) == []
            assert self.agent.holder.records.run(RUN) is None


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Desk]]:
    opened: list[Agent] = []

    def make(policy: str = BOTH) -> Desk:
        vault = make_vault(tmp_path / "VAULT", policy=policy)
        agent = Agent(open_holder(read_settings(vault.config)))
        opened.append(agent)
        batches: list[bytes] = []
        kind = type(agent.holder.decrypt)
        whole = kind.__call__

        def counted(self: object, asked: Iterator[bytes]) -> Iterator[bytes]:
            listed = list(asked)
            batches.extend(listed)
            return whole(self, listed)

        monkeypatch.setattr(kind, "__call__", counted)
        return Desk(vault, agent, product_of(vault.public, words_of_nodes()), batches)

    yield make
    for agent in opened:
        agent.holder.close()


def test_counting_decryptions_counts_those_of_a_good_order(desk: Callable[..., Desk]):
    one = desk()

    one.put(one.order())
    one.words(one.order())

    assert b"".join(one.batches) == one.product


# Who asks


def test_a_stranger_is_refused(desk: Callable[..., Desk]):
    one = desk()

    with pytest.raises(Refused, match="may not ask here"):
        one.put(one.order(), signer=generate_identity())

    one.refused("WRONG_SIGNER")


def test_a_coordinator_of_the_roster_that_the_policy_does_not_name_is_refused(desk: Callable[..., Desk]):
    one = desk('coordinators = ["desk"]\n')

    with pytest.raises(Refused, match="may not ask here"):
        one.put(one.order(), signer=one.vault.other)

    one.refused("WRONG_SIGNER")


def test_a_changed_order_is_refused(desk: Callable[..., Desk]):
    one = desk()
    signed = sign(one.vault.coordinator, "DecryptOrder", one.order(masked=False))
    altered = replace(signed, body=signed.body.replace(b'"masked":false', b'"masked":true'))

    with pytest.raises(Refused, match="signature"):
        one.agent.announced(altered)

    one.refused("BAD_SIGNATURE")


def test_another_federation_is_told_nothing(desk: Callable[..., Desk]):
    one = desk()

    with pytest.raises(Refused, match="belongs to the federation"):
        one.agent.call("Describe", sign(one.vault.coordinator, "DescribeOrder", DescribeOrder("else", "", "n")))

    one.refused("WRONG_FEDERATION")


# What is asked


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"roster": "00" * 32}, "WRONG_ROSTER", "another roster"),
        ({"nodes": ("EE", "FI", "XX")}, "WRONG_ROSTER", "XX is not in the roster"),
        ({"nodes": ("EE", "FI", "EE")}, "MALFORMED", "names a node twice"),
        ({"nodes": ("EE", "FI")}, "POLICY_MIN_NODES", "2 nodes is of fewer than 3"),
        ({"nodes": ()}, "POLICY_MIN_NODES", "0 nodes is of fewer than 3"),
        ({"masked": False}, "POLICY_ALLOW_UNMASKED", "words without masks are not allowed"),
        ({"length": (1 << 28) + 1}, "POLICY_MAX_BYTES", "is larger than 268435456"),
        ({"words": 1}, "MALFORMED", "not one of so many words"),
        ({"words": 0}, "MALFORMED", "for nothing"),
        ({"length": 128}, "MALFORMED", "is ordered where the layout has"),
        ({"pass_id": "../../../state/paillier.key"}, "MALFORMED", "not named by a SHA-256"),
        ({"run": ""}, "MALFORMED", "empty or too long"),
        ({"run": "x" * 65}, "MALFORMED", "empty or too long"),
        ({"layout": (), "words": 31}, "MALFORMED", "not one of so many words"),
        ({"layout": (AlikeBlocks(((65, 31),), 1),)}, "MALFORMED", "out of range"),
        ({"layout": (AlikeBlocks(((64, -1), (64, 32)), 1),)}, "MALFORMED", "not one of so many words"),
        ({"layout": (AlikeBlocks(((64, 10**15),), 1),), "words": 10**15}, "MALFORMED", "does not fit its product"),
        ({"layout": (AlikeBlocks(((64, 1),), 10**15),), "words": 10**15}, "MALFORMED", "does not fit its product"),
    ],
)
def test_an_order_that_must_not_be_carried_out_is_refused_before_its_bytes(
    desk: Callable[..., Desk], changes: dict[str, object], code: str, message: str
):
    one = desk()

    with pytest.raises(Refused, match=message):
        one.agent.announced(sign(one.vault.coordinator, "DecryptOrder", one.order(**changes)))

    one.refused(code)


def test_a_floor_above_the_hard_one_holds(desk: Callable[..., Desk]):
    one = desk('coordinators = ["desk"]\nmin_nodes = 4\n')

    with pytest.raises(Refused, match="3 nodes is of fewer than 4"):
        one.put(one.order(nodes=NODES[:3]))

    one.refused("POLICY_MIN_NODES")


def test_words_without_masks_are_opened_where_the_policy_says_so_with_a_reason(desk: Callable[..., Desk]):
    one = desk('coordinators = ["desk"]\nallow_unmasked = true\nreason = "a pilot"\n')
    order = one.order(masked=False)

    one.put(order)

    np.testing.assert_array_equal(one.words(order), sums(words_of_nodes()))


# The product


def test_a_product_that_is_not_the_announced_one_is_refused(desk: Callable[..., Desk]):
    one = desk()

    with pytest.raises(Refused, match="not the announced one"):
        one.put(one.order(), one.product[:-1] + bytes([one.product[-1] ^ 1]))

    one.refused("DAMAGED_BLOB")


def test_a_product_that_is_shorter_than_announced_is_refused(desk: Callable[..., Desk]):
    one = desk()

    with pytest.raises(Refused, match="not the announced one"):
        one.put(one.order(), one.product[:-128])

    one.refused("DAMAGED_BLOB")


@pytest.mark.parametrize("which", ["zero", "the modulus squared", "a multiple of a prime", "a multiple of n"])
def test_a_number_that_is_no_ciphertext_is_refused_before_anything_is_decrypted(desk: Callable[..., Desk], which: str):
    one = desk()
    key = load_key(one.vault.folder / "state" / "paillier.key")
    n, size = key.public.n, key.public.ciphertext_bytes
    number = {"zero": 0, "the modulus squared": n * n, "a multiple of a prime": 7 * key.p, "a multiple of n": 3 * n}
    product = one.product[:-size] + number[which].to_bytes(size, "big")

    with pytest.raises(Refused):
        one.put(order_for(one.vault, product), product)

    one.refused("BAD_CIPHERTEXT")


# A second time


def test_a_pass_that_is_asked_again_with_other_bytes_is_refused_and_the_first_answer_stands(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    first = one.words(one.order())
    decrypted = len(one.batches)
    other = product_of(one.vault.public, words_of_nodes(1))

    with pytest.raises(Refused, match="the first answer stands"):
        one.put(order_for(one.vault, other), other)

    one.refused("CONFLICT", entries=3)
    assert len(one.batches) == decrypted
    np.testing.assert_array_equal(one.words(one.order()), first)


def test_a_pass_that_is_asked_again_with_other_bytes_is_refused_after_its_run_is_finished(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    one.words(one.order())
    one.agent.call("Finish", sign(one.vault.coordinator, "FinishOrder", FinishOrder(RUN)))
    other = product_of(one.vault.public, words_of_nodes(1))

    with pytest.raises(Refused, match="the first answer stands"):
        one.put(order_for(one.vault, other), other)

    one.refused("CONFLICT", entries=4)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"nodes": NODES[:3]}, "OTHER_NODES", "would show a node's own"),
        ({"nodes": ("EE", "FI", "NO")}, "OTHER_NODES", "would show a node's own"),
        ({"plan": "ee" * 32}, "OTHER_PLAN", "another plan"),
        ({"masked": False}, "OTHER_SETTING", "masks on, or off"),
    ],
)
def test_all_orders_of_a_run_have_one_plan_one_roster_and_one_setting(
    desk: Callable[..., Desk], changes: dict[str, object], code: str, message: str
):
    one = desk(BOTH + 'allow_unmasked = true\nreason = "a pilot"\n')
    one.put(one.order())
    one.words(one.order())
    decrypted = len(one.batches)

    with pytest.raises(Refused, match=message):
        one.put(one.order(call=1, **changes))

    one.refused(code, entries=3)
    assert len(one.batches) == decrypted


def test_a_node_more_than_before_is_refused_as_one_fewer_is(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order(nodes=NODES[:3]))
    one.words(one.order())

    with pytest.raises(Refused, match="would show a node's own"):
        one.put(one.order(call=1))

    one.refused("OTHER_NODES", entries=3)


def test_the_order_in_which_nodes_are_named_does_not_matter(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    again = one.order(call=1, nodes=tuple(reversed(NODES)))

    one.put(again)

    np.testing.assert_array_equal(one.words(again), sums(words_of_nodes()))


# Another coordinator's


def test_another_coordinator_gets_neither_words_nor_passes_of_a_run_nor_may_it_end_it(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    one.words(one.order())

    with pytest.raises(Refused, match="another coordinator ordered"):
        one.words(one.order(), signer=one.vault.other)
    with pytest.raises(Refused, match="another coordinator began"):
        one.put(one.order(call=1), signer=one.vault.other)
    with pytest.raises(Refused, match="another coordinator began"):
        one.agent.call("Finish", sign(one.vault.other, "FinishOrder", FinishOrder(RUN)))

    codes = [json.loads(entry.body)["code"] for entry in verify(one.vault.ledger) if entry.kind == "refused"]
    assert codes == ["WRONG_SIGNER"] * 3


def test_words_of_a_pass_that_was_not_ordered_are_refused(desk: Callable[..., Desk]):
    one = desk()

    with pytest.raises(Refused, match="not ordered here"):
        one.words(one.order())

    one.refused("UNKNOWN_PASS")


def test_a_pass_of_one_run_is_not_given_under_the_name_of_another(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    one.words(one.order())
    one.put(replace(one.order(call=1), run="ef" * 16))

    with pytest.raises(Refused, match="not ordered here"):
        one.words(replace(one.order(), run="ef" * 16))


def test_an_offset_beyond_the_words_is_refused(desk: Callable[..., Desk]):
    one = desk()
    one.put(one.order())
    order = one.order()
    ask = FetchOrder(order.run, order.pass_id, 8 * sum(map(len, BLOCKS)) + 1)

    with pytest.raises(FedstatsError, match="end at byte"):
        one.agent.fetch("Fetch", sign(one.vault.coordinator, "FetchOrder", ask))


def test_a_ledger_that_cannot_be_written_lets_nothing_out(desk: Callable[..., Desk]):
    one = desk()
    connection = one.agent.holder.ledger.connection
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.execute(f"PRAGMA max_page_count = {pages}")
    long = one.order(run="r" * 64, layout=_split_layout(one.order()))

    def until_it_is_full() -> None:
        for call in range(200):
            one.put(replace(long, pass_id=one.order(call=call).pass_id))

    with pytest.raises(FedstatsError) as caught:
        until_it_is_full()

    assert caught.value.code == "LEDGER_UNWRITABLE"
    ordered = [json.loads(entry.body)["pass"] for entry in verify(one.vault.ledger) if entry.kind == "ordered"]
    assert len(ordered) < 200


def _split_layout(order: DecryptOrder) -> tuple[AlikeBlocks, ...]:
    """The same words one run each, which makes a longer record."""
    return tuple(
        AlikeBlocks(tuple((width, 1) for width, count in alike.runs for _ in range(count)), alike.blocks)
        for alike in order.layout
    )


def test_the_identity_is_the_key_holders_own(desk: Callable[..., Desk]):
    one = desk()

    answer = one.put(one.order())

    assert answer.signer == load_identity(one.vault.folder / "state" / "identity.key").public_hex
