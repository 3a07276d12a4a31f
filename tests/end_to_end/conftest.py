"""Real agents as processes over mutual TLS, with the real genotypes split into sites.

Tests of one file run in one worker, so that each split is started once or twice.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fedstats.sandbox import processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from tests.end_to_end.error_sites import Sites, full_disk, make_sites
from tests.real_data import FOLDER, needs_real_data


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "end_to_end" in str(item.path):
            item.add_marker(pytest.mark.processes)


@pytest.fixture(scope="session")
def split_hapmap3(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Sandbox]:
    """Make a sandbox of the HapMap3 genotypes by a column of the covariate table."""

    def split(site_column: str, **options: object) -> Sandbox:
        folder = tmp_path_factory.mktemp(site_column) / "sandbox"
        settings: dict[str, object] = {"policy": "validation", "build": "NCBI36", **options}
        return create(
            folder,
            bfile=FOLDER / "hm3",
            pheno=FOLDER / "pheno.tsv",
            covar=FOLDER / "covar_pc.tsv",
            site_column=site_column,
            **settings,  # type: ignore[arg-type]  # the keywords of create
        ).sandbox

    return split


@pytest.fixture(scope="session")
def three_sites(split_hapmap3: Callable[..., Sandbox]) -> Iterator[Sandbox]:
    """Three running agents, split by site3."""
    sandbox = split_hapmap3("site3")
    processes.start(sandbox)
    yield sandbox
    processes.stop(sandbox)


@pytest.fixture(scope="session")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    """Three running agents of made-up data on which everything can go wrong; their disks can be said to be full."""
    folder = tmp_path_factory.mktemp("sites")
    made = make_sites(folder)
    spool = full_disk(folder / "node-disk-is-full", "*.words")
    try:
        processes.start(made.sandbox, environment=spool)
        yield made
    finally:
        processes.stop(made.sandbox)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Prefix for the files of a run."""
    return tmp_path / "run"


pytestmark = needs_real_data()
