"""Computing an accepted pass, handing its words out, and saying where it stands."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from itertools import accumulate

from fedstats.errors import FedstatsError, ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.privacy.conceal import Conceal
from fedstats.privacy.masking_node import masks_when_all_ready
from fedstats.privacy.messages import PassContext
from fedstats.privacy.pass_state import PassState
from fedstats.privacy.plain import Plain
from fedstats.serving.incidents import stopping
from fedstats.wire.messages import FetchOrder, PassStatus, StatusOrder
from fedstats.wire.passes import CHECK_WORDS, members, pass_context, plain_transcript, to_be_certified
from node_agent.answers import opened
from node_agent.completing import complete
from node_agent.egress import Job, not_noised, release
from node_agent.locks import check_lock, other_people
from node_agent.node import Node
from node_agent.noising import is_noised, noising
from node_agent.own_words import OwnWords
from node_agent.pass_orders import ThisPass, read_asks, this_pass
from node_agent.pass_secrets import agreed
from node_agent.permitted import permitted_step
from node_agent.policy import allows, authorise_privacy, refused
from node_agent.records import signed_from_text
from node_agent.secret_files import own_words
from node_agent.spool import Group

#: How long one wait for words lasts before the state is looked at again.
WAIT_SECONDS = 0.5


def compute(node: Node, pass_id: str) -> None:
    """Have a pass computed that was accepted and is not whole on disk."""
    record = node.records.passed(pass_id)
    if record is None or record.closed or not record.accepted or record.state is not PassState.READY:
        return
    if node.spool.ready_bytes(pass_id) < record.order.upload_bytes:
        node.workers.ensure(pass_id, partial(_work, node, record.order.run, pass_id))


def resume_all(node: Node) -> None:
    """After a start: go on with every pass that was accepted before."""
    for record in node.records.unfinished():
        compute(node, record.order.pass_id)


def _work(node: Node, run: str, pass_id: str) -> None:
    one = this_pass(node, run, pass_id)
    node.spool.check(pass_id)
    with _own_words(node, one) as own:
        _compute_into_spool(node, one, own)


def _own_words(node: Node, one: ThisPass) -> AbstractContextManager[OwnWords | None]:
    """Where the node's own words are kept, if their total is to be certified."""
    if not to_be_certified(one.plan, one.order.step):
        return nullcontext()
    lengths = [words - CHECK_WORDS for words in read_asks(node, one.plan, one.order).words]
    return OwnWords(node.secrets.folder / own_words(one.order.pass_id), lengths)


def _compute_into_spool(node: Node, one: ThisPass, own: OwnWords | None) -> None:
    run, pass_id = one.order.run, one.order.pass_id
    group = Group(node.spool, pass_id, own.sync) if own else Group(node.spool, pass_id)

    def refuse_if_abandoned() -> None:
        if node.records.is_abandoned(pass_id):
            raise ProtocolRefused("the pass is abandoned", code="ABANDONED")

    def record(number: int, data: bytes) -> None:
        refuse_if_abandoned()
        if group.add(data):
            node.workers.notify()
        if number == 0 and node.spool.ready_bytes(pass_id) < one.order.upload_bytes:
            node.crash("mid:M")

    try:
        job = _job(node, one)
        job = replace(job, keep=own.write) if own else job
        release(job, node.spool.chunks_done(pass_id), node.workers.in_order, record)
        refuse_if_abandoned()
        group.flush()
        node.workers.notify()
    except FedstatsError as error:
        node.ledger.append("refused", {"run": run, "pass": pass_id, "code": error.code})
        raise
    node.ledger.append("computed", {"run": run, "pass": pass_id, "words": one.order.words})


def _job(node: Node, one: ThisPass) -> Job:
    plan, order = one.plan, one.order
    read = read_asks(node, plan, order)
    context = pass_context(plan, order)
    conceal, transcript = _protection(node, one, context)
    return Job(
        authorise=partial(_authorise, node, one),
        load=lambda: (node.cohorts.of_plan(plan), node.cohorts.cohort(plan, order.plan, read.model)),
        step=read.step,
        model=read.model,
        floors=node.policy.floors(),
        nodes=len(plan.study.nodes),
        asks=read.asks,
        first_words=tuple(accumulate(read.words[:-1], initial=0)),
        conceal=conceal,
        transcript=transcript,
        node_index=[member.name for member in members(plan)].index(node.name),
        noise=noising(node, plan, order, read.step, read.model) if is_noised(plan) else not_noised,
    )


def _protection(node: Node, one: ThisPass, context: PassContext) -> tuple[Conceal, str]:
    """What is done to words, and what their check words are made from."""
    encrypted = one.plan.privacy == "paillier"
    if not one.masked:
        transcript = plain_transcript(context)
        return node.encryption.conceal(transcript, None) if encrypted else Plain(), transcript
    secret = agreed(node, one)
    masks = masks_when_all_ready(secret, signed_from_text(one.record.accepted))
    return node.encryption.conceal(secret.transcript, masks) if encrypted else masks, secret.transcript


