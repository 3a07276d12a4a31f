"""Totals that steer a run go back to its nodes, which certify them before they answer anything that rests on them.

After such a pass is opened each node gets the total that the coordinator found and gives its scalar for it (step K);
the scalars of all go to all with the receipt. Only then does the run go on: the next pass would be refused.
See `fedstats.privacy.certify`.
"""

from typing import Any

import numpy as np

from fedstats.arrays import Ring
from fedstats.coordinator.checkpoint import PassFolder
from fedstats.coordinator.durable import sha256_of
from fedstats.coordinator.nodes import blob_of
from fedstats.coordinator.parallel import from_all
from fedstats.coordinator.passes import KeptMessages, Messages
from fedstats.coordinator.run import Run
from fedstats.coordinator.splitting import PassWork
from fedstats.documents import decode, encode
from fedstats.privacy.certify import claimed
from fedstats.wire.messages import Accepted, CertifyOrder, ReceiptOrder, pass_id
from fedstats.wire.passes import CHECK_WORDS
from fedstats.wire.signed_text import from_text, to_text


def certify_total(run: Run, folder: PassFolder, work: PassWork[Any, Any], words: Ring) -> None:
    """Have every node certify the total of a pass, which ends the pass there.

    Parameters
    ----------
    run, folder, work
        The pass.
    words
        Its opened total, check words included.

    Raises
    ------
    NodeLost
        A node stays away: nothing that rests on the total would be answered without it.
    ProtocolRefused
        Code NOT_THE_TOTAL: the words of some node are not those that it had uploaded.
    """
    claim = blob_of(run.plan.run, "total", claim_of(work, words))
    total = claim.order.sha256
    identity = pass_id(run.plan.run, folder.place.scope, folder.place.call, folder.attempt)
    scalars = _scalars(run, folder, CertifyOrder(run.plan.run, identity, total))
    texts = {node: to_text(signed) for node, signed in scalars.items()}

    def tell(node: str) -> None:
        uploaded = sha256_of(folder.words_file(node))
        order = ReceiptOrder(run.plan.run, identity, uploaded, total, texts)
        run.nodes.opened(node, run.nodes.put_and_ask(node, claim, order), Accepted)

    run.go_on()
    from_all(run.names, tell)
    run.crash("after:receipt")
    run.aside.do(folder.remove)


def claim_of(work: PassWork[Any, Any], words: Ring) -> bytes:
    """The words of a total without check words, as they are claimed."""
    last = np.cumsum([ask.words for ask in work.asks])
    parts = [words[end - ask.words : end - CHECK_WORDS] for end, ask in zip(last, work.asks, strict=True)]
    return claimed(np.concatenate(parts))


def _scalars(run: Run, folder: PassFolder, order: CertifyOrder) -> Messages:
    """Every node's scalar for the claim: those that were kept, or else their answers, kept."""
    body = folder.messages("K")
    if body is not None:
        return {name: from_text(text) for name, text in decode(KeptMessages, body).by_node.items()}
    run.go_on()
    run.crash("before:K")
    # A node answers to the digest; the words come with the receipt.
    scalars = from_all(run.names, lambda node: run.nodes.ask_signed(node, "Certify", order))
    texts = {node: to_text(signed) for node, signed in scalars.items()}
    folder.keep_messages("K", encode(KeptMessages(texts)), synced=False)
    run.crash("after:K")
    return scalars
