"""What stands around every order of an agent: refusals go into its ledger, the unexpected leaves as an incident."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from fedstats.errors import FedstatsError, Refused
from fedstats.identity.signing import Signed
from fedstats.ledger import Ledger
from fedstats.serving.incidents import internal, stopping
from fedstats.serving.orders import request_digest

V = TypeVar("V")


@dataclass(frozen=True)
class Guard:
    """The guard of one agent; `stopped` says whether it is about to end."""

    ledger: Ledger
    stopped: Callable[[], bool]

    def answer(self, method: str, order: Signed, action: Callable[[], V]) -> V:
        """What an action gives.

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

    def pass_on(self, data: Iterator[bytes]) -> Iterator[bytes]:
        """Runs of bytes as they come; what nobody expected is INTERNAL."""
        try:
            yield from data
        except FedstatsError:
            raise
        except Exception as error:
            raise internal(error) from error

    def _record(self, method: str, order: Signed, error: Refused) -> None:
        body = {"method": method, "request": request_digest(order), "code": error.code, "signer": order.signer[:64]}
        self.ledger.append("refused", body)
