"""What a study holds, for whoever may look: the pooled analysis, planted variants, and what an attacker could tell."""

import statistics
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from scipy import stats

from fedstats.arrays import Indices, Reals
from fedstats.comparison.choices import Choice
from fedstats.comparison.membership import attack
from fedstats.comparison.study import COVARIATES, TRAIT, Study, dosages
from fedstats.comparison.uploads import seen_in_upload
from fedstats.sandbox import pooled

#: P = 5e-8 as -log10.
GENOME_WIDE = -float(np.log10(5e-8))
#: The attacker looks at common variants, a few thousand at most: more say little more, because of linkage.
LEAST_FREQUENCY, MOST_VARIANTS = 0.05, 4_000
#: One upload is masked by chance; what an attacker sees on average is the mean over several.
UPLOADS = 10


@dataclass(frozen=True)
class Truth:
    """The whole study in one place."""

    study: Study

    @cached_property
    def panel(self) -> pl.DataFrame:
        """CHROM, ID, POS of every variant, in order."""
        lines = [line.split() for line in self.study.files.prefix.with_suffix(".bim").read_text().splitlines()]
        return pl.DataFrame({"ID": [line[1] for line in lines], "POS": [int(line[3]) for line in lines]})

    @cached_property
    def pooled(self) -> tuple[Reals, Reals]:
        """Effect and -log10 p of every variant, of all members in one place."""
        files = self.study.files
        data = pooled.read_pooled(files.prefix, files.phenotypes, files.covariates, TRAIT, list(COVARIATES))
        keep = np.isin(data.rows, self.study.members)
        data = pooled.PooledData(data.packed, data.people, data.rows[keep], data.design[keep], data.trait[keep])
        betas, errors = pooled.linear_fits(data)
        freedom = len(data.rows) - data.design.shape[1] - 1
        log10p = -(stats.t.logsf(np.abs(betas / errors), freedom) + np.log(2)) / np.log(10)
        return betas, log10p

    def in_order(self, result: pl.DataFrame) -> pl.DataFrame:
        """A result with a row for every variant of the panel, empty where it has none."""
        return self.panel.select("ID").join(result, on="ID", how="left", maintain_order="left")

    def power(self, log10p: Reals) -> float:
        """Share of the planted variants of the trait that reach P = 5e-8."""
        truth = pl.read_csv(self.study.files.truth, separator="\t", infer_schema=False)
        planted = np.isin(self.panel["ID"].to_numpy(), truth.filter(pl.col("TRAIT") == TRAIT)["ID"].to_numpy())
        return float(np.mean(np.nan_to_num(log10p[planted]) >= GENOME_WIDE))

    @cached_property
    def _common(self) -> Indices:
        reference = np.nanmean(dosages(self.study, self.study.panel, np.arange(len(self.panel))), axis=0) / 2
        common = np.flatnonzero(np.abs(reference - 0.5) < 0.5 - LEAST_FREQUENCY)
        return common[np.linspace(0, len(common) - 1, min(len(common), MOST_VARIANTS)).astype(np.int64)]

    @cached_property
    def _reference(self) -> Reals:
        return np.asarray(np.nanmean(dosages(self.study, self.study.panel, self._common), axis=0) / 2)

    def _dosages(self, rows: Indices) -> Reals:
        found = dosages(self.study, rows, self._common)
        return np.where(np.isnan(found), 2 * self._reference, found)

    @cached_property
    def _outsiders(self) -> Reals:
        return self._dosages(self.study.outsiders)

    def auc(self, nodes: int, frequencies: Reals) -> float:
        """AUC of the attack on the people of the first node, from frequencies of all variants of the panel."""
        members = self._dosages(self.study.at_first_node(nodes)[: len(self.study.outsiders)])
        return attack(members, self._outsiders, frequencies[self._common], self._reference)

    def auc_of_upload(self, nodes: int, choice: Choice) -> float:
        """AUC from what the first node uploads, the mean over some uploads."""
        counted = dosages(self.study, self.study.at_first_node(nodes), self._common)
        found, everywhere = [], np.full(len(self.panel), np.nan)
        for _ in range(1 if choice.seen == "plain" else UPLOADS):
            everywhere[self._common] = seen_in_upload(counted, choice.seen)
            found.append(self.auc(nodes, everywhere))
        return statistics.mean(found)
