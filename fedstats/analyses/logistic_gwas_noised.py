"""Logistic regression from noised sums: the null model by a fixed number of Newton's rounds, then score tests.

A round costs what it asks, so their number is fixed beforehand instead of resting on convergence. The rest is as in
`linear_gwas_noised`.
"""

from collections.abc import Iterator, Sequence

from fedstats.analyses.bounded_columns import ranges_of
from fedstats.analyses.linear_gwas_noised import notes, scan_chunk, scans
from fedstats.analyses.noised_null import NEWTON_ROUNDS, newton, newton_sums
from fedstats.analysis import Expected, analysis
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Study

TEST = "LOGISTIC_SCORE"


def expected(study: Study, chunks: Sequence[Chunk]) -> list[Expected]:
    """Every sum that the analysis asks."""
    rounds = [Expected(model, newton_sums, times=(1 + NEWTON_ROUNDS) * len(model.traits)) for model in study.scanned]
    return [*rounds, *scans(study, chunks)]


@analysis("gwas/logistic-noised", steps=("noised_gwas/newton", "noised_gwas/scan"), noised=expected)
def logistic_gwas_noised(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Rows of each trait, chunk by chunk.

    Raises
    ------
    UsageError
        The noise hides everything.
    """
    nulls = {model.id: newton(federation, model, ranges_of(study, model)) for model in study.scanned}
    yield from notes(study, nulls)
    yield from federation.map(lambda handle, chunk: scan_chunk(handle, study, nulls, chunk, TEST), chunks)
