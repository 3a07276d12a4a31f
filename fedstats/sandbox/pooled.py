"""The pooled analysis, in plain float64: what a run is compared with in the demo.

It shares no code with the federation: genotypes are decoded here, means are taken over all people in one place,
least squares and Newton's method are written out once more, read off the textbook. Slow and obvious on purpose.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class PooledData:
    """All people of all sites in one place: packed genotypes, design with intercept, one trait."""

    packed: npt.NDArray[np.uint8]
    people: int
    rows: npt.NDArray[np.int64]
    design: Floats
    trait: Floats


def read_pooled(bfile: Path, phenotypes: Path, covariates: Path, trait: str, terms: list[str]) -> PooledData:
    """Read a pooled PLINK 1 fileset and its tables; people with anything missing are left out."""
    names = [line.split()[1] for line in bfile.with_suffix(".fam").read_text().splitlines()]
    values = _columns(phenotypes, [trait], names)[:, 0]
    design = np.column_stack([np.ones(len(names)), _columns(covariates, terms, names)])
    rows = np.flatnonzero(~np.isnan(values) & ~np.isnan(design).any(axis=1))
    stride = -(-len(names) // 4)
    packed = np.memmap(bfile.with_suffix(".bed"), np.uint8, "r", offset=3).reshape(-1, stride)
    return PooledData(packed, len(names), rows, design[rows], values[rows])


def _columns(path: Path, names: list[str], people: list[str]) -> Floats:
    lines = [line.split("\t") for line in path.read_text().splitlines()]
    header = [name.lstrip("#") for name in lines[0]]
    at = [header.index(name) for name in names]
    by_person = {line[header.index("IID")]: [_number(line[i]) for i in at] for line in lines[1:]}
    return np.array([by_person[person] for person in people], np.float64)


def _number(text: str) -> float:
    return float("nan") if text == "NA" else float(text)


def calls(data: PooledData, first: int, last: int) -> Floats:
    """Dosage of ALT, NaN where a call is missing, shape (variant, person)."""
    raw = np.asarray(data.packed[first:last])
    codes = np.stack([(raw >> shift) & 3 for shift in (0, 2, 4, 6)], axis=-1).reshape(len(raw), -1)
    return np.array([2.0, np.nan, 1.0, 0.0])[codes[:, : data.people][:, data.rows]]


def dosages(data: PooledData, first: int, last: int) -> Floats:
    """Dosage of ALT with the mean where a call is missing, shape (variant, person)."""
    values = calls(data, first, last)
    called = ~np.isnan(values)
    means = np.where(called, values, 0.0).sum(axis=1) / np.maximum(called.sum(axis=1), 1)
    return np.where(called, values, means[:, None])


def _blocks(data: PooledData, size: int = 512) -> Iterator[tuple[int, Floats]]:
    for first in range(0, len(data.packed), size):
        yield first, dosages(data, first, first + size)


def linear_betas(data: PooledData) -> Floats:
    """Least-squares effect of every variant."""
    return linear_fits(data)[0]


def linear_fits(data: PooledData) -> tuple[Floats, Floats]:
    """Least-squares effect of every variant and its standard error, by projecting the design out (QR)."""
    q, _ = np.linalg.qr(data.design)
    trait = data.trait - q @ (q.T @ data.trait)
    freedom = len(trait) - q.shape[1] - 1
    betas, errors = np.full((2, len(data.packed)), np.nan)
    for first, g in _blocks(data):
        g = g - (g @ q) @ q.T
        at = slice(first, first + len(g))
        with np.errstate(invalid="ignore", divide="ignore"):
            spread = (g * g).sum(axis=1)
            betas[at] = (g @ trait) / spread
            errors[at] = np.sqrt((trait @ trait - betas[at] ** 2 * spread) / freedom / spread)
    return betas, errors


def logistic_betas(data: PooledData) -> Floats:
    """Log odds ratio of every variant by Newton's method to convergence, each variant a fit of its own."""
    start = np.append(_null(data.design, data.trait), 0.0)
    betas = np.full(len(data.packed), np.nan)
    for first, g in _blocks(data, 128):
        varies = g.std(axis=1) > 0
        betas[first : first + len(g)][varies] = _newton(data.design, data.trait, g[varies], start)[:, -1]
    return betas


def _null(x: Floats, y: Floats) -> Floats:
    beta = np.zeros(x.shape[1])
    for _ in range(25):
        mu = 1.0 / (1.0 + np.exp(-(x @ beta)))
        beta = beta + np.linalg.solve((x * (mu * (1.0 - mu))[:, None]).T @ x, x.T @ (y - mu))
    return beta


def _newton(x: Floats, y: Floats, g: Floats, start: Floats) -> Floats:
    """Coefficients of every fit, the variant's last, shape (variant, coefficient)."""
    products = (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    k = x.shape[1]
    beta = np.tile(start, (len(g), 1))
    for _ in range(25):
        mu = 1.0 / (1.0 + np.exp(-(beta[:, :k] @ x.T + beta[:, k:] * g)))
        weight, residual = mu * (1.0 - mu), y - mu
        information = np.empty((len(g), k + 1, k + 1))
        information[:, :k, :k] = (weight @ products).reshape(-1, k, k)
        information[:, :k, k] = information[:, k, :k] = (weight * g) @ x
        information[:, k, k] = (weight * g * g).sum(axis=1)
        score = np.column_stack([residual @ x, (residual * g).sum(axis=1)])
        step = np.linalg.solve(information, score[:, :, None])[:, :, 0]
        beta = beta + step
        if np.abs(step).max() < 1e-9:  # Newton converges quadratically: the next step would be below 1e-16
            break
    return beta
