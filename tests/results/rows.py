"""Result rows for tests: random ones, and plink2's of the real HapMap3 data."""

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest

#: Beside the checkout, where there is one.
DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
REFERENCE = DATA / "hapmap3" / "ref"

needs_data = pytest.mark.skipif(not REFERENCE.is_dir(), reason="the shared data folder is not on this machine")


def random_rows(variants: int, *, seed: int = 1) -> tuple[dict[str, Any], dict[str, Any]]:
    """A panel on three chromosomes and rows without association."""
    rng = np.random.default_rng(seed)
    chromosome = np.sort(rng.integers(1, 4, variants))
    panel = {
        "CHROM": chromosome.astype(str).astype(object),
        "POS": np.arange(variants) * 20_000 + 1,
        "ID": np.array([f"rs{k}" for k in range(variants)], object),
        "REF": rng.choice(["A", "C"], variants),
        "ALT": rng.choice(["G", "T"], variants),
    }
    count = rng.integers(0, 1000, variants)
    beta = rng.normal(0, 0.1, variants)
    rows = {
        "A1_FREQ": count / 1000,
        "A1_CT": count,
        "OBS_CT": np.full(variants, 500),
        "MISSING_CT": rng.integers(0, 5, variants),
        "MISSING": "mean",
        "BETA": beta,
        "SE": np.abs(beta) * 1.1,
        "STAT": beta * 9.1,
        "LOG10P": rng.exponential(1 / np.log(10), variants),
        "TEST": "LINEAR",
        "STATUS": np.full(variants, "OK"),
        "NODES": 3,
    }
    return panel, rows


def cut(rows: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    """Some of the rows."""
    return {name: values[start:stop] if isinstance(values, np.ndarray) else values for name, values in rows.items()}


def plink_table(name: str) -> dict[str, np.ndarray]:
    """Columns of a reference file as text."""
    with gzip.open(REFERENCE / name, "rt") as file:
        header = file.readline().lstrip("#").split()
        lines = [line.split() for line in file]
    return {column: np.array(values) for column, values in zip(header, zip(*lines, strict=True), strict=True)}


def plink_rows(name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Panel and rows of a plink2 linear regression, allele counts from its --freq."""
    table = plink_table(name)
    tested = table["TEST"] == "ADD"
    table = {column: values[tested] for column, values in table.items()}
    counted = plink_table("all.afreq.gz")
    frequency = counted["ALT_FREQS"].astype(float)
    real = {name: np.where(table[name] == "NA", "nan", table[name]).astype(float) for name in ("BETA", "SE", "T_STAT")}
    p = np.where(table["P"] == "NA", "nan", table["P"]).astype(float)
    panel = {name: table[name].astype(object) for name in ("CHROM", "ID", "REF", "ALT")}
    rows = {
        "A1_FREQ": frequency,
        "A1_CT": np.rint(frequency * counted["OBS_CT"].astype(float)),
        "OBS_CT": table["OBS_CT"].astype(int),
        "MISSING_CT": 0,
        "MISSING": "drop",
        "BETA": real["BETA"],
        "SE": real["SE"],
        "STAT": real["T_STAT"],
        "LOG10P": -np.log10(p),
        "TEST": "LINEAR",
        "STATUS": np.where(table["ERRCODE"] == ".", "OK", table["ERRCODE"]),
        "NODES": 3,
    }
    return {**panel, "POS": table["POS"].astype(int)}, rows
