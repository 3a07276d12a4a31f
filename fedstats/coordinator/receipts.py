"""The end of a pass at the nodes: a receipt once its total is on disk, or abandonment where it will never be opened.

And the end of a run: nodes delete its secrets.
"""

import contextlib
import json

from fedstats.coordinator.checkpoint import PassFolder, to_json
from fedstats.coordinator.durable import sha256_of
from fedstats.coordinator.parallel import from_all
from fedstats.coordinator.run import Run
from fedstats.errors import FedstatsError
from fedstats.wire.messages import AbandonOrder, Accepted, FinishOrder, ReceiptOrder, pass_id

#: The reason that every order of abandonment gives: the same each time, for a repeated order must be the same bytes.
ABANDONED = "the coordinator gave the pass up"


def send_receipts(run: Run, folder: PassFolder) -> None:
    """Tell every node that its words are no longer needed; who is away is told later, by `settle`."""
    owed = _owed(run, folder)
    place, attempt = folder.place, folder.attempt
    identity = pass_id(run.plan.run, place.scope, place.call, attempt)

    def tell(node: str) -> bool:
        order = ReceiptOrder(run.plan.run, identity, owed[node])
        with contextlib.suppress(FedstatsError):
            run.nodes.ask_once(node, "Receipt", order, Accepted)
            return True
        return False

    told = from_all(owed, tell)
    left = {node: digest for node, digest in owed.items() if not told[node]}
    if not left:
        folder.remove()
        return
    folder.keep_messages("receipts", to_json(left), synced=True)
    for node in run.names:
        folder.words_file(node).unlink(missing_ok=True)


def send_receipts_aside(run: Run, folder: PassFolder) -> None:
    """The same beside the run: its next pass need not wait while nodes delete what they kept."""

    def send() -> None:
        # Where this disk is full, receipts stay owed and are sent by `settle`.
        with contextlib.suppress(FedstatsError):
            send_receipts(run, folder)
        run.crash("after:receipt")

    run.aside.do(send)


def settle(run: Run) -> None:
    """Send the receipts that are owed from before: of passes whose totals are kept."""
    run.aside.finish()
    for folder in list(run.checkpoint.unsettled_passes()):
        if run.checkpoint.is_settled(folder.place) and not folder.steers:
            send_receipts(run, folder)


def _owed(run: Run, folder: PassFolder) -> dict[str, str]:
    """SHA-256 of the words of each node that has no receipt yet."""
    kept = folder.messages("receipts")
    if kept is not None:
        return {str(node): str(digest) for node, digest in json.loads(kept).items()}
    files = {node: folder.words_file(node) for node in run.names}
    return {node: sha256_of(path) for node, path in files.items() if path.exists()}


def abandon_unsettled(run: Run) -> None:
    """Abandon passes that were never settled at every node that can be reached: nobody will come back to them."""
    run.aside.finish()
    for folder in list(run.checkpoint.unsettled_passes()):
        if not run.checkpoint.is_settled(folder.place):
            identity = pass_id(run.plan.run, folder.place.scope, folder.place.call, folder.attempt)
            abandon_everywhere(run, identity)


def finish_everywhere(run: Run) -> None:
    """Tell every node that can be reached that a run is over; any other deletes its secrets by itself in time."""

    def tell(node: str) -> None:
        with contextlib.suppress(FedstatsError):
            run.nodes.ask_once(node, "Finish", FinishOrder(run.plan.run), Accepted)

    from_all(run.names, tell)


def abandon_everywhere(run: Run, identity: str) -> None:
    """Tell every node that can be reached that a pass is given up."""
    order = AbandonOrder(run.plan.run, identity, ABANDONED)

    def tell(node: str) -> None:
        # A node that is away or fails is told before the next attempt; what matters is raised elsewhere.
        with contextlib.suppress(FedstatsError):
            run.nodes.ask_once(node, "Abandon", order, Accepted)

    from_all(run.names, tell)
