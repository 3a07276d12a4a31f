"""The panel's bytes are made once, however many nodes wait for them side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

from fedstats.coordinator.session import _PanelBytes

NODES = 8


def test_the_panels_bytes_are_made_once_for_all_nodes() -> None:
    made, together = [], threading.Barrier(NODES)

    def lines():
        made.append(threading.current_thread())
        yield b"1\t10\ta\tA\tC\n"
        yield b"1\t20\tb\tA\tC\n"

    whole = _PanelBytes(SimpleNamespace(lines=lines))

    def ask() -> memoryview:
        together.wait()
        return whole.get()

    with ThreadPoolExecutor(NODES) as pool:
        found = [one.result() for one in [pool.submit(ask) for _ in range(NODES)]]

    assert len(made) == 1
    assert set(map(bytes, found)) == {b"1\t10\ta\tA\tC\n1\t20\tb\tA\tC\n"}
