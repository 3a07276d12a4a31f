"""A session that is closed has ended what its runs did beside them, whatever went wrong with its own files."""

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from fedstats.coordinator.run import Progress
from fedstats.coordinator.session import Session
from fedstats.errors import Failed
from tests.coordinator.federation_of_nodes import world


def full(_name: str, _body: bytes) -> None:
    """A document that cannot be kept."""
    raise Failed("the disk is full", code="DISK_FULL")


@pytest.mark.parametrize("keeps_state", [True, False])
def test_receipts_that_are_under_way_are_waited_for_also_on_a_full_disk(tmp_path: Path, keeps_state: bool) -> None:
    run = world().coordinate(tmp_path).run
    session, sent = Session.__new__(Session), list[str]()
    session.planning = session.running = run.nodes
    session.state = SimpleNamespace(documents=SimpleNamespace(keep_document=full))  # type: ignore[assignment]  # as far as closing needs
    session.progress, session.key_holder, session._runs = Progress(), None, {"gwas/linear": run}

    def slowly() -> None:
        time.sleep(0.2)
        sent.append("a receipt")

    run.aside.do(slowly)
    session.close(keeps_state=keeps_state)

    assert sent == ["a receipt"]
