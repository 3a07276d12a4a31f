"""A scan of a sandbox's sites in one process: LocalFederation; with --kernel, the time of the nodes' steps alone.

python -m benchmarks.one_process SANDBOX --pheno q1 --covar age,sex --out OUT
"""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fedstats.lean_process import lean_process, load_arrow_alone


@dataclass
class Spent:
    """Seconds spent in steps that read genotypes."""

    wall: float = 0.0
    client_cpu: float = 0.0


def main() -> None:
    """Load the sites as agents do, run the scan."""
    arguments = _arguments()
    lean_process()
    load_arrow_alone()
    federation = _federation(arguments.sandbox)
    traits, covariates = arguments.pheno.split(","), arguments.covar.split(",")
    federation.gwas(traits, covariates=covariates, out=arguments.out)
    if arguments.kernel:
        # The first run has compiled and read everything.
        with _stopwatch() as spent:
            federation.gwas(traits, covariates=covariates)
        arguments.kernel.write_text(json.dumps(vars(spent)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sandbox", type=Path)
    parser.add_argument("--pheno", required=True)
    parser.add_argument("--covar", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--kernel", type=Path, help="run once more and write seconds of the steps to this file")
    return parser.parse_args()


def _federation(folder: Path) -> Any:  # Any: imported below, after the process is settled
    from fedstats.frontend.local_backend import LocalFederation
    from fedstats.planning.panel_files import read_panel
    from fedstats.sandbox.folder import open_sandbox
    from fedstats.study import Floors
    from node_agent.datasets.load import DatasetFiles, load_dataset

    made = open_sandbox(folder)
    panel = read_panel(folder / "panel.bim")
    sites = {name: made.node_folder(name) for name in made.nodes}
    files = {
        name: DatasetFiles(at / "genotypes.bed", at / "phenotypes.tsv", at / "covariates.tsv")
        for name, at in sites.items()
    }
    loaded = {name: load_dataset(of, panel).dataset for name, of in files.items()}
    return LocalFederation(loaded, panel, floors=Floors())


@contextmanager
def _stopwatch() -> Iterator[Spent]:
    """Add up what steps that read genotypes take; LocalFederation calls them one after another."""
    from fedstats.step import Step

    spent, call = Spent(), Step.__call__

    def timed(step: Any, cohort: Any, parameters: Any) -> Any:  # Any: as generic as the step
        wall, cpu = time.perf_counter(), time.process_time()
        try:
            return call(step, cohort, parameters)
        finally:
            if step.genotypes:
                spent.wall += time.perf_counter() - wall
                spent.client_cpu += time.process_time() - cpu

    Step.__call__ = timed  # type: ignore[method-assign,assignment]  # for this measurement only
    try:
        yield spent
    finally:
        Step.__call__ = call  # type: ignore[method-assign]  # as it was


if __name__ == "__main__":
    main()
