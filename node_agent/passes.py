"""A pass at this node: S R M C U, each answered once; K where its total steers; then a receipt, or it is abandoned.

Every step checks its order, writes secrets, then state and answer in one transaction, and only then answers.
A restart at any point goes on where the ledger stands (see `pass_work` for what is computed).
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from fedstats.documents import decode
from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.lean_process import give_back_memory
from fedstats.privacy.masking_node import (
    begin_pass,
    check_all_ready,
    release_seed_shares,
)
from fedstats.privacy.messages import PassKeys
from fedstats.privacy.pass_state import PassEvent, PassState, advance
from fedstats.serving.orders import request_digest
from fedstats.wire.messages import (
    AbandonOrder,
    Accepted,
    CertifyOrder,
    CommitOrder,
    ComputeOrder,
    PassOrder,
    ReadyOrder,
    ReceiptOrder,
    SignedText,
    UnmaskOrder,
)
from fedstats.wire.passes import members, pass_context
from node_agent.answers import answer_once, opened
from node_agent.certifying import keep_certified, signed_scalar
from node_agent.charging import charge_pass
from node_agent.completing import complete
from node_agent.locks import check_lock, let_out, take_lock
from node_agent.node import Node
from node_agent.pass_orders import ThisPass, check_order, this_pass
from node_agent.pass_secrets import agree, agreed, channels, forget
from node_agent.pass_states import masked_pass, refuse_if_abandoned, state_of
from node_agent.pass_work import words_from
from node_agent.records import PassRecord
from node_agent.secret_files import pass_secret
from node_agent.signed_texts import from_texts

#: A pass that sent less leaves too little behind for the time that it takes to give it back.
_LARGE_BYTES = 1 << 20
#: What was freed after a pass and may stay for the next, in bytes: to get it again costs as much as to mask its words.
_MAY_STAY_FREE = 48 << 20


def open_pass(node: Node, signed: Signed) -> Signed:
    """S: fresh keys for a pass that plan and policy allow; without masks, that it is open."""
    order = opened(node, signed, PassOrder)

    def make() -> Signed:
        node.runs.check_goes_on(order.run)
        asked = check_order(node, order)
        check_lock(node, asked.plan, asked.cohort, asked.domain)
        charge_pass(node, asked.plan, order, asked.read, asked.cohort)
        node.records.open_pass(order, asked.cohort, asked.domain)
        node.records.keep_data(order.pass_id, node.cohorts.dataset(asked.plan.dataset).fingerprint)
        node.runs.touch(order.run, datetime.now(UTC))
        if not asked.masked:
            return node.signed(Accepted(order.run, order.pass_id, node.name, PassState.KEYED))
        # The place in the ledger that peers will remember is one that this pass made.
        node.ledger.append("opened", {"run": order.run, "pass": order.pass_id})
        secret, answer = begin_pass(
            node.party,
            pass_context(asked.plan, order),
            channels(node, asked.plan),
            node.peers.statement(asked.plan.study.nodes),
        )
        node.secrets.save(pass_secret(order.pass_id), secret)
        return answer

    refuse_if_abandoned(node, order.pass_id)
    return answer_once(node, f"open|{order.pass_id}", signed, make, "S")


def ready(node: Node, signed: Signed) -> Signed:
    """R: the signature of the transcript that follows from every node's keys."""
    order = opened(node, signed, ReadyOrder)

    def make() -> Signed:
        one = masked_pass(node, order.run, order.pass_id)
        state = advance(state_of(node, one.record), PassEvent.READY)
        answer = agree(node, one, from_texts(order.keys, members(one.plan)))
        node.peers.check(order.run, ledger_heads(order.keys))
        node.records.set_state(order.pass_id, state)
        return answer

    refuse_if_abandoned(node, order.pass_id)
    return answer_once(node, f"ready|{order.pass_id}", signed, make, "R")


def ledger_heads(keys: Mapping[str, SignedText]) -> dict[str, str]:
    """What each node said of ledgers in its keys, which are verified."""
    return {node: decode(PassKeys, bytes.fromhex(text.body)).ledger_head for node, text in keys.items()}


def compute_pass(node: Node, signed: Signed) -> tuple[int, Iterator[bytes | Signed]]:
    """M: accept the work, once every node signed the same transcript, and hand its words out as they are computed.

    What is accepted goes on by itself, whether anybody waits for it or not.
    """
    order = opened(node, signed, ComputeOrder)

    def make() -> Signed:
        one = this_pass(node, order.run, order.pass_id)
        signatures = from_texts(order.signatures, members(one.plan))
        if not one.masked:
            advance_plain(one.record)
            take_lock(node, one.plan, one.record.cohort, one.record.domain)
            node.records.set_state(order.pass_id, PassState.READY)
        else:
            advance(one.record.state, PassEvent.UPLOAD)
            check_all_ready(agreed(node, one), signatures)
            let_out(node, one.plan, one.record.cohort, one.record.domain)
        node.records.accept(order.pass_id, signatures)
        return node.signed(Accepted(order.run, order.pass_id, node.name, "computing"))

    refuse_if_abandoned(node, order.pass_id)
    answer_once(node, f"compute|{order.pass_id}", signed, make, "M")
    return words_from(node, signed, order.run, order.pass_id, 0)


