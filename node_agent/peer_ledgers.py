"""How far the ledgers of the peers have come: a node whose state was put back from a backup is refused (decision D7).

Such a node has forgotten what it answered and with whom; it could mask two different sums with one mask, or answer the
same people in a run of other nodes.

In step S each node says where its own ledger stands, and what it remembers of its peers'. In step R it looks twice:

- The place that a peer shows must not lie before the one that was remembered of it when the run began here. (Passes
  overtake one another, so within a run an older place may be shown later. But keys of a pass follow the keys of the
  run of all nodes, so nothing in a run is older than what was known before it.)
- What peers remember of this node must stand in this node's own ledger. That holds in any order.

Then the newest place of each peer is remembered.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from fedstats.errors import ProtocolRefused
from fedstats.ledger import Ledger

TABLES = """
CREATE TABLE IF NOT EXISTS peer_ledgers (node TEXT PRIMARY KEY, count INTEGER NOT NULL, hash TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS run_peer_ledgers (
  run TEXT NOT NULL, node TEXT NOT NULL, count INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (run, node));
"""


@dataclass(frozen=True, order=True)
class Place:
    """Number of entries of a ledger, and the hash of the last one."""

    count: int
    hash: str

    def __str__(self) -> str:
        return f"{self.count}:{self.hash}"


def own_place(ledger: Ledger) -> Place:
    """Where the ledger of this node stands."""
    return Place(*ledger.last)


@dataclass(frozen=True)
class PeerLedgers:
    """What one agent remembers; methods that write are called within a transaction of its ledger."""

    ledger: Ledger
    node: str

    def statement(self, peers: tuple[str, ...]) -> str:
        """What this node says in step S: its own place, then what it remembers of these peers."""
        known = self._newest()
        told = [f"{peer}={known[peer]}" for peer in peers if peer in known]
        return ";".join([str(own_place(self.ledger)), *told])

    def run_begins(self, run: str) -> None:
        """Nothing that peers show in this run may be older than what is remembered now."""
        self.ledger.write("INSERT OR IGNORE INTO run_peer_ledgers SELECT ?, node, count, hash FROM peer_ledgers", run)

    def check(self, run: str, statements: Mapping[str, str]) -> None:
        """See that no ledger of a pass is older than somebody remembers, and remember the newest places.

        Raises
        ------
        ProtocolRefused
            Code STALE_LEDGER, naming the node and what to do; MALFORMED.
        """
        places = {node: _places(node, text) for node, text in statements.items() if node != self.node}
        newest = self._newest()
        for peer, shown in places.items():
            self._check_own(peer, shown)
            self._check_peer(run, peer, shown[""], newest.get(peer))
        for peer, shown in places.items():
            self._remember(peer, shown[""], newest.get(peer))

    def forget(self, node: str) -> None:
        """Take the ledger of a peer as it will be shown next, in every run: the operator said so."""
        for table in ("peer_ledgers", "run_peer_ledgers"):
            self.ledger.write(f"DELETE FROM {table} WHERE node = ?", node)  # noqa: S608  # the two names above
        self.ledger.append("peer_ledger_accepted", {"node": node})

    def _check_own(self, peer: str, shown: Mapping[str, Place]) -> None:
        """What a peer remembers of this node's ledger must be in it."""
        mine = shown.get(self.node)
        if mine is None:
            return
        found = self.ledger.rows("SELECT hash FROM entries WHERE seq = ?", mine.count)
        if not found or found[0][0] != mine.hash:
            raise _stale(self.node, f"it lacks entry {mine.count}, which {peer} was shown")

    def _check_peer(self, run: str, peer: str, shown: Place, newest: Place | None) -> None:
        query = "SELECT count, hash FROM run_peer_ledgers WHERE run = ? AND node = ?"
        before = [Place(int(count), str(head)) for count, head in self.ledger.rows(query, run, peer)]
        most = max((place.count for place in before), default=0)
        if shown.count < most:
            raise _stale(peer, f"it shows {shown.count} entries where {self.node} was shown {most} before")
        if any(shown.count == place.count and shown != place for place in (*before, newest) if place):
            raise _stale(peer, f"its entry {shown.count} is not the one that it showed before")

    def _remember(self, peer: str, shown: Place, newest: Place | None) -> None:
        if newest is None or newest.count < shown.count:
            self.ledger.write("INSERT OR REPLACE INTO peer_ledgers VALUES (?, ?, ?)", peer, shown.count, shown.hash)

    def _newest(self) -> dict[str, Place]:
        found = self.ledger.rows("SELECT node, count, hash FROM peer_ledgers")
        return {str(node): Place(int(count), str(head)) for node, count, head in found}


def _places(node: str, statement: str) -> dict[str, Place]:
    """Places of a statement by name; its own under ""."""
    try:
        own, *peers = statement.split(";")
        named = [("", own), *(text.split("=") for text in peers)]
        return {name: Place(int(place.split(":")[0]), place.split(":")[1]) for name, place in named}
    except (ValueError, IndexError):
        raise ProtocolRefused(f"{node} says nothing about its ledger that can be read.", code="MALFORMED") from None


def _stale(node: str, why: str) -> ProtocolRefused:
    return ProtocolRefused(
        f"the ledger of {node} is older than its peers remember: {why}. Nothing was sent.",
        code="STALE_LEDGER",
        hint=f"Was {node} put back from a backup? Its custodian brings back the newest state folder; where it is lost, "
        f"every other custodian decides, and says so with: fedstats-node accept-ledger {node}",
    )
