"""The end of a run: its secrets and blobs are deleted, and nothing new is answered in it.

The coordinator says so when the results are written. A run that nobody finished ends by itself once it was asked for
nothing for thirty days: the agent looks for such runs when it starts, and once a day.
"""

from datetime import UTC, datetime

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.privacy.pass_state import PassState
from fedstats.wire.messages import Accepted, FinishOrder
from node_agent.answers import answer_once, opened
from node_agent.locks import take_lock
from node_agent.node import Node
from node_agent.pass_states import state_of
from node_agent.passes import clear, give_up
from node_agent.records import PassRecord
from node_agent.run_records import KEPT
from node_agent.secret_files import own_words, pass_secret, run_secret


def finish(node: Node, signed: Signed) -> Signed:
    """The run is over: results are written, or given up for good."""
    order = opened(node, signed, FinishOrder)

    def make() -> Signed:
        if node.records.plan_of_run(order.run) is None:
            raise ProtocolRefused("a run was to be finished that did not begin here.", code="NO_PLAN")
        _end(node, order.run, "finished")
        return node.signed(Accepted(order.run, "", node.name, "finished"))

    answer = answer_once(node, f"finish|{order.run}", signed, make)
    clear_run(node, order.run)
    return answer


def end_forgotten(node: Node, now: datetime | None = None) -> None:
    """End runs that were asked for nothing for thirty days; of those that never began the ledger has nothing to say."""
    # In one transaction: a run that somebody resumes at this moment is no longer idle, or resumed too late.
    with node.ledger.transaction():
        idle = node.runs.idle_since((now or datetime.now(UTC)) - KEPT)
        for run in idle:
            _end(node, run, "forgotten")
            if node.records.plan_of_run(run) is not None:
                node.ledger.append("forgotten", {"run": run, "days": KEPT.days})
    for run in idle:
        clear_run(node, run)


def _end(node: Node, run: str, how: str) -> None:
    for record in node.records.live_passes(run):
        _end_pass(node, record)
    node.certified.forget(run)
    node.runs.end(run, how)


def _end_pass(node: Node, record: PassRecord) -> None:
    """Close a pass whose words are out, and abandon any other."""
    state, begun = state_of(node, record), node.records.plan_of_run(record.order.run)
    if begun is None or state in (PassState.KEYED, PassState.READY):
        give_up(node, record, "the run is over")
        return
    if state in (PassState.UPLOADED, PassState.COMMITTED):
        # Enough others may have opened it: then these people were answered, with this roster and no other.
        try:
            take_lock(node, begun[1], record.cohort, record.domain)
        except ProtocolRefused:
            give_up(node, record, "the run is over")
            return
    node.records.close_pass(record.order.pass_id)


def clear_run(node: Node, run: str) -> None:
    """Delete what an ended run needs no more; a crash before this is made good at the next start."""
    node.secrets.delete(run_secret(run))
    node.channels.drop(run)
    for pass_id in node.records.passes_of_run(run):
        if node.secrets.has(pass_secret(pass_id)) or node.spool.has(pass_id):
            clear(node, pass_id)
    node.blobs.release(run)
    node.asks_read.forget()


def clear_what_is_over(node: Node) -> None:
    """Delete words and secrets that a crash has left of passes and runs that are over or were never answered."""
    # In one transaction: a pass that is opened meanwhile, for the agent answers already, keeps its secrets.
    with node.ledger.transaction():
        passes = {record.order.pass_id for record in node.records.live_passes()}
        node.spool.keep_only(passes)
        secrets = {name(pass_id) for pass_id in passes for name in (pass_secret, own_words)}
        node.secrets.keep_only(secrets | {run_secret(run) for run in node.runs.live()})
