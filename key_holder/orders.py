"""Answers to orders: who this is, take in a product, give out its words."""

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version

from fedstats.arrays import Bytes
from fedstats.errors import Failed, ProtocolRefused
from fedstats.identity.signing import Signed, open_signed
from fedstats.serving.incidents import stopping
from fedstats.serving.orders import opened_order, request_digest
from fedstats.wire.key_holder_messages import WORD_BYTES, DecryptOrder, KeyHolderCatalogue
from fedstats.wire.ledger_place import LedgerOrder, LedgerPlace
from fedstats.wire.messages import PROTOCOL, Accepted, DescribeOrder, FetchOrder
from fedstats.wire.signed_text import from_text
from key_holder import opening
from key_holder.checks import check_order, check_product, earlier_opening, run_record
from key_holder.holder import Holder
from key_holder.records import Opening, State

_PACKAGES = ("fedstats", "gmpy2", "grpcio")
#: How long a thread sleeps at most before it looks again whether the key holder ends.
_LOOK_SECONDS = 1.0


def describe(holder: Holder, signed: Signed) -> Signed:
    """The catalogue: modulus, policy, versions, head of the ledger; to a second call, where the ledger stands."""
    if signed.kind == LedgerOrder.__name__:
        return _show_place(holder, signed)
    order = opened_order(signed, DescribeOrder, holder.keys.coordinators)
    _check_federation(holder, order.federation)
    catalogue = KeyHolderCatalogue(
        key_holder=holder.name,
        nonce=order.nonce,
        roster=holder.roster_digest,
        versions={name: version(name) for name in _PACKAGES},
        protocol=PROTOCOL,
        modulus=holder.public.text,
        policy=holder.policy.described(),
        certificate_expires=holder.keys.leaf.certificate.not_valid_after_utc.isoformat(),
        ledger_head=holder.ledger.head,
    )
    return holder.signed(catalogue)


def _check_federation(holder: Holder, asked: str) -> None:
    federation = holder.settings.roster.content.federation
    if asked != federation:
        raise ProtocolRefused(f"this key holder belongs to the federation {federation!r}.", code="WRONG_FEDERATION")


def _show_place(holder: Holder, signed: Signed) -> Signed:
    """Where the ledger stands, once it holds what a coordinator was shown of it."""
    order = opened_order(signed, LedgerOrder, holder.keys.coordinators)
    _check_federation(holder, order.federation)
    own = holder.own_ledger
    if order.shown is None:
        own.check()
    else:
        shown = from_text(order.shown)
        own.check_shown(open_signed(shown, LedgerPlace.__name__, LedgerPlace, holder.keys.identity.public_hex))
    return holder.signed(own.place)


def announced(holder: Holder, signed: Signed) -> DecryptOrder:
    """The order whose product is about to come, if it may be carried out."""
    order = opened_order(signed, DecryptOrder, holder.keys.coordinators)
    holder.own_ledger.check()
    if earlier_opening(holder, order, request_digest(signed)) is None:
        check_order(holder, signed.signer, order)
    return order


def take_in(holder: Holder, signed: Signed, product: Bytes) -> Signed:
    """Accept an order with its product, durably; opening it goes on after the answer."""
    order = announced(holder, signed)
    if len(product) != order.length or hashlib.sha256(product).hexdigest() != order.sha256:
        raise ProtocolRefused("the product is not the announced one. Nothing was opened.", code="DAMAGED_BLOB")
    earlier = earlier_opening(holder, order, request_digest(signed))
    if earlier is None or earlier.state is State.GONE:
        check_product(holder.public, product)
        holder.crash("before:ordered")
        _record(holder, signed, order, product)
        holder.crash("after:ordered")
    opening.begin(holder, order.pass_id)
    return holder.signed(Accepted(order.run, order.pass_id, holder.name, State.ORDERED.value))


def _record(holder: Holder, signed: Signed, order: DecryptOrder, product: Bytes) -> None:
    """Product and order are durable together; two calls with one order may have come together."""
    request = request_digest(signed)
    with holder.ledger.transaction():
        earlier = earlier_opening(holder, order, request)
        if earlier is not None and earlier.state is not State.GONE:
            return
        check_order(holder, signed.signer, order)
        holder.products.store(order.pass_id, product)
        if holder.records.run(order.run) is None:
            holder.records.begin_run(order.run, run_record(order, signed.signer))
        holder.records.order(order, request)
        holder.records.touch(order.run, datetime.now(UTC))
        body = {
            "run": order.run,
            "pass": order.pass_id,
            "request": request,
            "plan": order.plan,
            "nodes": ",".join(sorted(order.nodes)),
            "masked": "yes" if order.masked else "no",
            "product": order.sha256,
            "bytes": order.length,
            "coordinator": holder.keys.coordinators[signed.signer].name,
        }
        holder.ledger.append("ordered", body)


def fetch(holder: Holder, signed: Signed) -> tuple[int, Iterator[bytes]]:
    """Words of a pass from a byte offset on; waits until they are opened."""
    asked = opened_order(signed, FetchOrder, holder.keys.coordinators)
    one = _ordered_by(holder, asked, signed.signer)
    holder.records.touch(asked.run, datetime.now(UTC))
    whole = WORD_BYTES * one.order.words
    if not 0 <= asked.offset <= whole:
        raise ProtocolRefused(f"the words of this pass end at byte {whole}.", code="MALFORMED")
    return asked.offset, _words(holder, asked)


def _ordered_by(holder: Holder, asked: FetchOrder, signer: str) -> Opening:
    """The pass, if this coordinator ordered it."""
    one, run = holder.records.opening(asked.pass_id), holder.records.run(asked.run)
    if one is None or run is None or one.order.run != asked.run:
        raise ProtocolRefused("this pass was not ordered here.", code="UNKNOWN_PASS")
    if run.signer != signer:
        raise ProtocolRefused("another coordinator ordered this pass.", code="WRONG_SIGNER")
    return one


def _words(holder: Holder, asked: FetchOrder) -> Iterator[bytes]:
    one = _when_opened(holder, asked.pass_id)
    data = holder.words.load(asked.pass_id, one.words)
    if data is None:
        with holder.ledger.transaction():
            holder.records.set_gone(asked.pass_id)
        raise Failed("stored words were changed or are gone; order the pass again", code="DAMAGED_WORDS")
    yield data[asked.offset :]


def _when_opened(holder: Holder, pass_id: str) -> Opening:
    """The pass once its words are on disk."""
    work = holder.work
    with work.changed:
        while True:
            one = holder.records.opening(pass_id)
            if one is None or one.state is State.GONE:
                raise ProtocolRefused("the words of this pass are no longer kept; order it again.", code="GONE")
            if one.state is State.OPENED:
                return one
            if failure := work.failure(pass_id):
                raise failure
            if work.stopped:
                raise stopping()
            work.changed.wait(_LOOK_SECONDS)
