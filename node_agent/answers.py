"""One answer to one ask: stored before it leaves, given again with the same bytes, refused to any other content."""

import hashlib
from collections.abc import Callable
from typing import TypeVar

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.serving.orders import opened_order, request_digest
from node_agent.node import Node

D = TypeVar("D")


def opened(node: Node, signed: Signed, kind: type[D]) -> D:
    """The order of a message that a permitted coordinator signed: the one that began the run, where it has begun."""
    order = opened_order(signed, kind, node.keys.coordinators)
    run = getattr(order, "run", "")
    if run:
        node.runs.check_signer(run, signed.signer)
    return order


def coordinator_name(node: Node, signed: Signed) -> str:
    """Who signed, as the roster calls them."""
    return node.keys.coordinators[signed.signer].name


def stored_answer(node: Node, key: str, signed: Signed, *, any_order: bool = False) -> Signed | None:
    """What was answered to this very order, or to any with this key; None where nothing was.

    Raises
    ------
    ProtocolRefused
        Code CONFLICT: the key was used with another order.
    """
    stored = node.records.answer(key)
    if stored is None:
        return None
    if stored.request != request_digest(signed) and not any_order:
        raise ProtocolRefused(
            "this was asked before with other content; the first answer stands, and nothing new was sent.",
            code="CONFLICT",
        )
    return stored.answer


def answer_once(
    node: Node, key: str, signed: Signed, make: Callable[[], Signed], step: str = "", *, any_order: bool = False
) -> Signed:
    """The stored answer to an order, or a new one that is durable before it is returned.

    `key` is what may be answered once: the kind of the ask and its run or pass. `make` checks the order, writes its
    records and gives the answer, all in one transaction. `step` is the protocol's letter, for the crash points.
    `any_order` says that orders of this key ask nothing else than their key does.
    """
    # Looked up within the transaction: of two calls with one key that come together only one gets here first.
    with node.ledger.transaction():
        stored = stored_answer(node, key, signed, any_order=any_order)
        if stored is not None:
            return stored
        node.crash(f"before:{step}")
        answer = make()
        request = request_digest(signed)
        node.records.keep_answer(key, request, answer)
        answered = hashlib.sha256(answer.body).hexdigest()
        node.ledger.append("answered", {"key": key, "order": signed.kind, "request": request, "answer": answered})
    node.crash(f"after:{step}")
    return answer
