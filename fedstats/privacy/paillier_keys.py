"""The private key of a key holder on its disk: two primes, in a file for its owner alone."""

import json
from dataclasses import dataclass
from pathlib import Path

from fedstats.documents import decode, document
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.identity.keys import read_secret, write_secret
from fedstats.privacy.primitives.paillier import PrivateKey


@document
@dataclass(frozen=True)
class PaillierKeyFile:
    """What the file holds, both numbers in hexadecimal."""

    p: str
    q: str


def save_key(key: PrivateKey, path: Path) -> None:
    """Write a key as JSON, mode 0600; a file that exists is never overwritten."""
    write_secret(path, json.dumps({"p": f"{key.p:x}", "q": f"{key.q:x}"}).encode())


def load_key(path: Path) -> PrivateKey:
    """Read a key; refuse a file that others can read, or that holds something else.

    Raises
    ------
    UsageError
        KEY_READABLE or BAD_KEY.
    """
    content = read_secret(path)
    try:
        found = decode(PaillierKeyFile, content)
        return PrivateKey(int(found.p, 16), int(found.q, 16))
    except (ProtocolRefused, ValueError):
        raise UsageError(f"{path.name} holds no Paillier key.", code="BAD_KEY") from None
