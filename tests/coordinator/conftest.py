"""Steps of these tests are known only while one of them runs: the table of real steps stays as it is."""

import pytest

from fedstats.step import STEPS
from tests.coordinator.federation_of_nodes import STEPS_OF_TESTS


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for step in STEPS_OF_TESTS:
        monkeypatch.setitem(STEPS, step.name, step)
