"""What the tests of kills share: a small study and its run, agents that end at named points, what nodes computed.

The study is small but has what matters: chunks of two kinds, more chunks than are in flight, passes of two blocks.
"""

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fedstats
from fedstats.documents import decode
from fedstats.ledger import verify
from fedstats.results.associations import Associations
from fedstats.sandbox import processes
from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import SimulatedFiles, simulate
from fedstats.wire.messages import PassOrder

COVARIATES = ("age", "sex", "PC1", "PC2")
TRAIT = "q1"

#: More than a block (4,096 variants), so that a pass over a whole chunk has two.
CHUNK = 4_110
#: Chunks of 4,110, 4,110 and some more autosomal variants, and one of those on X; three of the four are in flight.
VARIANTS = 8_800
LAST_CHUNK = "3"

#: No command takes longer; one that does has hung.
COMMAND_SECONDS = 120.0
#: How long it may take to note that an agent ended.
GRACE_SECONDS = 2.0
#: --wait: long enough for an agent to start on a busy machine, and short enough to see that it does not come back.
PATIENT, IMPATIENT = "120s", "2s"

CRASH = "FEDSTATS_TEST_CRASH"
#: Exit status at a named point, as a shell reports a process that kill -9 ended.
KILLED = 137

Blocks = Counter[tuple[str, int, int]]
"""How often each block was computed: scope of its pass, call within the scope, number of the block in the pass."""


def simulated(prefix: Path, sites: int, *, samples: int = 900, variants: int = VARIANTS) -> SimulatedFiles:
    """A pooled study of some sites."""
    return simulate(prefix, Recipe(sites=sites, samples=samples, variants=variants, seed=7))


def sandbox_of(files: SimulatedFiles, folder: Path, **options: Any) -> Sandbox:
    """A sandbox under the default policy."""
    settings = {"covar": files.covariates, "site_column": "site", **options}
    return create(folder, bfile=files.prefix, pheno=files.phenotypes, **settings).sandbox


def gwas(sandbox: Sandbox, out: Path, *, wait: str = PATIENT, **options: Any) -> Associations:
    """The run of these tests, from this process."""
    with fedstats.connect(sandbox.federation_file) as federation:
        return federation.gwas(TRAIT, covariates=COVARIATES, pass_variants=CHUNK, out=out, wait=wait, **options)


def gwas_command(
    sandbox: Sandbox, out: Path, *flags: str, wait: str = PATIENT, crash: str = ""
) -> "subprocess.CompletedProcess[str]":
    """The same run as a command, in a process of its own."""
    words = [sys.executable, "-m", "fedstats.cli.main", "gwas", "--federation", str(sandbox.federation_file)]
    words += ["--pheno", TRAIT, "--covar", ",".join(COVARIATES), "--pass-variants", str(CHUNK), "--wait", wait]
    return subprocess.run(
        [*words, "--out", str(out), *flags],
        env={**os.environ, CRASH: crash},
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )


def tables(out: Path) -> dict[str, bytes]:
    """Bytes of every result table of a run, by what stands behind OUT in its name."""
    found = sorted(path for path in out.parent.glob(f"{out.name}.*") if path.name.endswith((".tsv.gz", ".parquet")))
    return {path.name.removeprefix(out.name): path.read_bytes() for path in found}


@dataclass
class Ledgers:
    """What each node of a sandbox recorded, from some moment on."""

    sandbox: Sandbox
    _marks: dict[str, int] = field(default_factory=dict)

    def mark(self) -> None:
        """Look only at what comes from here on."""
        self._marks = {node: len(verify(self.file(node))) for node in self.sandbox.nodes}

    def file(self, node: str) -> Path:
        """The ledger of a node."""
        return self.sandbox.node_folder(node) / "state" / "ledger.sqlite"

    def entries(self, node: str, kind: str) -> list[dict[str, Any]]:
        """Entries of one kind; the chain is verified on the way."""
        fresh = verify(self.file(node))[self._marks.get(node, 0) :]
        return [json.loads(entry.body) for entry in fresh if entry.kind == kind]

    def computed(self, node: str) -> Blocks:
        """Blocks that the node computed: their entries are written when their words are on disk."""
        orders = self._orders(node)
        of = [(orders[str(chunk["pass"])], int(chunk["number"])) for chunk in self.entries(node, "chunk")]
        return Counter((order.scope, order.call, number) for order, number in of)

    def passes(self, node: str) -> list[PassOrder]:
        """Passes of which the node computed anything."""
        orders = self._orders(node)
        return [orders[name] for name in {str(chunk["pass"]): None for chunk in self.entries(node, "chunk")}]

    def states(self, node: str) -> dict[tuple[str, int], str]:
        """State of the last attempt at each pass of which the node computed anything, by its place."""
        with closing(sqlite3.connect(self.file(node))) as connection:
            found = dict(connection.execute("SELECT pass_id, state FROM passes"))
        return {(one.scope, one.call): str(found[one.pass_id]) for one in self.passes(node)}

    def _orders(self, node: str) -> dict[str, PassOrder]:
        with closing(sqlite3.connect(self.file(node))) as connection:
            return {
                str(key): decode(PassOrder, body)
                for key, body in connection.execute("SELECT pass_id, body FROM passes")
            }


@contextmanager
def mortal(sandbox: Sandbox, node: str, *points: str, back: bool = True) -> Iterator[None]:
    """The agent of one node ends at each of some points in turn while the block runs.

    A moment after each death it is started again, and ends at the next point; after the last one it stays, or with
    `back=False` it stays away, also when the block is left. The test fails where a point was not reached.
    """
    restart_with(sandbox, node, points[0])
    left, over = list(points), threading.Event()
    deaths = threading.Thread(target=_die, args=(sandbox, node, left, over, back), daemon=True)
    deaths.start()
    try:
        yield
    finally:
        deaths.join(GRACE_SECONDS)
        over.set()
        deaths.join(COMMAND_SECONDS)
        if left and processes.process_of(sandbox, node) is not None:
            processes.kill(sandbox, node)  # what is still to come must not come in another test
    assert not left, f"{node} never came to {left[0]}"


def _die(sandbox: Sandbox, node: str, left: list[str], over: threading.Event, back: bool) -> None:
    while left:
        while processes.process_of(sandbox, node) is not None:
            if over.wait(0.02):
                return
        del left[0]
        if left or back:
            time.sleep(0.3)
            processes.start_one(sandbox, node, environment={CRASH: left[0] if left else ""})


def restart_with(sandbox: Sandbox, node: str, point: str) -> None:
    """End an agent that runs and start it so that it ends at a point."""
    if processes.process_of(sandbox, node) is not None:
        processes.kill(sandbox, node)
    processes.start_one(sandbox, node, environment={CRASH: point})
    processes.wait_until_ready(sandbox)


def all_up(sandbox: Sandbox) -> None:
    """Every agent runs, none of them to end at a point."""
    processes.start(sandbox, environment={CRASH: ""})
