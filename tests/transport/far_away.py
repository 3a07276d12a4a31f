"""A line through which a node on this machine is as far away as one at the other end of the world."""

import contextlib
import socket
import threading
import time
from collections.abc import Iterator


@contextlib.contextmanager
def far_away(address: str, seconds: float) -> Iterator[str]:
    """An address at which the one given answers, everything on its way for so long in each direction."""
    host, _, port = address.rpartition(":")
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_accept, args=(server, (host, int(port)), seconds), daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"


def _accept(server: socket.socket, there: tuple[str, int], seconds: float) -> None:
    with contextlib.suppress(OSError):  # closed: the test is over
        while True:
            here, _ = server.accept()
            beyond = socket.create_connection(there)
            for source, sink in ((here, beyond), (beyond, here)):
                threading.Thread(target=_carry, args=(source, sink, seconds), daemon=True).start()


def _carry(source: socket.socket, sink: socket.socket, seconds: float) -> None:
    """What comes in goes out a while later; nobody waits for an answer here, so one piece at a time will do."""
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            time.sleep(seconds)
            sink.sendall(data)
    for end in (source, sink):
        end.close()
