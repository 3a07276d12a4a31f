"""What holds for every test: ports that no other worker has, no clock for examples, and signals as at a terminal.

A busy machine must not decide whether a test passes.
"""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from fedstats.kept_kernels import forget_old_kernels
from fedstats.sandbox import ports

settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Shells start commands in the background with SIGINT ignored, which processes of tests would inherit."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _kernels_of_these_sources() -> None:
    """Nothing is tested that was compiled from what a kernel was before."""
    forget_old_kernels()


@pytest.fixture(scope="session", autouse=True)
def _own_ports() -> Iterator[None]:
    """Every worker finds ports in a share of its own."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ports, "PORTS", ports.PORTS[number::workers])
        yield
