"""Where a node stands in a pass: each step is done once, in order, and an abandoned pass stays abandoned.

A node's ledger keeps the state durably and answers a repeated ask with the stored bytes; what comes here as a
repetition has other content, or arrives when the answer must no longer be given.
"""

from enum import StrEnum

from fedstats.errors import ProtocolRefused


class PassState(StrEnum):
    """What a node has done in a pass."""

    KEYED = "keyed"  # S: keys and shares are out
    READY = "ready"  # R: the transcript is signed
    UPLOADED = "uploaded"  # M: masked words are out, whole
    COMMITTED = "committed"  # C: (T, complete) is signed
    OPENED = "opened"  # U: shares of self-mask seeds are out
    ABANDONED = "abandoned"  # nothing more leaves in this pass


class PassEvent(StrEnum):
    """What a node is asked to do in a pass that it has keys for."""

    READY = "ready"
    UPLOAD = "upload"
    COMMIT = "commit"
    OPEN = "open"
    ABANDON = "abandon"


_ORDER = (PassState.KEYED, PassState.READY, PassState.UPLOADED, PassState.COMMITTED, PassState.OPENED)
_STEPS = {
    PassEvent.READY: PassState.READY,
    PassEvent.UPLOAD: PassState.UPLOADED,
    PassEvent.COMMIT: PassState.COMMITTED,
    PassEvent.OPEN: PassState.OPENED,
}


def advance(state: PassState, event: PassEvent) -> PassState:
    """Return the state after an event.

    Raises
    ------
    ProtocolRefused
        Code ABANDONED, REPLAYED (done before, or the pass is open) or OUT_OF_ORDER (an earlier step is missing).
    """
    if state is PassState.ABANDONED:
        raise ProtocolRefused(f"the pass is abandoned; {event} is refused, nothing was sent.", code="ABANDONED")
    if event is PassEvent.ABANDON:
        if state is PassState.OPENED:
            raise ProtocolRefused("the pass is open already; it cannot be abandoned.", code="REPLAYED")
        return PassState.ABANDONED
    step = _STEPS[event]
    done, due = _ORDER.index(state), _ORDER.index(step)
    if due <= done:
        raise ProtocolRefused(f"{event} was done before in this pass; nothing was sent.", code="REPLAYED")
    if due > done + 1:
        raise ProtocolRefused(
            f"{event} is refused while the pass is {state}: {_ORDER[done + 1]} comes first; nothing was sent.",
            code="OUT_OF_ORDER",
        )
    return step
