"""Opening products: over several processes, recorded before a word is given out, resumed after a crash."""

import hashlib
from collections.abc import Iterator
from functools import partial

import numpy as np
import structlog

from fedstats.errors import Failed
from fedstats.privacy.paillier import BATCH, lanes_of
from fedstats.privacy.primitives.lanes import Limbs
from fedstats.serving.incidents import stopping
from fedstats.wire.key_holder_messages import DecryptOrder, widths_of_blocks
from key_holder.holder import Holder
from key_holder.records import Opening, State

_log = structlog.get_logger("opening")

_LIMB_BYTES = 8


def begin(holder: Holder, pass_id: str) -> None:
    """Open an ordered pass in a thread of its own, unless that is under way."""
    holder.work.ensure(pass_id, partial(_open, holder, pass_id))


def resume(holder: Holder) -> None:
    """Go on with what a crash or a restart interrupted, and delete what belongs to nothing."""
    ordered, opened = holder.records.openings(State.ORDERED), holder.records.openings(State.OPENED)
    holder.products.keep_only([one.order.pass_id for one in ordered])
    holder.words.keep_only([one.order.pass_id for one in opened])
    for one in ordered:
        begin(holder, one.order.pass_id)


def _open(holder: Holder, pass_id: str) -> None:
    one = holder.records.opening(pass_id)
    if one is None or one.state is not State.ORDERED:
        return
    product = holder.products.load(pass_id, one.order.sha256)
    if product is None:
        with holder.ledger.transaction():
            holder.records.set_gone(pass_id)
        raise Failed("a stored product was changed or is gone; order the pass again", code="DAMAGED_PRODUCT")
    words = b"".join(_words(holder, one.order, product))
    holder.words.store(pass_id, words)
    holder.crash("before:opened")
    _record(holder, one, hashlib.sha256(words).hexdigest())
    holder.crash("after:opened")
    holder.products.delete(pass_id)
    _log.info("pass.opened", pass_id=pass_id, words=one.order.words)


def _record(holder: Holder, one: Opening, words: str) -> None:
    """The pass is opened; refuse words that differ from those that were given out before."""
    order = one.order
    with holder.ledger.transaction():
        now = holder.records.opening(order.pass_id)
        if now is None or now.state is not State.ORDERED:
            raise Failed("the run of this pass was finished meanwhile", code="FINISHED")
        if now.words not in ("", words):
            raise Failed("a product opened to other words than before; nothing was sent", code="OTHER_WORDS")
        holder.records.set_opened(order.pass_id, words)
        holder.ledger.append("opened", {"run": order.run, "pass": order.pass_id, "words": words})


def _words(holder: Holder, order: DecryptOrder, product: bytes) -> Iterator[bytes]:
    """Opened words of every block, little-endian."""
    public = holder.public
    limbs = np.frombuffer(b"".join(_plaintexts(holder, product)), "<u8")
    at = 0
    for widths in widths_of_blocks(order.layout):
        lanes = lanes_of(public, widths)
        block: Limbs = limbs[at : at + lanes.rows * lanes.limbs]
        at += len(block)
        yield lanes.unpack(block).astype("<u8", copy=False).tobytes()


def _plaintexts(holder: Holder, product: bytes) -> Iterator[bytes]:
    """Plaintexts of all ciphertexts, in limbs; ends between two batches when the key holder stops."""
    step = BATCH * holder.public.ciphertext_bytes
    for opened in holder.decrypt(product[at : at + step] for at in range(0, len(product), step)):
        if holder.work.stopped:
            raise stopping()
        holder.crash("mid:opened")
        yield opened
