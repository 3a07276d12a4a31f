"""plink2 as the rival: which programs there are, and what each is asked."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.data import Size, covariates, pooled
from fedstats.comparison.measure import Measured, measure

#: Where each worker thread calls a threaded BLAS, the threads fight over the cores and plink2 looks slower than it is.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Plink2:
    """One plink2 program, as it was named on the command line."""

    program: str

    @property
    def version(self) -> str:
        """As in 2.00a3.5."""
        return _said(self.program, "--version").split()[1].removeprefix("v")

    @property
    def residualizes(self) -> bool:
        """Whether it knows the approximate linear scan."""
        return "qt-residualize" in _said(self.program, "--help", "glm")


@cache
def _said(program: str, *words: str) -> str:
    return subprocess.run([program, *words], capture_output=True, text=True, check=False).stdout


def programs(named: Sequence[str]) -> list[Plink2]:
    """The programs named, or the one on PATH; of two with the same version the first."""
    found = [Plink2(path) for name in named or ("plink2",) if (path := shutil.which(name))]
    return list({one.version: one for one in reversed(found)}.values())[::-1]


def gwas_words(size: Size, traits: Sequence[str], number: int, *, approximate: bool) -> list[str]:
    """Regression of these traits; binary ones as 0 and 1, sex from the .fam file as the covariate that it is."""
    table = [name for name in covariates(number) if name != "sex"]
    return [
        *("--pheno", f"{size.prefix}.pheno.tsv", "--pheno-name", ",".join(traits), "--1"),
        *("--covar", str(size.covariate_table), "--covar-name", ",".join(table), "--covar-variance-standardize"),
        *("--glm", "qt-residualize" if approximate else "no-firth", "sex", "hide-covar", "omit-ref"),
    ]


TABLE_WORDS = {"freq": ["--freq"], "hardy": ["--hardy"], "missing": ["--missing", "variant-only"]}


def run(plink2: Plink2, size: Size, words: Sequence[str], threads: int, out: Path) -> Measured:
    """One run on the pooled files."""
    command = [plink2.program, "--bfile", str(pooled(size)), *words, "--threads", str(threads), "--out", str(out)]
    return measure(command, out.with_suffix(".said"), environment=ENVIRONMENT)
