"""What an agent says of what it cannot explain to a peer: that it ends, or an incident for its own log."""

from uuid import uuid4

import structlog

from fedstats.errors import Failed, FedstatsError, NodeUnreachable

_log = structlog.get_logger("incidents")


def stopping() -> NodeUnreachable:
    """What is answered while the agent ends."""
    return NodeUnreachable("this node is shutting down; ask again when it is back", code="STOPPING")


class Incident(Failed):
    """An error that nobody expected; `incident` finds it in the local log."""

    def __init__(self, incident: str) -> None:
        super().__init__(
            f"an error that was not expected (incident {incident}); nothing of it was sent",
            code="INTERNAL",
            hint="The custodian finds it under that incident in the agent's log.",
        )
        self.incident = incident


def internal(error: Exception) -> FedstatsError:
    """What is said of an error that nobody expected: an incident, which only the local log explains."""
    incident = uuid4().hex[:12]
    _log.error("incident", incident=incident, exc_info=error)
    return Incident(incident)
