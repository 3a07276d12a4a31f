"""The key holder without a network: one signed order in, one signed answer or a run of bytes out."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from fedstats.arrays import Bytes
from fedstats.identity.signing import Signed
from fedstats.serving.guard import Guard
from fedstats.wire.key_holder_messages import DecryptOrder
from key_holder import finishing, opening, orders
from key_holder.holder import Holder

HANDLERS: Mapping[str, Callable[[Holder, Signed], Signed]] = {"Describe": orders.describe, "Finish": finishing.finish}
STREAMS: Mapping[str, Callable[[Holder, Signed], tuple[int, Iterator[bytes]]]] = {"Fetch": orders.fetch}


@dataclass(frozen=True)
class Agent:
    """A key holder that answers; may be called from many threads."""

    holder: Holder

    @property
    def name(self) -> str:
        """The name in the roster."""
        return self.holder.name

    @property
    def guard(self) -> Guard:
        """What stands around every order, so that its refusals are in the ledger."""
        return Guard(self.holder.ledger, lambda: self.holder.work.stopped)

    def call(self, method: str, order: Signed) -> Signed:
        """The signed answer to a signed order.

        Raises
        ------
        FedstatsError
            A refusal, which is in the ledger, or a failure; what nobody expected is INTERNAL, with an incident.
        """
        return self.guard.answer(method, order, lambda: HANDLERS[method](self.holder, order))

    def announced(self, order: Signed) -> DecryptOrder:
        """An order to decrypt, before its product is taken in."""
        return self.guard.answer("Put", order, lambda: orders.announced(self.holder, order))

    def put(self, order: Signed, data: Bytes) -> Signed:
        """Take in a product."""
        return self.guard.answer("Put", order, lambda: orders.take_in(self.holder, order, data))

    def fetch(self, method: str, order: Signed) -> tuple[int, Iterable[bytes]]:
        """The offset that an order asks for, and the bytes from there on."""
        first, data = self.guard.answer(method, order, lambda: STREAMS[method](self.holder, order))
        return first, self.guard.pass_on(method, order, data)

    def resume(self) -> None:
        """Go on with what a crash or a restart interrupted."""
        self.tend()
        opening.resume(self.holder)

    def tend(self) -> None:
        """Forget runs that nobody asked for anything for long."""
        finishing.end_forgotten(self.holder)
