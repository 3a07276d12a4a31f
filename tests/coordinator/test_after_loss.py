"""What may be done without a node that is gone: begin anew, go on by its consent, or stop."""

from pathlib import Path

import pytest

from fedstats.coordinator.amending import after_loss, amendment
from fedstats.coordinator.proposals import keep_messages
from fedstats.coordinator.session_state import RunState, SessionDocument, SessionState
from fedstats.documents import digest, encode
from fedstats.identity.signing import sign
from fedstats.planning.survey import Serve
from fedstats.wire.messages import Serving
from tests.coordinator.federation_of_nodes import World, world


def begun(
    folder: Path, there: World, *, agreeing: bool = False, begin: bool = True, amends: bool = False
) -> SessionState:
    """A session whose only run has been proposed and, if asked, begun."""
    session = RunState(folder).next()
    session.begin(SessionDocument("s", "now", "r", "p", there.plan.study.nodes, amends=amends))
    checkpoint = session.run("study")
    checkpoint.keep_document("plan", encode(there.plan))
    keep_messages(checkpoint, "servings", {name: serving(there, name, agreeing) for name in there.nodes})
    if begin:
        checkpoint.keep_document("begun", b"")
    return session


def serving(there: World, name: str, agreeing: bool) -> object:
    said = Serving(there.plan.run, name, digest(there.plan), Serve(()), agreeing)
    return sign(there.nodes[name].party.identity, "Serving", said)


def a_total(session: SessionState) -> None:
    (session.folder / "study" / "totals").mkdir()
    (session.folder / "study" / "totals" / "whole.0").write_bytes(b"")


def seed_shares_asked(session: SessionState) -> None:
    folder = session.folder / "study" / "passes" / "whole.0.0"
    folder.mkdir(parents=True)
    for name in ("R.messages", "C.messages"):
        (folder / name).write_bytes(b"")


def plain_words(session: SessionState) -> None:
    folder = session.folder / "study" / "passes" / "whole.0.0"
    folder.mkdir(parents=True)
    (folder / "N00.words").write_bytes(b"")


def masked_words(session: SessionState) -> None:
    plain_words(session)
    (session.folder / "study" / "passes" / "whole.0.0" / "R.messages").write_bytes(b"")


def test_nothing_opened_begins_anew(tmp_path: Path) -> None:
    assert after_loss(begun(tmp_path, world(4)), "N03") == "restart"


def test_masked_words_alone_open_nothing(tmp_path: Path) -> None:
    session = begun(tmp_path, world(4))
    masked_words(session)

    assert after_loss(session, "N03") == "restart"


@pytest.mark.parametrize("opened", [a_total, seed_shares_asked, plain_words])
@pytest.mark.parametrize(("agreeing", "choice"), [(True, "amend"), (False, "stop")])
def test_after_something_may_be_open_it_takes_consent(
    tmp_path: Path, opened: object, *, agreeing: bool, choice: str
) -> None:
    session = begun(tmp_path, world(4), agreeing=agreeing)
    opened(session)  # type: ignore[operator]  # one of the functions above

    assert after_loss(session, "N03") == choice


def test_two_nodes_do_not_go_on(tmp_path: Path) -> None:
    assert after_loss(begun(tmp_path, world(3), agreeing=True), "N02") == "stop"


def test_run_that_had_not_begun_stops(tmp_path: Path) -> None:
    assert after_loss(begun(tmp_path, world(4), begin=False), "N03") == "stop"


def test_second_loss_needs_consent_even_if_nothing_was_opened_since_the_first(tmp_path: Path) -> None:
    assert after_loss(begun(tmp_path, world(5), amends=True), "N03") == "stop"
    assert after_loss(begun(tmp_path, world(5), agreeing=True, amends=True), "N03") == "amend"


def test_amended_plan_names_the_earlier_run_and_carries_the_consent_of_the_lost_node(tmp_path: Path) -> None:
    there = world(4)
    before = begun(tmp_path, there, agreeing=True)
    document = SessionDocument("t", "now", "r", "p", ("N00", "N01", "N02"), ("N03",), amends=True)

    amends, (lost,) = amendment(before, document, there.plan.study.analysis)

    assert amends == there.plan.run
    signed = serving(there, "N03", agreeing=True)
    assert (lost.node, lost.serving_body, lost.serving_signature) == ("N03", signed.body.hex(), signed.signature.hex())  # type: ignore[attr-defined]  # Signed


def test_run_that_begins_anew_amends_nothing(tmp_path: Path) -> None:
    before = begun(tmp_path, world(4))
    document = SessionDocument("t", "now", "r", "p", ("N00", "N01", "N02"), ("N03",))

    assert amendment(before, document, "any") == ("", ())
    assert amendment(None, document, "any") == ("", ())
