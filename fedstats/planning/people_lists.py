"""Keep and remove lists as bytes that are sent to nodes once, bound to the request by their digest."""

import hashlib
import json

from fedstats.dataset import People
from fedstats.errors import ProtocolRefused

#: A longer list is no list of people.
LONGEST_LIST = 5_000_000


def people_bytes(people: People) -> bytes:
    """Canonical JSON of the lists, b"" where there are none."""
    if people == People():
        return b""
    keep = None if people.keep is None else sorted(people.keep)
    return json.dumps({"keep": keep, "remove": sorted(people.remove)}, separators=(",", ":")).encode("ascii")


def people_digest(people: People) -> str:
    """SHA-256 of the lists as a request carries it, "" where there are none."""
    body = people_bytes(people)
    return hashlib.sha256(body).hexdigest() if body else ""


def read_people(body: bytes) -> People:
    """The lists that `people_bytes` wrote.

    Raises
    ------
    ProtocolRefused
        The bytes are something else.
    """
    if not body:
        return People()
    try:
        found = json.loads(body)
        keep = None if found["keep"] is None else _pairs(found["keep"])
        people = People(keep, _pairs(found["remove"]))
    except (ValueError, TypeError, KeyError):
        raise ProtocolRefused("the lists of people are not well formed", code="MALFORMED") from None
    if people_bytes(people) != body:
        raise ProtocolRefused("the lists of people are not in canonical form", code="MALFORMED")
    return people


def _pairs(listed: list[list[str]]) -> frozenset[tuple[str, str]]:
    if len(listed) > LONGEST_LIST:
        raise ValueError("too long")
    return frozenset((str(family), str(individual)) for family, individual in listed)
