"""Where a pass stands at this node, and what is refused because of it."""

from fedstats.errors import ProtocolRefused
from fedstats.privacy.pass_state import PassState
from node_agent.node import Node
from node_agent.pass_orders import ThisPass, this_pass
from node_agent.records import PassRecord


def state_of(node: Node, record: PassRecord) -> PassState:
    """Where a pass stands: work that is whole on disk is uploaded, for it may be fetched to the last byte."""
    is_whole = record.accepted and node.spool.ready_bytes(record.order.pass_id) == record.order.upload_bytes
    return PassState.UPLOADED if record.state is PassState.READY and is_whole else record.state


def masked_pass(node: Node, run: str, pass_id: str) -> ThisPass:
    """A pass on whose masks the nodes agree, and which is not over."""
    one = this_pass(node, run, pass_id)
    if not one.masked:
        raise ProtocolRefused("this run is not masked: there are no masks to agree on.", code="OUT_OF_ORDER")
    if one.record.closed:
        raise ProtocolRefused("the pass is over; nothing was sent.", code="REPLAYED")
    return one


def refuse_if_abandoned(node: Node, pass_id: str) -> None:
    """Not even a stored answer leaves any more in a pass that was given up."""
    if node.records.is_abandoned(pass_id):
        raise ProtocolRefused("the pass is abandoned; nothing was sent.", code="ABANDONED")
