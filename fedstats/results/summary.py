"""What a table of associations says as a whole, gathered while its rows pass by, in bounded memory."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from fedstats.results.loci import Locus, TopLoci
from fedstats.results.quantiles import OrderStatistics, genomic_inflation
from fedstats.results.shared_facts import Facts, SharedFacts, coded
from fedstats.results.thinning import ChromosomeCodes, ManhattanThinner, Points

Reals = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_QQ_POINTS = 1500


@dataclass(frozen=True, eq=False)
class QuantilePoints:
    """Thinned points of a quantile-quantile plot of −log10 P, shape (point,), and the variants they stand for."""

    variants: int
    rank: Integers
    expected: Reals
    observed: Reals


@dataclass(frozen=True, eq=False)
class Summary:
    """A table of associations as a whole.

    `people`, `cases` and `controls` are the largest of any row; cases and controls are 0 for a quantitative trait.
    `noise_share` is the part of the standard error that is noise in the row in the middle, 0 where totals carried none.
    """

    rows: int
    status_counts: Mapping[str, int]
    test_counts: Mapping[str, int]
    people: int
    cases: int
    controls: int
    lambda_gc: float
    quantiles: QuantilePoints
    points: Points
    top: tuple[Locus, ...]
    noise_share: float = 0.0

    @property
    def ok_rows(self) -> int:
        """Rows with an estimate."""
        return self.status_counts.get("OK", 0)

    @property
    def effective_n(self) -> float:
        """4 / (1/cases + 1/controls) for a binary trait, else the number of people."""
        if not (self.cases and self.controls):
            return float(self.people)
        return 4.0 / (1.0 / self.cases + 1.0 / self.controls)

    @property
    def lambda_1000(self) -> float:
        """Lambda GC scaled to 1,000 cases and 1,000 controls [1]_; NaN for a quantitative trait.

        References
        ----------
        .. [1] de Bakker et al. (2008), Human Molecular Genetics 17:R122.
        """
        if not (self.cases and self.controls):
            return float("nan")
        return 1.0 + (self.lambda_gc - 1.0) * 500.0 * (1.0 / self.cases + 1.0 / self.controls)


class SummaryBuilder:
    """Takes tables of rows in the order of the panel; the summary does not depend on how they were cut."""

    def __init__(self) -> None:
        self._rows = 0
        self._status: Counter[str] = Counter()
        self._tests: Counter[str] = Counter()
        self._largest = {"OBS_CT": 0, "CASE_CT": 0, "CTRL_CT": 0}
        self._chromosomes = ChromosomeCodes()
        self._statistics = OrderStatistics()
        self._points = ManhattanThinner()
        self._loci = TopLoci()
        self._noise_shares: list[Reals] = []

    def add(self, rows: pa.Table, shared: SharedFacts | None = None) -> None:
        """Add rows with the columns of an association table; `shared` is of the same rows, where traits have it."""
        self._rows += rows.num_rows
        self._status += level_counts(rows["STATUS"])
        self._tests += level_counts(rows["TEST"])
        usable = _usable(rows)
        if not len(usable):
            return
        facts = (shared or SharedFacts(rows)).of(usable)
        self._note_people(rows, facts)
        if "NOISE_SD" in rows.column_names:
            self._noise_shares.append(_reals(rows, "NOISE_SD")[usable] / _reals(rows, "SE")[usable])
        height = _reals(rows, "LOG10P")[usable]
        self._statistics.add(height[facts.frequent])
        codes = self._chromosomes.of(facts.chromosomes)[facts.chromosome]
        self._points.add(codes, facts.position, height)
        self._loci.add(rows, usable, codes, facts.position, height)

    def finish(self) -> Summary:
        """The summary of all rows so far."""
        return Summary(
            rows=self._rows,
            status_counts=dict(self._status.most_common()),
            test_counts=dict(self._tests.most_common()),
            people=self._largest["OBS_CT"],
            cases=self._largest["CASE_CT"],
            controls=self._largest["CTRL_CT"],
            lambda_gc=genomic_inflation(self._statistics),
            quantiles=_quantile_points(self._statistics),
            points=self._points.points(tuple(self._chromosomes.names)),
            top=self._loci.loci(),
            noise_share=float(np.median(np.concatenate(self._noise_shares))) if self._noise_shares else 0.0,
        )

    def _note_people(self, rows: pa.Table, facts: Facts) -> None:
        self._largest["OBS_CT"] = max(self._largest["OBS_CT"], facts.people)
        for name in {"CASE_CT", "CTRL_CT"} & set(rows.column_names):
            self._largest[name] = max(self._largest[name], int(_counts_of(rows, name)[facts.rows].max()))


def _usable(rows: pa.Table) -> Integers:
    """Which rows have an estimate; usually all."""
    status = coded(rows["STATUS"])
    ok = status.dictionary.index("OK").as_py()
    if ok < 0:
        return np.zeros(0, np.int64)
    codes = status.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return np.flatnonzero((codes == ok) & ~np.isnan(_reals(rows, "LOG10P")))


def _reals(rows: pa.Table, name: str) -> Reals:
    """A column of doubles; missing ones are NaN."""
    values: Reals = rows[name].to_numpy()
    return values


def _counts_of(rows: pa.Table, name: str) -> Integers:
    """A column of counts; missing ones are 0."""
    counts: Integers = rows[name].fill_null(0).to_numpy()
    return counts


def level_counts(column: pa.ChunkedArray) -> Counter[str]:
    """How often each text occurs; missing ones are left out."""
    encoded = coded(column)
    codes = encoded.indices.drop_null().to_numpy()
    found = np.bincount(codes, minlength=len(encoded.dictionary)).tolist()
    return Counter({name: count for name, count in zip(encoded.dictionary.to_pylist(), found, strict=True) if count})


def _quantile_points(statistics: OrderStatistics) -> QuantilePoints:
    """Observed against expected −log10 P at ranks that are dense in the tail."""
    variants = statistics.count
    if not variants:
        return QuantilePoints(0, np.zeros(0, np.int64), np.zeros(0), np.zeros(0))
    spaced = np.rint(np.logspace(0.0, np.log10(variants), _QQ_POINTS)).astype(np.int64)
    rank = np.unique(np.clip(np.concatenate([np.arange(1, 300), spaced]), 1, variants))
    expected = -np.log10((rank - 0.5) / variants)
    return QuantilePoints(variants, rank, expected, statistics.at(variants - rank))
