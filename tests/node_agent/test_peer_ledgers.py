"""Places of peers' ledgers within a run: older ones may be shown again, but never another one with the same number."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fedstats.errors import ProtocolRefused
from fedstats.ledger import open_ledger
from node_agent.peer_ledgers import TABLES, PeerLedgers


@pytest.fixture
def peers(tmp_path: Path) -> Iterator[PeerLedgers]:
    ledger = open_ledger(tmp_path / "ledger.sqlite", TABLES)
    found = PeerLedgers(ledger, "EE")
    found.run_begins("run-1")
    yield found
    ledger.close()


def test_an_entry_that_is_not_the_one_shown_before_is_refused_within_a_run(peers: PeerLedgers) -> None:
    peers.check("run-1", {"EE": "9:ee", "FI": "5:aa", "SE": "3:cc"})

    with pytest.raises(ProtocolRefused, match="its entry 5 is not the one that it showed before") as caught:
        peers.check("run-1", {"EE": "9:ee", "FI": "5:bb", "SE": "4:dd"})

    assert caught.value.code == "STALE_LEDGER"


def test_passes_that_overtake_one_another_show_older_places_and_the_newest_is_remembered(peers: PeerLedgers) -> None:
    peers.check("run-1", {"EE": "9:ee", "FI": "5:aa"})
    peers.check("run-1", {"EE": "9:ee", "FI": "4:99"})

    assert peers.statement(("FI", "SE")).split(";")[1:] == ["FI=5:aa"]


def test_nothing_is_remembered_of_a_pass_in_which_one_ledger_is_refused(peers: PeerLedgers) -> None:
    peers.check("run-1", {"FI": "5:aa"})

    with pytest.raises(ProtocolRefused):
        peers.check("run-1", {"SE": "7:dd", "FI": "5:bb"})

    assert peers.statement(("FI", "SE")).split(";")[1:] == ["FI=5:aa"]
