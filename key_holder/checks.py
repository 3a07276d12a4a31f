"""What a key holder checks of an order before anything is opened.

It cannot see whether a product is one: nobody can tell it from one node's ciphertext.
What it can see is that the order is a coordinator's of its roster and within policy, that a pass is opened once, and
that all orders of a run name the same nodes under the same setting, so that two sums never differ by one node.
"""

import gmpy2
from gmpy2 import mpz

from fedstats.arrays import Bytes
from fedstats.errors import ProtocolRefused
from fedstats.identity.checks import is_hex
from fedstats.privacy.paillier import block_bytes, widths_of
from fedstats.privacy.primitives.paillier import PublicKey, check_ciphertext
from fedstats.wire.key_holder_messages import DecryptOrder
from key_holder.holder import Holder
from key_holder.policy import NOTHING_OPENED, authorise
from key_holder.records import Opening, RunRecord

#: Longest id of a run; runs are named by 32 or 64 hexadecimal digits.
_LONGEST_RUN = 64


def earlier_opening(holder: Holder, order: DecryptOrder, request: str) -> Opening | None:
    """What was ordered before under the same pass id; None where nothing was.

    Raises
    ------
    ProtocolRefused
        Code CONFLICT: it was another order, perhaps of another product.
    """
    earlier = holder.records.opening(order.pass_id)
    if earlier is not None and earlier.request != request:
        raise _refused("this pass was ordered before with other content; the first answer stands", "CONFLICT")
    return earlier


def check_order(holder: Holder, signer: str, order: DecryptOrder) -> None:
    """Refuse an order that this key holder must not carry out; its product is not needed for that.

    Raises
    ------
    Refused
        Naming the rule of the policy, or what is wrong with the order.
    """
    _check_form(order)
    if order.roster != holder.roster_digest:
        raise _refused("the order is for another roster than this key holder's", "WRONG_ROSTER")
    strangers = sorted(set(order.nodes) - {node.name for node in holder.settings.roster.content.nodes})
    if strangers:
        raise _refused(f"{', '.join(strangers)} is not in the roster", "WRONG_ROSTER")
    authorise(holder.policy, order)
    _check_layout(holder.public, order)
    _check_run(holder.records.run(order.run), order, signer)


def run_record(order: DecryptOrder, signer: str) -> RunRecord:
    """What an order says of its run."""
    return RunRecord(order.plan, tuple(sorted(order.nodes)), order.masked, signer)


def check_product(public: PublicKey, product: Bytes) -> None:
    """Refuse a product with a number that is no ciphertext under this modulus, before any of it is opened.

    Raises
    ------
    ProtocolRefused
        Code BAD_CIPHERTEXT: not from 1 to n^2 - 1, or not a unit modulo n^2.
    """
    size, n, joint = public.ciphertext_bytes, mpz(public.n), mpz(1)
    for first in range(0, len(product), size):
        ciphertext = int.from_bytes(product[first : first + size], "big")
        check_ciphertext(public, ciphertext)
        joint = joint * ciphertext % n
    # One greatest common divisor for all: a product is a unit where every factor is.
    if gmpy2.gcd(joint, n) != 1:
        raise _refused("a ciphertext is not a unit under this modulus", "BAD_CIPHERTEXT")


def _check_form(order: DecryptOrder) -> None:
    if not is_hex(order.pass_id, 32) or not is_hex(order.sha256, 32) or not is_hex(order.plan, 32):
        raise _refused("pass, plan or product of the order is not named by a SHA-256", "MALFORMED")
    if not 1 <= len(order.run) <= _LONGEST_RUN:
        raise _refused("the id of the run is empty or too long", "MALFORMED")
    if len(set(order.nodes)) != len(order.nodes):
        raise _refused("the order names a node twice", "MALFORMED")
    if order.words < 1 or order.length < 1:
        raise _refused("the order is for nothing", "MALFORMED")


def _check_layout(public: PublicKey, order: DecryptOrder) -> None:
    """Words and bytes of an order are those of its layout."""
    counts = [count for alike in order.layout for _, count in alike.runs] + [alike.blocks for alike in order.layout]
    # Before any array is made: a word takes more than one bit of a plaintext, so more than two of a ciphertext.
    if min(counts, default=0) < 1 or sum(alike.words for alike in order.layout) != order.words:
        raise _refused("the layout of the order is not one of so many words", "MALFORMED")
    if order.words > 8 * order.length:
        raise _refused("the layout of the order does not fit its product", "MALFORMED")
    due = sum(alike.blocks * block_bytes(public, widths_of(alike.runs)) for alike in order.layout)
    if due != order.length:
        raise _refused(f"a product of {order.length} bytes is ordered where the layout has {due}", "MALFORMED")


def _check_run(earlier: RunRecord | None, order: DecryptOrder, signer: str) -> None:
    """All orders of a run agree on coordinator, plan, nodes and setting."""
    if earlier is None:
        return
    now = run_record(order, signer)
    if now.signer != earlier.signer:
        raise _refused("another coordinator began this run", "WRONG_SIGNER")
    if now.plan != earlier.plan:
        raise _refused("this run was begun with another plan", "OTHER_PLAN")
    if now.nodes != earlier.nodes:
        raise _refused(
            "this run was begun with other nodes; the difference of both sums would show a node's own", "OTHER_NODES"
        )
    if now.masked != earlier.masked:
        raise _refused("this run was begun with masks on, or off, and goes on so", "OTHER_SETTING")


def _refused(why: str, code: str) -> ProtocolRefused:
    return ProtocolRefused(f"{why}. {NOTHING_OPENED}", code=code)
