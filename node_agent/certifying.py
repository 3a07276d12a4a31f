"""Certifying a total at this node: its scalar for a claim, and the certificate that every node's scalars make.

The claim comes as a blob and an order (step K), the scalars of all nodes with the receipt. See
`fedstats.privacy.certify` for what they prove.
"""

from fedstats.errors import ProtocolRefused
from fedstats.identity.signing import Signed, sign
from fedstats.privacy.certify import SCALARS, check_total, make_scalars, number_of_words
from fedstats.privacy.messages import ReadySecret
from fedstats.wire.messages import CertifyOrder, ReceiptOrder
from fedstats.wire.passes import CHECK_WORDS, members, pass_context, plain_transcript, to_be_certified
from node_agent.node import Node
from node_agent.own_words import read_own_words
from node_agent.pass_orders import ThisPass, read_asks
from node_agent.pass_secrets import agreed
from node_agent.secret_files import own_words
from node_agent.signed_texts import from_texts


def signed_scalar(node: Node, one: ThisPass, order: CertifyOrder) -> Signed:
    """The answer of this node to a claimed total of a pass whose words are out."""
    if not to_be_certified(one.plan, one.order.step):
        raise ProtocolRefused("nothing rests on the total of this pass; nothing was sent.", code="OUT_OF_ORDER")
    ready, transcript = _agreed(node, one)
    own = read_own_words(node.secrets.folder / own_words(one.order.pass_id), _words(node, one))
    ids = (one.order.run, one.order.pass_id)
    return sign(node.keys.identity, SCALARS, make_scalars(ids, node.name, transcript, order.total, own, ready))


def keep_certified(node: Node, one: ThisPass, order: ReceiptOrder) -> None:
    """Keep the total of a pass, once the scalars of all nodes prove that it is theirs; within a transaction.

    Raises
    ------
    ProtocolRefused
        Code NOT_THE_TOTAL, or what else is wrong with the scalars; then nothing that rests on it is ever computed.
    """
    claim = node.blobs.read(order.total, "the claimed total")
    if number_of_words(claim) != _words(node, one):
        raise ProtocolRefused("the claimed total has another length than the pass.", code="NOT_THE_TOTAL")
    _, transcript = _agreed(node, one)
    roster = members(one.plan)
    check_total((one.order.run, one.order.pass_id), roster, transcript, claim, from_texts(order.scalars, roster))
    node.certified.keep(one.order, order.total, read_asks(node, one.plan, one.order).variants)


def _words(node: Node, one: ThisPass) -> int:
    """Words of the pass at each node, without check words."""
    words = read_asks(node, one.plan, one.order).words
    return sum(words) - CHECK_WORDS * len(words)


def _agreed(node: Node, one: ThisPass) -> tuple[ReadySecret | None, str]:
    """What hides this node's scalar, and what the challenge is made from."""
    if not one.masked:
        return None, plain_transcript(pass_context(one.plan, one.order))
    ready = agreed(node, one)
    return ready, ready.transcript
