"""Allele frequencies from noised counts, each with the deviation of its noise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np

from fedstats.additive import Additive
from fedstats.analyses.bounded_columns import BOUNDED_BITS, bounded
from fedstats.analyses.noised_scan import blocks
from fedstats.analyses.statuses import status
from fedstats.analysis import Expected, analysis
from fedstats.arrays import Fixed
from fedstats.cohort import Cohort
from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.step import Nothing, Step, local_step
from fedstats.study import Block, Chunk, Study

#: Called people must be so many deviations of noise for a frequency to be told.
_SEEN = 4.0


@dataclass(frozen=True)
class AlleleSums(Additive):
    """Sums over called people of g - 1 and of one; on chromosome X a male counts half."""

    centred: Annotated[Fixed, bounded("variant")]
    called: Annotated[Fixed, bounded("variant")]


@local_step("noised_freq/alleles@1")
def allele_sums(cohort: Cohort, at: Nothing) -> AlleleSums:  # noqa: ARG001  # every step takes parameters
    """Sums of a block of autosomes, Y or MT."""
    return _sums(cohort, halve_males=False)


@local_step("noised_freq/alleles_by_sex@1", kinds=("x",))
def allele_sums_by_sex(cohort: Cohort, at: Nothing) -> AlleleSums:  # noqa: ARG001  # every step takes parameters
    """Sums of a block of chromosome X."""
    return _sums(cohort, halve_males=True)


def _sums(cohort: Cohort, *, halve_males: bool) -> AlleleSums:
    from fedstats.kernels import packed  # at the node only: it brings the compiler

    block = cohort.block()
    everybody = packed.genotype_counts(block, cohort.people)
    males = packed.genotype_counts(block, cohort.people & cohort.male & halve_males)
    called = 2 * everybody.called - males.called
    alternative = 2 * everybody.dosage - males.dosage
    half = BOUNDED_BITS - 1
    return AlleleSums(centred=(alternative - called) << half, called=called << half)


def expected(study: Study, chunks: Sequence[Chunk]) -> list[Expected]:
    """Every sum that the analysis asks."""
    return [
        Expected(model, _step(chunk), block)
        for chunk in chunks
        for model in study.model(chunk.kind)
        for block in blocks(chunk)
    ]


def _step(chunk: Chunk) -> Step[Nothing, AlleleSums]:
    return allele_sums_by_sex if chunk.kind == "x" else allele_sums


@analysis("freq-noised", steps=("noised_freq/",), noised=expected)
def allele_frequency_noised(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Table "noised.afreq": ALT_FREQS, OBS_CT (alleles, about) and NOISE_SD of each variant."""
    yield from federation.map(lambda handle, chunk: _rows(handle, study, chunk), chunks)


def _rows(federation: Federation, study: Study, chunk: Chunk) -> Rows:
    tables = {}
    for model in study.model(chunk.kind):
        for block in blocks(chunk):
            ((_, total),) = federation.each(_step(chunk), model, [(block, Nothing())])
            tables["noised.afreq"] = _table(total, federation.noise(_step(chunk), model), block, chunk)
    return Rows(tables)


def _table(total: AlleleSums, noise: Mapping[str, float], block: Block, chunk: Chunk) -> dict[str, np.ndarray]:
    """Frequencies; deviations are those of a quotient of two noised sums, to first order."""
    called, centred = total.real("called"), total.real("centred")
    seen = called > _SEEN * noise["called"]
    people = np.where(seen, called, 1.0)
    deviation = np.hypot(noise["centred"], noise["called"] * centred / people) / (2 * people)
    ploidy = 1 if chunk.kind in ("y", "mt") else 2
    return {
        "variant": block.variants,
        "ALT_FREQS": np.where(seen, np.clip((1 + centred / people) / 2, 0.0, 1.0), np.nan),
        "OBS_CT": np.where(seen, np.rint(ploidy * called), -1).astype(np.int64),
        "STATUS": np.where(seen, status("OK"), status("HIDDEN_BY_NOISE")).astype(np.int8),
        "NOISE_SD": np.where(seen, deviation, np.nan),
    }