def advance_plain(record: PassRecord) -> None:
    """Refuse work on a pass without masks that is not open, or was done."""
    if record.state is not PassState.KEYED:
        raise ProtocolRefused(f"the pass is {record.state}; nothing was sent.", code="OUT_OF_ORDER")


def commit(node: Node, signed: Signed) -> Signed:
    """C by itself, where it did not come behind the words."""
    order = opened(node, signed, CommitOrder)
    return complete(node, signed, order.run, order.pass_id)


def unmask(node: Node, signed: Signed) -> Signed:
    """U: the shares of all nodes' self-mask seeds, given enough signatures that the pass is complete.

    From here on these people are answered with this roster and no other.
    """
    order = opened(node, signed, UnmaskOrder)

    def make() -> Signed:
        one = masked_pass(node, order.run, order.pass_id)
        state = advance(state_of(node, one.record), PassEvent.OPEN)
        take_lock(node, one.plan, one.record.cohort, one.record.domain)
        answer = release_seed_shares(node.party, agreed(node, one), from_texts(order.signatures, members(one.plan)))
        node.records.set_state(order.pass_id, state)
        return answer

    refuse_if_abandoned(node, order.pass_id)
    return answer_once(node, f"unmask|{order.pass_id}", signed, make, "U")


def certify(node: Node, signed: Signed) -> Signed:
    """K: this node's scalar for the total that the coordinator claims; the scalars of all come with the receipt."""
    order = opened(node, signed, CertifyOrder)

    def make() -> Signed:
        one = this_pass(node, order.run, order.pass_id)
        _refuse_unless_out(node, one, "the total of a pass was to be certified")
        # The scalars of all nodes say something of their total: these people count as answered.
        if one.record.state is not PassState.OPENED:
            take_lock(node, one.plan, one.record.cohort, one.record.domain)
        return signed_scalar(node, one, order)

    refuse_if_abandoned(node, order.pass_id)
    return answer_once(node, f"certify|{order.pass_id}", signed, make, "K")


def _refuse_unless_out(node: Node, one: ThisPass, what: str) -> None:
    if one.record.closed or state_of(node, one.record) in (PassState.KEYED, PassState.READY, PassState.ABANDONED):
        raise ProtocolRefused(f"{what} whose words are not out.", code="OUT_OF_ORDER")


def receipt(node: Node, signed: Signed) -> Signed:
    """The coordinator has the total: it is kept if it steers; words, secrets and asks of the pass are deleted."""
    order = opened(node, signed, ReceiptOrder)

    def make() -> Signed:
        one = this_pass(node, order.run, order.pass_id)
        _refuse_unless_out(node, one, "a receipt came for a pass")
        if node.spool.digest(order.pass_id) != order.sha256:
            raise ProtocolRefused("a receipt is for other words than this node's.", code="WRONG_RECEIPT")
        # A pass that enough others opened counts as answered here, too, even if C never came.
        if one.record.state is not PassState.OPENED:
            take_lock(node, one.plan, one.record.cohort, one.record.domain)
        if order.total:
            keep_certified(node, one, order)
        node.records.close_pass(order.pass_id)
        return node.signed(Accepted(order.run, order.pass_id, node.name, "closed"))

    answer = answer_once(node, f"receipt|{order.pass_id}", signed, make, "receipt")
    clear(node, order.pass_id)
    record = node.records.passed(order.pass_id)
    if record is not None and record.order.upload_bytes >= _LARGE_BYTES:
        give_back_memory(above=_MAY_STAY_FREE)
    return answer


def abandon(node: Node, signed: Signed) -> Signed:
    """Give a pass up that was never opened here; whatever is asked in it from now on is refused."""
    order = opened(node, signed, AbandonOrder)

    def make() -> Signed:
        record = node.records.passed(order.pass_id)
        if record is not None and record.state is not PassState.ABANDONED:
            advance(record.state, PassEvent.ABANDON)
            node.records.set_state(order.pass_id, PassState.ABANDONED)
        node.records.abandon_id(order.pass_id)
        node.ledger.append("abandoned", {"run": order.run, "pass": order.pass_id})
        return node.signed(Accepted(order.run, order.pass_id, node.name, PassState.ABANDONED))

    # Giving up twice, for whatever reason, is giving up.
    answer = answer_once(node, f"abandon|{order.pass_id}|{request_digest(signed)}", signed, make)
    clear(node, order.pass_id)
    return answer


def give_up(node: Node, record: PassRecord, why: str) -> None:
    """Abandon a pass from this side."""
    node.records.set_state(record.order.pass_id, advance(record.state, PassEvent.ABANDON))
    node.records.abandon_id(record.order.pass_id)
    node.ledger.append("abandoned", {"run": record.order.run, "pass": record.order.pass_id, "why": why})


def clear(node: Node, pass_id: str) -> None:
    """Delete words and secrets of a pass that is over; a crash before this is made good at the next start."""
    forget(node, pass_id)
    node.spool.delete(pass_id)
