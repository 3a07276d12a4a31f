from pathlib import Path

import pytest

from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate
from tests.cli.command import Command


@pytest.fixture
def fedstats(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command, run in this process."""
    monkeypatch.delenv("FEDSTATS_TRACEBACK", raising=False)
    return Command(monkeypatch, capsys)


@pytest.fixture(scope="session")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Prefix of a small simulated study of three sites."""
    prefix = tmp_path_factory.mktemp("study") / "pooled"
    simulate(prefix, Recipe(samples=300, variants=100, seed=3))
    return prefix


@pytest.fixture(scope="session")
def sandbox(pooled: Path, tmp_path_factory: pytest.TempPathFactory) -> Sandbox:
    """A sandbox whose agents do not run."""
    return create(
        tmp_path_factory.mktemp("box") / "box",
        bfile=pooled,
        pheno=Path(f"{pooled}.pheno.tsv"),
        covar=Path(f"{pooled}.covar.tsv"),
        site_column="site",
    ).sandbox
