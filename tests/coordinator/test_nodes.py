"""Orders of the coordinator: one that goes to several nodes is signed once, also where they are asked at one moment."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from fedstats.coordinator import nodes as coordinator_nodes
from fedstats.coordinator.nodes import Nodes
from fedstats.identity.keys import generate_identity
from fedstats.identity.signing import sign
from fedstats.transport.in_process import InProcessTransport
from fedstats.transport.patient import PatientTransport
from fedstats.wire.messages import FinishOrder


def test_an_order_that_several_threads_send_is_signed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = Nodes(PatientTransport(InProcessTransport({}), 0.0), generate_identity(), {})
    made, order, together = [], FinishOrder("run-1"), threading.Barrier(4)

    def slow(*arguments: object) -> object:
        time.sleep(0.05)
        made.append(sign(*arguments))  # type: ignore[arg-type]  # those of sign
        return made[-1]

    def ask(_: int) -> object:
        together.wait(10)
        return nodes.signed(order)

    monkeypatch.setattr(coordinator_nodes, "sign", slow)
    with ThreadPoolExecutor(4) as pool:
        signed = list(pool.map(ask, range(4)))

    assert len(made) == 1
    assert all(one is made[0] for one in signed)


def test_equal_orders_that_are_not_the_same_are_each_signed() -> None:
    nodes = Nodes(PatientTransport(InProcessTransport({}), 0.0), generate_identity(), {})

    first, second = nodes.signed(FinishOrder("run-1")), nodes.signed(FinishOrder("run-1"))

    assert first == second
    assert first is not second