def _authorise(node: Node, one: ThisPass) -> None:
    """What may have changed since the run began: the policy file, whom these people were answered with, the data."""
    authorise_privacy(node.policy, one.plan)
    if not allows(node.policy, one.plan.study.analysis):
        raise refused("analyses", f"{one.plan.study.analysis!r} is not allowed any more")
    model = next(model for model in one.plan.study.models if model.id == one.order.model)
    permitted_step(one.order.step, one.plan.study, model)
    check_lock(node, one.plan, one.record.cohort, one.record.domain)
    check_same_data(node, one)
    if node.cohorts.name_of(one.plan, one.order.plan, model) != one.record.cohort:
        raise other_people()


def check_same_data(node: Node, one: ThisPass) -> None:
    """See that the data are those on which the pass was opened, so that its masks never lie on two states of them.

    A ledger that was put back may have forgotten that words of the pass are out already.

    Raises
    ------
    ProtocolRefused
        DATA_CHANGED.
    """
    opened_on = node.records.data_of(one.order.pass_id)
    if opened_on not in (None, node.cohorts.dataset(one.plan.dataset).fingerprint):
        raise ProtocolRefused(
            "the data set changed since this pass was opened; nothing of the pass is computed on other data.",
            code="DATA_CHANGED",
            hint="Begin a new run.",
        )


def fetch(node: Node, signed: Signed) -> tuple[int, Iterator[bytes | Signed]]:
    """Protected words of an accepted pass from an offset on."""
    order = opened(node, signed, FetchOrder)
    return words_from(node, signed, order.run, order.pass_id, order.offset)


def words_from(node: Node, signed: Signed, run: str, pass_id: str, offset: int) -> tuple[int, Iterator[bytes | Signed]]:
    """The words of an accepted pass from an offset on, and C behind the last where they are masked.

    Whoever reads them waits for those that are still computed.
    """
    one = this_pass(node, run, pass_id)
    if not one.record.accepted or one.record.closed:
        raise ProtocolRefused("the pass has no words to fetch: it is not computed, or it is over.", code="OUT_OF_ORDER")
    if not 0 <= offset <= one.order.upload_bytes:
        raise ProtocolRefused("the offset lies outside the pass.", code="MALFORMED")
    compute(node, pass_id)
    words = _words(node, pass_id, offset, one.order.upload_bytes)
    return offset, _then_complete(node, signed, run, pass_id, words) if one.masked else words


def _then_complete(
    node: Node, signed: Signed, run: str, pass_id: str, words: Iterator[bytes]
) -> Iterator[bytes | Signed]:
    yield from words
    yield complete(node, signed, run, pass_id)


def _words(node: Node, pass_id: str, first: int, last: int) -> Iterator[bytes]:
    while first < last:
        there = _wait_for(node, pass_id, first)
        if node.records.is_abandoned(pass_id):
            raise ProtocolRefused("the pass is abandoned; nothing was sent.", code="ABANDONED")
        for piece in node.spool.read(pass_id, first, there):
            first += len(piece)
            yield piece


def _wait_for(node: Node, pass_id: str, first: int) -> int:
    """How many bytes are there, once that is more than `first`."""
    with node.workers.changed:
        while (there := node.spool.ready_bytes(pass_id)) <= first:
            failure = node.workers.failure(pass_id)
            if failure is not None:
                raise failure
            if node.workers.stopped:
                raise stopping()
            if node.records.is_abandoned(pass_id):
                raise ProtocolRefused("the pass is abandoned; nothing was sent.", code="ABANDONED")
            node.workers.changed.wait(WAIT_SECONDS)
    return there


def status(node: Node, signed: Signed) -> Signed:
    """Where a pass stands."""
    order = opened(node, signed, StatusOrder)
    record = node.records.passed(order.pass_id)
    if record is None or record.order.run != order.run:
        state = PassState.ABANDONED if node.records.is_abandoned(order.pass_id) else "unknown"
        return node.signed(PassStatus(order.run, order.pass_id, node.name, state, 0, 0))
    there, total = node.spool.ready_bytes(order.pass_id), record.order.upload_bytes
    state = str(record.state)
    if record.state is PassState.READY and record.accepted:
        state = PassState.UPLOADED if there == total else "computing"
    failure = node.workers.failure(order.pass_id)
    error = {} if failure is None else {"code": failure.code, "message": failure.message, "hint": failure.hint}
    state = "closed" if record.closed else "failed" if error else state
    return node.signed(PassStatus(order.run, order.pass_id, node.name, state, there, total, error))
