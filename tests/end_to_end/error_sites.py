"""Three sites on which everything can go wrong, and the commands as processes.

FI has A1 and A2 exchanged throughout and does not allow `--missing drop`; EE has other alleles at seven variants and
does not allow `plain`; NO allows no logistic model, has the trait q60 of 60 people only, and calls height heigth.
Identifiers of people, names of data files and one value of each trait are canaries: they must never leave a node.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from fedstats.sandbox.create import create
from fedstats.sandbox.folder import Sandbox
from fedstats.simulate.recipe import Recipe
from fedstats.simulate.simulation import simulate

#: No command of these tests takes longer, unless it hangs.
COMMAND_SECONDS = 120.0

PERSON, TABLE, VALUE = "CANARYPERSON", "CANARYTABLE", "7.77123451"
OTHER_ALLELES = tuple(range(20, 27))
PEOPLE_OF_Q60 = 60

_DISK = Path(__file__).parent / "full_disk"

Row = dict[str, str]


@dataclass(frozen=True)
class Sites:
    """The pooled files, and the sandbox of agents that were made from them."""

    pooled: Path
    sandbox: Sandbox

    @property
    def federation(self) -> Path:
        return self.sandbox.federation_file


def make_sites(folder: Path) -> Sites:
    """Simulate, split and plant; no agent is started."""
    pooled = folder / "pooled"
    simulate(pooled, Recipe(samples=720, variants=400, seed=5))
    _rename_people(pooled)
    sandbox = create(
        folder / "box",
        bfile=pooled,
        pheno=Path(f"{pooled}.pheno.tsv"),
        covar=Path(f"{pooled}.covar.tsv"),
        site_column="site",
        swap=("FI",),
    ).sandbox
    for name in sandbox.nodes:
        _plant(sandbox.node_folder(name), name)
    return Sites(pooled, sandbox)


def _rename_people(pooled: Path) -> None:
    """Give every person an identifier that can be found wherever it turns up."""
    fam = pooled.with_suffix(".fam")
    lines = [line.split() for line in fam.read_text().splitlines()]
    fam.write_text("".join("\t".join([one[0], PERSON + one[1], *one[2:]]) + "\n" for one in lines))
    for ending in ("pheno.tsv", "covar.tsv"):
        change_table(Path(f"{pooled}.{ending}"), lambda row, _: {**row, "IID": PERSON + row["IID"]})


def _plant(folder: Path, name: str) -> None:
    phenotypes, covariates = folder / "phenotypes.tsv", folder / "covariates.tsv"
    height = "heigth" if name == "NO" else "height"

    def traits(row: Row, number: int) -> Row:
        known = name != "NO" or number < PEOPLE_OF_Q60
        planted = {"q1": VALUE} if number == 0 else {}
        return {**row, **planted, "t3": str(number % 3), height: row["q2"], "q60": row["q2"] if known else "NA"}

    def columns(row: Row, _: int) -> Row:
        return {**row, "still": "1", "twice": str(2.0 * float(row["age"]) + 1.0)}

    change_table(phenotypes, traits)
    change_table(covariates, columns)
    phenotypes.rename(folder / f"{TABLE}.tsv")
    if name == "EE":
        _change_alleles(folder / "genotypes.bim")
    policies = {
        "EE": ('["masked", "plain", "dp"]', '["masked"]'),
        "FI": ("allow_drop = true", "allow_drop = false"),
        "NO": (', "gwas/logistic"', ""),
    }
    edit(folder / "node.toml", ("phenotypes.tsv", f"{TABLE}.tsv"), policies[name])


def _change_alleles(bim: Path) -> None:
    """Another A1 at a few variants: A/G becomes C/G."""
    lines = [line.split("\t") for line in bim.read_text().splitlines()]
    for at in OTHER_ALLELES:
        lines[at][4] = next(base for base in "ACGT" if base not in lines[at][4:6])
    bim.write_text("".join("\t".join(line) + "\n" for line in lines))


def change_table(path: Path, change: Callable[[Row, int], Row]) -> None:
    """Rewrite a table row by row; `change` gets each row and its number."""
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    header = [name.lstrip("#") for name in lines[0]]
    rows = [change(dict(zip(header, line, strict=True)), number) for number, line in enumerate(lines[1:])]
    text = ["\t".join(rows[0]), *("\t".join(row.values()) for row in rows)]
    path.write_text("\n".join(text) + "\n")


def edit(path: Path, *changes: tuple[str, str]) -> None:
    """Replace texts in a file; each must be there."""
    text = path.read_text()
    for before, after in changes:
        assert before in text, f"{path.name} has no {before!r}"
        text = text.replace(before, after)
    path.write_text(text)


def coordinator_copy(sandbox: Sandbox, folder: Path) -> Path:
    """Everything of the coordinator in a folder of its own, so that a test may break it; its federation.toml."""
    for path in sandbox.folder.iterdir():
        if path.is_file():
            shutil.copy(path, folder / path.name)
    return folder / sandbox.federation_file.name


def fedstats_process(
    *words: str | Path, cwd: Path, environment: Mapping[str, str] | None = None
) -> "subprocess.Popen[str]":
    """The `fedstats` command, running."""
    return subprocess.Popen(
        [sys.executable, "-m", "fedstats.cli.main", *map(str, words)],
        cwd=cwd,
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    output: str
    errors: str


def fedstats(*words: str | Path, cwd: Path, environment: Mapping[str, str] | None = None) -> Ended:
    """Run the `fedstats` command to its end."""
    process = fedstats_process(*words, cwd=cwd, environment=environment)
    output, errors = process.communicate(timeout=COMMAND_SECONDS)
    return Ended(process.returncode, output, errors)


def gwas(sites: Sites, cwd: Path, *flags: str | Path, pheno: str = "q1", **options: Path) -> Ended:
    """A run of the command in `cwd`, with OUT = run."""
    federation = options.get("federation", sites.federation)
    return fedstats("gwas", "--federation", federation, "--pheno", pheno, "--out", "run", *flags, cwd=cwd)


def fedstats_node(*words: str | Path, cwd: Path) -> Ended:
    """Run the `fedstats-node` command to its end."""
    found = subprocess.run(
        [sys.executable, "-m", "node_agent", *map(str, words)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=COMMAND_SECONDS,
        check=False,
    )
    return Ended(found.returncode, found.stdout, found.stderr)


def full_disk(flag: Path, names: str) -> dict[str, str]:
    """Environment of a process that finds its disk full while `flag` is there, for files whose names match."""
    return {"PYTHONPATH": str(_DISK), "FEDSTATS_TEST_FULL_DISK": f"{flag}:{names}"}
