"""Score tests of variants from noised sums: three numbers a variant and trait, whatever the covariates.

A person's part is g - 1 (0 where there is no call) times the residual of the trait on the covariates, cut at a limit;
so no person changes a sum by more than one unit, and the noise need not grow with the number of covariates.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np

from fedstats.additive import Additive
from fedstats.analyses.bounded_columns import BOUNDED_BITS, Ranges, bounded, bounded_columns, linear_predictor
from fedstats.analyses.noised_null import NoisedNull, probability
from fedstats.analyses.statuses import code_of_test, missing_code, status
from fedstats.arrays import Bools, Fixed, Reals
from fedstats.cohort import Cohort
from fedstats.federation import Federation
from fedstats.kernels.tails import log10_p_of_z
from fedstats.step import Along, local_step
from fedstats.study import LARGEST_PASS, Block, Chunk

#: Counts of alleles may carry more noise than scores, which decide about associations; totals of residuals less.
_OF_COUNTS, _OF_RESIDUALS = 2.0, 0.25
#: A variance of the genotype below this many deviations of its noise cannot be told from none.
_SEEN = 2.0
#: Counts that nobody may know exactly, and that are not estimated either.
_WITHHELD = -1


@dataclass(frozen=True)
class ResidualAsk(Ranges):
    """Models without genotype, and where their residuals are cut."""

    effects: Annotated[Reals, Along("coefficient", "trait")]
    limits: Annotated[Reals, Along("trait")]
    logistic: bool


@dataclass(frozen=True)
class ResidualScan(Additive):
    """Sums over people of h = g - 1 of called genotypes, its square, and its product with the residual in units of the
    limit; and of residuals and their squares over everybody.
    """

    score: Annotated[Fixed, bounded("variant", "trait")]
    centred: Annotated[Fixed, bounded("variant", coarseness=_OF_COUNTS)]
    squares: Annotated[Fixed, bounded("variant", coarseness=_OF_COUNTS)]
    residuals: Annotated[Fixed, bounded("trait", coarseness=_OF_RESIDUALS)]
    residual_squares: Annotated[Fixed, bounded("trait", coarseness=_OF_RESIDUALS)]


@local_step("noised_gwas/scan@1")
def residual_scan(cohort: Cohort, at: ResidualAsk) -> ResidualScan:
    """Sums of a block."""
    from fedstats.kernels import packed  # at the node only: it brings the compiler

    block, residuals = cohort.block(), _residuals(cohort, at)
    words = packed.genotype_words(block)
    columns = packed.packed_columns(residuals, cohort.people)
    sums = packed.called_and_missing_sums(block, words, columns)
    counts = packed.genotype_counts(block, cohort.people)
    squares = np.rint(np.ldexp(np.square(np.ldexp(residuals.astype(np.float64), -BOUNDED_BITS)), BOUNDED_BITS))
    return ResidualScan(
        score=sums.called - (residuals.sum(axis=0) - sums.missing),
        centred=(counts.dosage - counts.called) << BOUNDED_BITS,
        squares=(counts.called - counts.heterozygous) << BOUNDED_BITS,
        residuals=residuals.sum(axis=0),
        residual_squares=squares.astype(np.int64).sum(axis=0),
    )


def _residuals(cohort: Cohort, at: ResidualAsk) -> Fixed:
    """Residuals in units of their limit, cut at it, at `BOUNDED_BITS` fraction bits, shape (person, trait)."""
    columns = bounded_columns(cohort, at)
    linear = linear_predictor(columns.design, at.effects)
    expected = probability(linear) if at.logistic else linear
    distance = (np.ldexp(columns.traits, -BOUNDED_BITS) - expected) / np.maximum(at.limits, 1e-9)
    cut = np.clip(distance, -1.0, 1.0) * cohort.people[:, None]
    return np.rint(np.ldexp(cut, BOUNDED_BITS)).astype(np.int64)


@dataclass(frozen=True, eq=False)
class NoisedTests:
    """Tests of some variants, shape (trait, variant), and what is known of their genotypes, shape (variant,).

    Attributes
    ----------
    effect, standard_error, noise
        Effect of an allele with its standard error, of which `noise` is the part that noise has, as a deviation.
    statistic
        Normal under no effect, noise included.
    frequency
        Of ALT.
    seen
        Whether the variance of the genotype stands out from the noise; effects of others cannot be told.
    """

    effect: Reals
    standard_error: Reals
    noise: Reals
    statistic: Reals
    frequency: Reals
    seen: Bools


def scan(federation: Federation, null: NoisedNull, block: Block) -> NoisedTests:
    """The tests of a block, from one ask.

    Notes
    -----
    U = sum h r - mean(h) sum r; under no effect its variance is mean(r^2) sum (h - mean(h))^2, for residuals that do
    not depend on the genotype, plus that of the noise: that of the score, mean(h)^2 times that of the sum of residuals,
    and mean(r)^2 times that of the sum of h. The part of h that covariates explain is left in the variance, so
    that the test is a little careful where they explain much.
    """
    ask = ResidualAsk(**vars(null.ranges), effects=null.effects, limits=null.limits, logistic=null.logistic)
    ((_, total),) = federation.each(residual_scan, null.model, [(block, ask)])
    return tests(total, federation.noise(residual_scan, null.model), null)


def tests(total: ResidualScan, noise: Mapping[str, float], null: NoisedNull) -> NoisedTests:
    """The tests that a total gives; `noise` holds deviations by field."""
    mean = np.clip(total.real("centred") / null.people, -1.0, 1.0)
    spread = np.maximum(total.real("squares") - null.people * mean**2, 0.0)
    shift = (total.real("residuals") / null.people)[:, None]
    variance = np.maximum((total.real("residual_squares") / null.people)[:, None] - shift**2, 1e-6)
    score = total.real("score").T - null.people * shift * mean
    noise_variance = noise["score"] ** 2 + (mean * noise["residuals"]) ** 2 + (shift * noise["centred"]) ** 2
    statistic = score / np.sqrt(variance * spread + noise_variance)
    seen = spread > _SEEN * np.hypot(noise["squares"], 2 * mean * noise["centred"])
    unit = np.where(seen, _units(null, variance) / np.where(seen, spread, 1.0), np.nan)
    return NoisedTests(
        effect=score * unit,
        standard_error=np.sqrt(variance * spread + noise_variance) * unit,
        noise=np.sqrt(noise_variance) * unit,
        statistic=statistic,
        frequency=np.where(seen, (1 + mean) / 2, np.nan),
        seen=np.asarray(seen),
    )


def _units(null: NoisedNull, variance: Reals) -> Reals:
    """What a score divided by the variance of the genotype must be multiplied by to be an effect, shape (trait, 1)."""
    limits = null.limits[:, None]
    if null.logistic:
        # Weights mu (1 - mu) are, on average, the squared residuals.
        return 1 / (limits * variance)
    return limits * null.ranges.trait_halves[:, None]


def rows(null: NoisedNull, found: NoisedTests, block: Block, nodes: int, test: str) -> dict[str, dict[str, np.ndarray]]:
    """Tables of the traits of a model; what nobody may know exactly is about right, or withheld."""
    ploidy = 1.0 if null.model.kind in ("y", "mt") else 2.0
    allele = 2.0 / ploidy  # Y and MT are 0 and 2 in the file, and one allele in people
    people, frequency = round(null.people), found.frequency
    alleles = np.where(found.seen, np.rint(ploidy * people * np.nan_to_num(frequency)), _WITHHELD).astype(np.int64)
    code = np.where(found.seen, status("OK"), status("HIDDEN_BY_NOISE")).astype(np.int8)
    tables: dict[str, dict[str, np.ndarray]] = {}
    for number, trait in enumerate(null.model.traits):
        tables[trait.name] = {
            "variant": block.variants,
            "A1_FREQ": frequency,
            "A1_CT": alleles,
            "OBS_CT": np.full(len(block), people, np.int64),
            "MISSING_CT": np.full(len(block), _WITHHELD, np.int64),
            "MISSING": np.full(len(block), missing_code("mean"), np.int8),
            "BETA": allele * found.effect[number],
            "SE": allele * found.standard_error[number],
            "STAT": found.statistic[number],
            "LOG10P": log10_p_of_z(found.statistic[number]),
            "TEST": np.full(len(block), code_of_test(test), np.int8),
            "STATUS": code,
            "NODES": np.full(len(block), nodes, np.int64),
            "NOISE_SD": allele * found.noise[number],
            **(_arms(float(null.shares[number]), people, len(block)) if trait.kind == "binary" else {}),
        }
    return tables


def _arms(share: float, people: int, variants: int) -> dict[str, Any]:  # Any: arrays of counts and of reals
    cases = round(share * people)
    nothing = np.full(variants, np.nan)
    return {
        "CASE_CT": np.full(variants, cases, np.int64),
        "CTRL_CT": np.full(variants, people - cases, np.int64),
        "CASE_FREQ": nothing,
        "CTRL_FREQ": nothing,
    }


def blocks(chunk: Chunk) -> list[Block]:
    """The chunk as one block: sums of residuals, which come once an ask, are then paid for once."""
    return list(chunk.blocks(size=LARGEST_PASS))
