"""Results of plink2 that come with the real genotypes, by variant."""

import csv
import gzip
import math
from dataclasses import dataclass

import numpy as np

from fedstats.results.associations import Associations
from tests.real_data import FOLDER


@dataclass(frozen=True)
class Compared:
    """Our rows beside plink2's, for variants that both estimated: largest differences."""

    variants: int
    same_people: bool
    beta: float
    standard_error: float
    beta_in_se: float


def plink2(name: str) -> dict[str, dict[str, str]]:
    """Rows of a table by variant id; the effect of covariates is left out."""
    with gzip.open(FOLDER / "ref" / f"{name}.gz", "rt") as lines:
        return {row["ID"]: row for row in csv.DictReader(lines, delimiter="\t") if row.get("TEST", "ADD") == "ADD"}


def compare(result: Associations, name: str) -> Compared:
    """Compare estimates; relative differences against what plink2 printed (six digits)."""
    reference = plink2(name)
    rows = [(reference[i], k) for k, i in enumerate(result["ID"]) if result["STATUS"][k] == "OK"]
    rows = [(row, k) for row, k in rows if row["ERRCODE"] == "."]
    at = np.array([k for _, k in rows])
    people = np.array([int(row["OBS_CT"]) for row, _ in rows])
    beta = np.array([float(row["BETA"]) if "BETA" in row else math.log(float(row["OR"])) for row, _ in rows])
    error = np.array([float(row["SE"] if "SE" in row else row["LOG(OR)_SE"]) for row, _ in rows])
    ours, our_error = result["BETA"][at], result["SE"][at]
    # plink2 prints six significant digits, so a beta is known to half a unit of its sixth digit.
    return Compared(
        len(rows),
        bool((people == result["OBS_CT"][at]).all()),
        float(np.max(np.abs(ours - beta) / np.abs(beta))),
        float(np.max(np.abs(our_error - error) / error)),
        float(np.max(np.abs(ours - beta) / error)),
    )
