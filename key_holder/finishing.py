"""The end of a run: its products and words are deleted; what was opened stays in the ledger.

The coordinator says so when the results are written. A run that nobody finished is forgotten once it was asked for
nothing for thirty days: the key holder looks for such runs when it starts, and once a day.
"""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed
from fedstats.serving.orders import opened_order
from fedstats.wire.messages import Accepted, FinishOrder
from key_holder.holder import Holder
from key_holder.records import Opening, State

#: How long a run that nobody finished can be resumed after it was last asked for something; nodes keep theirs as long.
KEPT = timedelta(days=30)


def finish(holder: Holder, signed: Signed) -> Signed:
    """Delete products and words of a run that is over."""
    order = opened_order(signed, FinishOrder, holder.keys.coordinators)
    run = holder.records.run(order.run)
    if run is not None and run.signer != signed.signer:
        raise ProtocolRefused("another coordinator began this run.", code="WRONG_SIGNER")
    with holder.ledger.transaction():
        over = _end(holder, order.run, "finished")
    _delete(holder, over)
    return holder.signed(Accepted(order.run, "", holder.name, State.GONE.value))


def end_forgotten(holder: Holder, now: datetime | None = None) -> None:
    """Delete products and words of runs that were asked for nothing for thirty days."""
    moment = now or datetime.now(UTC)
    # In one transaction: a run that somebody resumes at this moment is no longer idle, or resumed too late.
    with holder.ledger.transaction():
        holder.records.touch_unknown(moment)
        over = [one for run in holder.records.idle_since(moment - KEPT) for one in _end(holder, run, "forgotten")]
    _delete(holder, over)


def _end(holder: Holder, run: str, how: str) -> list[Opening]:
    """The passes of a run of which something is kept, which is noted to be gone."""
    kept = [one for one in holder.records.openings_of_run(run) if one.state is not State.GONE]
    for one in kept:
        holder.records.set_gone(one.order.pass_id)
    if kept:
        holder.ledger.append(how, {"run": run})
    return kept


def _delete(holder: Holder, passes: Iterable[Opening]) -> None:
    for one in passes:
        holder.products.delete(one.order.pass_id)
        holder.words.delete(one.order.pass_id)
