"""What stands around every order of an agent: refusals go into its ledger, the unexpected leaves as an incident."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import TypeVar

from fedstats.errors import FedstatsError, Refused
from fedstats.identity.signing import Signed
from fedstats.ledger import Ledger
from fedstats.serving.incidents import internal, stopping
from fedstats.serving.orders import request_digest

V = TypeVar("V")
T = TypeVar("T", bound=bytes | Signed)


@dataclass(frozen=True)
class Guard:
    """The guard of one agent.

    Attributes
    ----------
    stopped
        Says whether the agent is about to end.
    no_refusals
        Methods with codes that say what is to be sent first: no policy refuses anything by them.
    """

    ledger: Ledger
    stopped: Callable[[], bool]
    no_refusals: Collection[tuple[str, str]] = ()

    def answer(self, method: str, order: Signed | None, action: Callable[[], V]) -> V:
        """What an action gives; `order` is None where none was read yet.

        Raises
        ------
        FedstatsError
            A refusal, which is in the ledger, or a failure; what nobody expected is INTERNAL, with an incident.
        """
        if self.stopped():
            raise stopping()
        try:
            return action()
        except Refused as error:
            self._record(method, order, error)
            raise
        except FedstatsError:
            raise
        except Exception as error:
            raise internal(error) from error

    def pass_on(self, method: str, order: Signed, data: Iterator[T]) -> Iterator[T]:
        """Runs of bytes as they come; a refusal half-way is in the ledger, what nobody expected is INTERNAL."""
        try:
            yield from data
        except Refused as error:
            self._record(method, order, error)
            raise
        except FedstatsError:
            raise
        except Exception as error:
            raise internal(error) from error

    def _record(self, method: str, order: Signed | None, error: Refused) -> None:
        if (method, error.code) in self.no_refusals:
            return
        # Whoever is refused before an order was read is a peer whose certificate is pinned: strangers get no
        # connection, so they cannot make the ledger grow.
        request, signer = ("", "") if order is None else (request_digest(order), order.signer[:64])
        body = {"method": method, "request": request, "code": error.code, "signer": signer}
        self.ledger.append("refused", body)
