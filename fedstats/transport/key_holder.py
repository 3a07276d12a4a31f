"""A key holder as a coordinator speaks with it: a product up, opened words down, over the same lines as nodes.

A lost answer is asked for again, and words that broke off go on where they stopped (see `patient`).
"""

from dataclasses import dataclass, field

import numpy as np

from fedstats.identity.keys import Identity
from fedstats.identity.signing import Signed, open_signed, sign
from fedstats.privacy.primitives.stream import Ring
from fedstats.transport.base import Deadlines, Method
from fedstats.transport.grpc_transport import GrpcTransport
from fedstats.transport.patient import PatientTransport
from fedstats.transport.pinning import Caller, Peer
from fedstats.wire.generated.fedstats.v1 import key_holder_pb2_grpc
from fedstats.wire.key_holder_messages import WORD_BYTES, DecryptOrder, KeyHolderCatalogue
from fedstats.wire.messages import Accepted, DescribeOrder, FetchOrder, FinishOrder

ROLE = "keyholder"


def key_holder_line(caller: Caller, peer: Peer, deadlines: Deadlines | None = None) -> GrpcTransport:
    """A line to a key holder, whose `peer` has the role "keyholder"; wrap it in a `PatientTransport`."""
    return GrpcTransport(caller, {peer.name: peer}, deadlines or Deadlines(), client=key_holder_pb2_grpc.KeyHolderStub)


@dataclass(frozen=True)
class KeyHolder:
    """A key holder; may be called from many threads.

    Attributes
    ----------
    transport
        A line to it.
    name, identity
        As in the roster.
    own
        The coordinator's identity, which signs every order.
    """

    transport: PatientTransport
    name: str
    identity: str
    own: Identity = field(repr=False)

    def describe(self, order: DescribeOrder) -> KeyHolderCatalogue:
        """Who it is, and what it allows."""
        return open_signed(
            self._call("Describe", order), "KeyHolderCatalogue", KeyHolderCatalogue, self.identity, node=self.name
        )

    def open(self, order: DecryptOrder, product: bytes) -> Ring:
        """The sum in every lane of a product, modulo two to its width, shape (word,).

        Parameters
        ----------
        order
            Of the pass; its length and hash are those of the product.
        product
            Ciphertexts of all blocks, one after the other.

        Raises
        ------
        FedstatsError
            Whatever the key holder answered instead, or NodeUnreachable when waiting was over.
        """
        self._accepted(self.transport.put(self.name, self._signed(order), product))
        pieces = self.transport.fetch(
            self.name,
            "Fetch",
            lambda offset: self._signed(FetchOrder(order.run, order.pass_id, offset)),
            WORD_BYTES * order.words,
        )
        return np.frombuffer(b"".join(pieces), "<u8").astype(np.uint64)

    def finish(self, run: str) -> None:
        """The run is over: what is kept of it may be deleted there."""
        self._accepted(self._call("Finish", FinishOrder(run)))

    def _call(self, method: Method, order: object) -> Signed:
        return self.transport.call(self.name, method, self._signed(order))

    def _signed(self, order: object) -> Signed:
        return sign(self.own, type(order).__name__, order)

    def _accepted(self, answer: Signed) -> Accepted:
        return open_signed(answer, "Accepted", Accepted, self.identity, node=self.name)
