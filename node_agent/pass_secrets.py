"""What this node knows of a masked pass from R to its end: made from its secret of S and the keys of all nodes.

Only the secret of S lies in a file of its own; the keys are public and in the ledger. From both R follows again after a
restart, always the same; while the agent runs it is kept in memory.
"""

from fedstats.identity.signing import Signed
from fedstats.privacy.masking_node import Channels, make_ready, open_channels
from fedstats.privacy.messages import PassSecret, ReadySecret, RunSecret
from fedstats.wire.messages import Plan
from fedstats.wire.passes import pass_context, run_context
from node_agent.node import Node
from node_agent.pass_orders import ThisPass
from node_agent.secret_files import own_words, pass_secret, run_secret


def channels(node: Node, plan: Plan) -> Channels:
    """The channels to all peers in the run of a plan."""
    run = plan.run

    def opened() -> Channels:
        secret = node.secrets.load(run_secret(run), RunSecret)
        return open_channels(node.party, run_context(plan), secret, node.records.run_keys(run))

    return node.channels.get(run, opened)


def agree(node: Node, one: ThisPass, keys: tuple[Signed, ...]) -> Signed:
    """R: check every node's keys and remember them; this node's signature of the transcript. Within a transaction."""
    secret, answer = _made(node, one, keys)
    node.records.keep_pass_keys(one.order.pass_id, keys)
    node.agreed.drop(one.order.pass_id)
    node.agreed.get(one.order.pass_id, lambda: secret)
    return answer


def agreed(node: Node, one: ThisPass) -> ReadySecret:
    """What R came to.

    Raises
    ------
    ProtocolRefused
        SECRETS_LOST: the secret of the pass is gone.
    """
    pass_id = one.order.pass_id
    return node.agreed.get(pass_id, lambda: _made(node, one, node.records.pass_keys(pass_id))[0])


def forget(node: Node, pass_id: str) -> None:
    """Delete the secrets of a pass that is over."""
    node.agreed.drop(pass_id)
    node.secrets.delete(pass_secret(pass_id), own_words(pass_id))


def _made(node: Node, one: ThisPass, keys: tuple[Signed, ...]) -> tuple[ReadySecret, Signed]:
    return make_ready(
        node.party,
        pass_context(one.plan, one.order),
        channels(node, one.plan),
        node.secrets.load(pass_secret(one.order.pass_id), PassSecret),
        keys,
    )
