"""A coordinator that speaks with a key holder, for tests: a product up, opened words down."""

from dataclasses import dataclass, field

import numpy as np

from fedstats.identity.keys import Identity
from fedstats.identity.signing import Signed, open_signed, sign
from fedstats.privacy.primitives.stream import Ring
from fedstats.transport.base import Method
from fedstats.transport.patient import PatientTransport
from fedstats.wire.key_holder_messages import WORD_BYTES, DecryptOrder, KeyHolderCatalogue
from fedstats.wire.messages import Accepted, DescribeOrder, FetchOrder, FinishOrder


@dataclass(frozen=True)
class Line:
    """A line to a key holder; `own` is the coordinator's identity."""

    transport: PatientTransport
    name: str
    identity: str
    own: Identity = field(repr=False)

    def describe(self, order: DescribeOrder) -> KeyHolderCatalogue:
        """Who it is, and what it allows."""
        return open_signed(
            self.call("Describe", order), "KeyHolderCatalogue", KeyHolderCatalogue, self.identity, node=self.name
        )

    def open(self, order: DecryptOrder, product: bytes) -> Ring:
        """The sum in every lane of a product, modulo two to its width, shape (word,)."""
        self.accepted(self.transport.put(self.name, self.signed(order), product))
        pieces = self.transport.fetch(
            self.name,
            lambda offset: ("Fetch", self.signed(FetchOrder(order.run, order.pass_id, offset))),
            WORD_BYTES * order.words,
        )
        return np.frombuffer(b"".join(pieces), "<u8").astype(np.uint64)

    def finish(self, run: str) -> None:
        """The run is over: what is kept of it may be deleted there."""
        self.accepted(self.call("Finish", FinishOrder(run)))

    def call(self, method: Method, order: object) -> Signed:
        return self.transport.call(self.name, method, self.signed(order))

    def signed(self, order: object) -> Signed:
        return sign(self.own, type(order).__name__, order)

    def accepted(self, answer: Signed) -> Accepted:
        return open_signed(answer, "Accepted", Accepted, self.identity, node=self.name)
