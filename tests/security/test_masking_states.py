"""Each step of a pass is done once and in order, and an abandoned pass stays abandoned."""

import itertools

import pytest

from fedstats.errors import ProtocolRefused
from fedstats.privacy.pass_state import PassEvent, PassState, advance

K, R, U, C, O, A = PassState  # noqa: E741 - the letters of the steps


def code_of(state: PassState, event: PassEvent) -> str:
    """Name of the state after an event, or the code of its refusal."""
    try:
        return advance(state, event)
    except ProtocolRefused as refused:
        return refused.code


TABLE = {
    #        ready           upload          commit          open            abandon
    K: ("ready", "OUT_OF_ORDER", "OUT_OF_ORDER", "OUT_OF_ORDER", "abandoned"),
    R: ("REPLAYED", "uploaded", "OUT_OF_ORDER", "OUT_OF_ORDER", "abandoned"),
    U: ("REPLAYED", "REPLAYED", "committed", "OUT_OF_ORDER", "abandoned"),
    C: ("REPLAYED", "REPLAYED", "REPLAYED", "opened", "abandoned"),
    O: ("REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED", "REPLAYED"),
    A: ("ABANDONED", "ABANDONED", "ABANDONED", "ABANDONED", "ABANDONED"),
}


@pytest.mark.parametrize("state", list(PassState))
def test_every_event_in_every_state_does_what_the_table_says(state: PassState) -> None:
    assert tuple(code_of(state, event) for event in PassEvent) == TABLE[state]


def test_nothing_leads_out_of_abandoned_or_back_from_opened() -> None:
    for events in itertools.product(PassEvent, repeat=3):
        for end in (PassState.ABANDONED, PassState.OPENED):
            assert all(code_of(end, event) in ("ABANDONED", "REPLAYED") for event in events)


def test_refusal_names_the_step_that_comes_first() -> None:
    with pytest.raises(ProtocolRefused, match="open is refused while the pass is ready: uploaded comes first"):
        advance(PassState.READY, PassEvent.OPEN)
