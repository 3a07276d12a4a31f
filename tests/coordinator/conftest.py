"""Steps of these tests are known only while one of them runs: the table of real steps stays as it is.

Nor do they wait for the disk: no test can tell whether bytes outlive a power cut, and waiting took most of their time.
"""

import os

import pytest

from tests.coordinator.federation_of_nodes import know_steps


@pytest.fixture(autouse=True)
def _steps(monkeypatch: pytest.MonkeyPatch) -> None:
    know_steps(monkeypatch)


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)
