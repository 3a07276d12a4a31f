"""Encrypting this node's words for the key holder of the roster: worker processes, started when a run first asks."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from fedstats.errors import ProtocolRefused
from fedstats.privacy.extras import need_paillier
from fedstats.privacy.masking import Masks

if TYPE_CHECKING:  # the extra `paillier`
    from fedstats.privacy.paillier import Paillier
    from fedstats.privacy.paillier_workers import Workers


@dataclass
class Encryption:
    """What encrypts under one modulus, on several cores, as long as the agent lives.

    Attributes
    ----------
    modulus
        The key holder's in the roster, hexadecimal; "" where there is none.
    processes
        How many may encrypt at once; each takes a third of a second to start, and 30 MB at 3072 bits.
    """

    modulus: str
    processes: int
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _workers: "Workers | None" = None

    def check(self) -> None:
        """See that this node can encrypt.

        Raises
        ------
        ProtocolRefused
            NO_KEY_HOLDER: the roster has none.
        UsageError
            MISSING_EXTRA: the libraries are not installed here.
        """
        if not self.modulus:
            raise ProtocolRefused(
                "the roster names no key holder with a modulus, so nothing can be encrypted; nothing was sent.",
                code="NO_KEY_HOLDER",
            )
        need_paillier()

    def conceal(self, transcript: str, masks: Masks | None) -> "Paillier":
        """The protection of a pass, with masks inside the ciphertexts unless they are switched off."""
        self.check()
        from fedstats.privacy.paillier import Paillier, public_key

        return Paillier(public_key(self.modulus), self._encrypt, transcript, masks)

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            if self._workers is not None:
                self._workers.close()

    def _encrypt(self, batches: Iterable[bytes]) -> Iterator[bytes]:
        return self._started()(batches)

    def _started(self) -> "Workers":
        from fedstats.privacy.paillier import public_key
        from fedstats.privacy.paillier_tasks import encryption
        from fedstats.privacy.paillier_workers import Workers

        with self._lock:
            if self._workers is None:
                self._workers = Workers(encryption(public_key(self.modulus)), self.processes)
            return self._workers
