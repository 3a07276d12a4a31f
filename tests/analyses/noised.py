"""Studies of noised totals over data in memory, and data with associations of known size."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property

import numpy as np

from fedstats.analysis import NOISED
from fedstats.arrays import Indices
from fedstats.dataset import Dataset
from fedstats.frontend.local_noise import LocalNoise
from fedstats.genotypes import PackedBlock, pack
from fedstats.local import LocalSums
from fedstats.study import Chunk, Study
from fedstats.wire.noise import plan_noise
from tests.analyses.planted import dataset, federation, linear_study, one_chunk, run

DELTA = 1e-6
#: Of a trait of variance one and of ages: what somebody would declare without looking at the data.
RANGES = {"q": (-4.0, 4.0), "x": (-4.0, 4.0)}
SITES = 3


@dataclass(frozen=True)
class PackedOnce:
    """Genotypes in memory that are packed once, not for every block."""

    dosages: np.ndarray

    @cached_property
    def packed(self) -> PackedBlock:
        return pack(self.dosages.astype(np.int8))

    def block(self, variants: Indices) -> PackedBlock:
        return replace(self.packed, rows=variants, swap=self.packed.swap[variants])


@dataclass(frozen=True)
class Planted:
    """People with genotypes, a covariate, a quantitative and a binary trait; `causal` are variants with an effect."""

    data: Dataset
    site: np.ndarray
    causal: np.ndarray

    @property
    def variants(self) -> int:
        return len(self.data.genotypes.dosages)  # type: ignore[attr-defined]  # tests hold them in memory


@cache
def planted(
    people: int, variants: int, causal: int = 0, odds_ratio: float = 1.0, effect: float = 0.0, seed: int = 1
) -> Planted:
    """Independent variants of minor allele frequency 5 to 50 %; half of the people are cases."""
    rng = np.random.default_rng(seed)
    frequency = rng.uniform(0.05, 0.5, variants)
    hits = np.arange(causal)
    shifted = frequency.copy()
    odds = frequency[hits] / (1 - frequency[hits]) * odds_ratio
    shifted[hits] = odds / (1 + odds)
    case = np.arange(people) % 2
    dosages = rng.binomial(2, np.where(case[None], shifted[:, None], frequency[:, None]))
    x = rng.normal(size=people)
    q = 0.3 * x + effect * dosages[hits].sum(axis=0) + rng.normal(size=people)
    columns = {"q": q, "b": case.astype(float), "x": x}
    data = replace(dataset(dosages, columns), genotypes=PackedOnce(dosages))
    return Planted(data, rng.permutation(people) % SITES, hits)


def study(trait: str, covariates: Sequence[str] = ("x",), analysis: str = "") -> Study:
    """The study of one trait with noised totals."""
    found = linear_study([trait], covariates, binary=["b"])
    name = analysis or ("gwas/logistic-noised" if trait == "b" else "gwas/linear-noised")
    return replace(found, analysis=name, ranges=RANGES)


def noise(of: Study, chunks: Sequence[Chunk], epsilon: float, key: bytes = b"key") -> LocalNoise:
    """The noise of a study that costs epsilon."""
    return LocalNoise(plan_noise(NOISED[of.analysis](of, chunks), SITES, epsilon, DELTA), SITES, key)


def noised_run(
    of: Planted, trait: str, epsilon: float, key: bytes = b"key", analysis: str = ""
) -> dict[str, np.ndarray]:
    """The table of a trait at some epsilon; another key is other noise."""
    asked, chunks = study(trait, analysis=analysis), one_chunk(of.variants)
    sums: LocalSums = replace(federation(of.data, of.site), noise_source=noise(asked, chunks, epsilon, key))
    tables, _ = run(sums, asked, chunks)
    return next(iter(tables.values()))
