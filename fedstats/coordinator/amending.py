"""Going on after a node is lost for good: anew with the others, by the lost node's own consent, or not at all.

As long as nothing was opened, the others begin anew among themselves.
Afterwards the difference of both results would show the lost node's sums. Then it takes the consent that the node had
signed when the run was planned (`continue_without_me`); everything is fitted again on the people of the others.
"""

from collections.abc import Sequence
from typing import Literal

from fedstats.coordinator.checkpoint import Checkpoint
from fedstats.coordinator.passes import KeptMessages
from fedstats.coordinator.session_state import SessionDocument, SessionState
from fedstats.documents import decode
from fedstats.wire.messages import LostNode, Plan, Serving, SignedText
from fedstats.wire.signed_text import from_text

#: Fewer nodes do not protect one another.
FEWEST_NODES = 3

AfterLoss = Literal["stop", "restart", "amend"]


def after_loss(session: SessionState, lost: str) -> AfterLoss:
    """What may be done without a node that was lost in a session."""
    document = session.document()
    begun = begun_runs(session)
    if document is None or not begun or lost not in document.nodes or len(document.nodes) - 1 < FEWEST_NODES:
        return "stop"
    # What an earlier session opened still stands, and so does the need for consent.
    if not document.amends and not any(run.anything_opened for run in begun):
        return "restart"
    return "amend" if consented(begun, lost) else "stop"


def begun_runs(session: SessionState) -> list[Checkpoint]:
    """Runs of a session that its nodes were told to begin."""
    return [run for run in session.runs() if run.document("begun") is not None]


def consented(runs: Sequence[Checkpoint], node: str) -> bool:
    """Whether a node had signed, for every one of the runs, that they may go on without it."""
    return bool(runs) and all(_serving(run, node)[1].continue_without_me for run in runs)


def amendment(
    before: SessionState | None, document: SessionDocument, analysis: str
) -> tuple[str, tuple[LostNode, ...]]:
    """Which run a new plan amends, and the consent of the node that is left out of it; nothing where it amends none."""
    runs = begun_runs(before) if before is not None and document.amends else []
    if not runs:
        return "", ()
    plans = [decode(Plan, run.document("plan") or b"") for run in runs]
    # The lock at a node is on people: a study whose own run had not begun amends the one that took the lock.
    index = next((i for i, plan in enumerate(plans) if plan.study.analysis == analysis), 0)
    gone = [node for node in plans[index].study.nodes if node not in document.nodes]
    texts = [(node, _serving(runs[index], node)[0]) for node in gone]
    return plans[index].run, tuple(LostNode(node, text.body, text.signature) for node, text in texts)


def _serving(run: Checkpoint, node: str) -> tuple[SignedText, Serving]:
    text = decode(KeptMessages, run.document("servings") or b"").by_node[node]
    return text, decode(Serving, from_text(text).body)
