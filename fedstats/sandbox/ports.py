"""Ports of loopback for the agents of a sandbox."""

import random
import socket

from fedstats.errors import Failed

#: Below the range from which Linux takes ports for outgoing connections, so that none is in the way when agents start.
PORTS = range(20_000, 32_000)

#: Ports that this process gave out: the agents that are to have them need not listen yet.
_GIVEN_OUT: set[int] = set()


def free_ports(number: int) -> list[int]:
    """Ports on which nobody listens, none of them given out before by this process.

    Raises
    ------
    Failed
        Code NO_PORTS: there are not so many.
    """
    candidates = [port for port in PORTS if port not in _GIVEN_OUT]
    random.SystemRandom().shuffle(candidates)
    found: list[int] = []
    while len(found) < number:
        if not candidates:
            raise Failed(f"there are no {number} free ports from {PORTS[0]} to {PORTS[-1]}", code="NO_PORTS")
        port = candidates.pop()
        if is_free(port):
            found.append(port)
    _GIVEN_OUT.update(found)
    return found


def is_free(port: int) -> bool:
    """Whether an agent could listen on a port of loopback now."""
    with socket.socket() as probe:
        # As gRPC does: what is left of connections of an agent that ended is not in the way of the next.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
