"""An honest node for tests of the coordinator: the node's half of every step over data in memory, nothing durable.

It answers a repeated order with the bytes of its first answer, counts what it computes, and can be away: `before` and
`after` are called around every order and may raise NodeUnreachable (after: the work is done, the answer is lost).
"""

import hashlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from fedstats.additive import Limits
from fedstats.dataset import Dataset, cohort_of, with_block
from fedstats.documents import digest
from fedstats.errors import ProtocolRefused
from fedstats.fixed_point import encode
from fedstats.identity.signing import Signed, open_signed, sign
from fedstats.planning.survey import ModelServe, Serve
from fedstats.privacy.certify import SCALARS, check_total, make_scalars
from fedstats.privacy.masking_node import (
    Party,
    begin_pass,
    make_ready,
    masks_when_all_ready,
    open_channels,
    open_run,
    release_seed_shares,
    sign_complete,
)
from fedstats.privacy.messages import PassSecret, ReadySecret, RunSecret
from fedstats.privacy.transcript import with_check_word
from fedstats.step import STEPS, from_arrays
from fedstats.study import Block, Model
from fedstats.wire import messages as m
from fedstats.wire.arrays import asks_from_bytes
from fedstats.wire.passes import members, pass_context, plain_transcript, run_context

Hook = Callable[[str, str], None]


def be_there(node: str, method: str) -> None:
    """Answer everything."""


@dataclass
class HeldPass:
    order: m.PassOrder
    secret: PassSecret | None = None
    ready: ReadySecret | None = None
    words: bytes | None = None
    own: np.ndarray | None = None
    receipted: bool = False
    certified: bool = False


