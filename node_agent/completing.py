"""C: this node's signature that all its words of a pass are out; it comes behind the words, or by itself when asked.

The lock on the people is taken with U, not here: t nodes must answer U before anybody can open the pass, and until then
a pass that waits for a lost node can be given up and asked of fewer nodes where all had agreed to that.
"""

from fedstats.identity.signing import Signed
from fedstats.privacy.masking_node import sign_complete
from fedstats.privacy.pass_state import PassEvent, advance
from node_agent.answers import answer_once
from node_agent.locks import check_lock
from node_agent.node import Node
from node_agent.pass_secrets import agreed
from node_agent.pass_states import masked_pass, refuse_if_abandoned, state_of


def complete(node: Node, signed: Signed, run: str, pass_id: str) -> Signed:
    """The signature, made once, whatever order it answers; all words of this node are on disk."""

    def make() -> Signed:
        one = masked_pass(node, run, pass_id)
        state = advance(state_of(node, one.record), PassEvent.COMMIT)
        check_lock(node, one.plan, one.record.cohort, one.record.domain)
        node.records.set_state(pass_id, state)
        return sign_complete(node.party, agreed(node, one))

    refuse_if_abandoned(node, pass_id)
    return answer_once(node, f"commit|{pass_id}", signed, make, "C", any_order=True)
