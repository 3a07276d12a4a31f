"""Linear regression from noised sums: one pass for the covariates, one for the variants, tests that count the noise.

Nothing exact is asked: not the number of people, no counts of genotypes, no moments. Columns are clipped to ranges that
the analyst declares, and variants are chosen beforehand. How much noise there is, the federation says.
"""

from collections.abc import Iterator, Sequence

from fedstats.analyses.bounded_columns import ranges_of
from fedstats.analyses.noised_null import NoisedNull, bounded_products, least_squares
from fedstats.analyses.noised_scan import blocks, residual_scan, rows, scan
from fedstats.analysis import Expected, analysis
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Model, Study

TEST = "LINEAR_SCORE"


def expected(study: Study, chunks: Sequence[Chunk]) -> list[Expected]:
    """Every sum that the analysis asks."""
    return [*(Expected(model, bounded_products) for model in study.scanned), *scans(study, chunks)]


def scans(study: Study, chunks: Sequence[Chunk]) -> list[Expected]:
    """The sums over variants of a noised association."""
    return [
        Expected(model, residual_scan, block)
        for chunk in chunks
        for model in study.model(chunk.kind)
        for block in blocks(chunk)
    ]


@analysis("gwas/linear-noised", steps=("noised_gwas/products", "noised_gwas/scan"), noised=expected)
def linear_gwas_noised(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Rows of each trait, chunk by chunk.

    Raises
    ------
    UsageError
        The noise hides everything.
    """
    nulls = {model.id: least_squares(federation, model, ranges_of(study, model)) for model in study.scanned}
    yield from notes(study, nulls)
    yield from federation.map(lambda handle, chunk: scan_chunk(handle, study, nulls, chunk, TEST), chunks)


def scan_chunk(federation: Federation, study: Study, nulls: dict[str, NoisedNull], chunk: Chunk, test: str) -> Rows:
    """Rows of one chunk for every model of its kind."""
    tables = {}
    for model in study.model(chunk.kind):
        for block in blocks(chunk):
            found = scan(federation, nulls[model.id], block)
            tables.update(rows(nulls[model.id], found, block, len(study.nodes), test))
    return Rows(tables)


def notes(study: Study, nulls: dict[str, NoisedNull]) -> Iterator[Note]:
    """What a reader must know of the models without genotype."""
    for model in study.scanned:
        null = nulls[model.id]
        yield Note("NOISED_PEOPLE", f"{_traits(model)} ({model.kind}): about {null.people:,.0f} people, with noise")
        if null.hidden:
            yield Note(
                code="COVARIATES_HIDDEN",
                message=(
                    f"{_traits(model)} ({model.kind}): noise hides {null.hidden} of {len(model.terms) + 1} directions "
                    "of the design, so that covariates are adjusted for in part only; declare narrower ranges, leave "
                    "covariates out, or give a larger --epsilon."
                ),
                warning=True,
            )


def _traits(model: Model) -> str:
    return ", ".join(trait.name for trait in model.traits)