@dataclass
class HonestNode:
    party: Party
    coordinator: str  # identity, hexadecimal
    dataset: Dataset
    continue_without_me: bool = False
    completes_behind_words: bool = False
    before: Hook = be_there
    after: Hook = be_there
    computed: Counter = field(default_factory=Counter)
    abandoned: set = field(default_factory=set)
    finished: set = field(default_factory=set)
    passes: dict = field(default_factory=dict)
    plans: dict = field(default_factory=dict)
    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    runs: dict[str, tuple[m.Plan, RunSecret]] = field(default_factory=dict)
    run_keys: dict = field(default_factory=dict)
    blobs: dict = field(default_factory=dict)
    answers: dict = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.party.name

    def call(self, method: str, order: Signed) -> Signed:
        self.before(self.name, method)
        key = (method, order.kind, order.body)
        # As in a transaction of an agent: threads of a run that broke off may still ask beside those of the next.
        with self.lock:
            if key not in self.answers:
                self.answers[key] = getattr(self, f"_{method.lower()}")(order)
        self.after(self.name, method)
        return self.answers[key]

    def put(self, order: Signed, data: bytes) -> Signed:
        self.before(self.name, "Put")
        announced = self._read(order, m.BlobOrder)
        assert hashlib.sha256(data).hexdigest() == announced.sha256
        self.blobs[announced.sha256] = data
        self.after(self.name, "Put")
        return self._sign(m.BlobStored(announced.sha256, self.name))

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes | Signed]]:
        self.before(self.name, method)
        with self.lock:
            offset = self._compute(order) if method == "Compute" else self._read(order, m.FetchOrder).offset
        held = self._pass(pass_of(order))
        assert held.words is not None

        def runs() -> Iterable[bytes | Signed]:
            half = (offset + len(held.words) + 1) // 2
            yield held.words[offset:half]
            self.after(self.name, method)
            yield held.words[half:]
            if self.completes_behind_words and held.ready is not None:
                yield sign_complete(self.party, held.ready)

        return offset, runs()

    def _propose(self, signed: Signed) -> Signed:
        plan = self._read(signed, m.Plan)
        self.plans[digest(plan)] = plan
        serve = Serve(tuple(ModelServe(model.id, model.id) for model in plan.study.models))
        return self._sign(m.Serving(plan.run, self.name, digest(plan), serve, self.continue_without_me))

    def _begin(self, signed: Signed) -> Signed:
        if signed.kind == "RunKeysOrder":
            keys = self._read(signed, m.RunKeysOrder)
            self.run_keys[keys.run] = [_from_text(text) for text in keys.keys.values()]
            return self._sign(m.Accepted(keys.run, "", self.name, "begun"))
        order = self._read(signed, m.BeginOrder)
        plan = self.plans[order.plan]
        secret, answer = open_run(self.party, run_context(plan))
        self.runs[order.run] = (plan, secret)
        return answer

    def _open(self, signed: Signed) -> Signed:
        order = self._read(signed, m.PassOrder)
        if order.pass_id in self.abandoned:
            raise ProtocolRefused("the pass is abandoned", code="ABANDONED", node=self.name)
        if order.pass_id in self.passes:
            raise ProtocolRefused("the pass exists with other content", code="OTHER_CONTENT", node=self.name)
        if order.asks not in self.blobs:
            raise ProtocolRefused("what is asked was not put here", code="NO_BLOB", node=self.name)
        held = self.passes[order.pass_id] = HeldPass(order)
        plan, run_secret = self.runs[order.run]
        if plan.privacy == "plain":
            return self._sign(m.Accepted(order.run, order.pass_id, self.name, "opened"))
        context = pass_context(plan, order)
        channels = open_channels(self.party, context.of_run, run_secret, self.run_keys[order.run])
        held.secret, answer = begin_pass(self.party, context, channels, "head")
        return answer

    def _ready(self, signed: Signed) -> Signed:
        order = self._read(signed, m.ReadyOrder)
        held = self._pass(order.pass_id)
        plan, run_secret = self.runs[order.run]
        keys = [_from_text(text) for text in order.keys.values()]
        context = pass_context(plan, held.order)
        channels = open_channels(self.party, context.of_run, run_secret, self.run_keys[order.run])
        held.ready, answer = make_ready(self.party, context, channels, held.secret, keys)
        return answer

    def _compute(self, signed: Signed) -> int:
        order = self._read(signed, m.ComputeOrder)
        held = self._pass(order.pass_id)
        if held.words is not None:
            return 0
        plan, _ = self.runs[order.run]
        words = self._words(plan, held, self._transcript(held))
        if held.ready is not None:
            readies = [_from_text(text) for text in order.signatures.values()]
            words = masks_when_all_ready(held.ready, readies).apply(words, 0)
        held.words = words.astype("<u8").tobytes()
        return 0

    def _commit(self, signed: Signed) -> Signed:
        held = self._pass(self._read(signed, m.CommitOrder).pass_id)
        assert held.words is not None
        return sign_complete(self.party, held.ready)

    def _unmask(self, signed: Signed) -> Signed:
        order = self._read(signed, m.UnmaskOrder)
        completes = [_from_text(text) for text in order.signatures.values()]
        return release_seed_shares(self.party, self._pass(order.pass_id).ready, completes)

    def _certify(self, signed: Signed) -> Signed:
        order = self._read(signed, m.CertifyOrder)
        held = self._pass(order.pass_id)
        ids = (order.run, order.pass_id)
        return sign(
            self.party.identity,
            SCALARS,
            make_scalars(ids, self.name, self._transcript(held), order.total, held.own, held.ready),
        )

    def _transcript(self, held: HeldPass) -> str:
        plan, _ = self.runs[held.order.run]
        return plain_transcript(pass_context(plan, held.order)) if held.ready is None else held.ready.transcript

    def certified(self) -> int:
        """How many totals the node has certified."""
        return sum(held.certified for held in self.passes.values())

    def _receipt(self, signed: Signed) -> Signed:
        order = self._read(signed, m.ReceiptOrder)
        held = self._pass(order.pass_id)
        assert hashlib.sha256(held.words).hexdigest() == order.sha256
        if order.total:
            plan, _ = self.runs[order.run]
            scalars = [_from_text(text) for text in order.scalars.values()]
            ids, claim = (order.run, order.pass_id), self.blobs[order.total]
            check_total(ids, members(plan), self._transcript(held), claim, scalars)
            held.certified = True
        held.receipted = True
        return self._sign(m.Accepted(order.run, order.pass_id, self.name, "closed"))

    def _finish(self, signed: Signed) -> Signed:
        order = self._read(signed, m.FinishOrder)
        self.finished.add(order.run)
        return self._sign(m.Accepted(order.run, "", self.name, "finished"))

    def _abandon(self, signed: Signed) -> Signed:
        order = self._read(signed, m.AbandonOrder)
        self.abandoned.add(order.pass_id)
        self.passes.pop(order.pass_id, None)
        return self._sign(m.Accepted(order.run, order.pass_id, self.name, "abandoned"))

    def _words(self, plan: m.Plan, held: HeldPass, transcript: str) -> np.ndarray:
        order = held.order
        step = STEPS[order.step]
        model = next(model for model in plan.study.models if model.id == order.model)
        self.computed[order.pass_id] += 1
        index = plan.study.nodes.index(self.name)
        released = [self._release(step, model, *asked) for asked in asks_from_bytes(self.blobs[order.asks])]
        held.own = np.concatenate(released)
        parts = [with_check_word(words, transcript, number, index) for number, words in enumerate(released)]
        return np.concatenate(parts)

    def _release(self, step: object, model: Model, variants: object, arrays: dict) -> np.ndarray:
        cohort = cohort_of(self.dataset, model, np.ones(self.dataset.people, np.bool_))
        block = None if variants is None else Block(variants)
        if block is not None:
            cohort = with_block(cohort, self.dataset, block.variants)
        parameters = from_arrays(step.parameters, arrays)
        return encode(step(cohort, parameters), step.sizes(model, parameters, block), Limits())

    def _pass(self, pass_id: str) -> HeldPass:
        if pass_id in self.abandoned:
            raise ProtocolRefused("the pass is abandoned", code="ABANDONED", node=self.name)
        if pass_id not in self.passes:
            raise ProtocolRefused("there is no such pass", code="UNKNOWN_PASS", node=self.name)
        return self.passes[pass_id]

    def _read(self, signed: Signed, kind: type) -> object:
        return open_signed(signed, kind.__name__, kind, self.coordinator)

    def _sign(self, answer: object) -> Signed:
        return sign(self.party.identity, type(answer).__name__, answer)


def _from_text(text: m.SignedText) -> Signed:
    return Signed(text.kind, text.signer, bytes.fromhex(text.body), bytes.fromhex(text.signature))


def pass_of(order: Signed) -> str:
    """Pass id of an order of a step."""
    return str(json.loads(order.body)["pass_id"])
