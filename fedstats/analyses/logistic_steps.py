"""What nodes do for a logistic GWAS: sums of the null model, of round 0 of all variants, and of rounds of its fits.

Released: gradients and information matrices of the likelihood at coefficients that the coordinator sends.
Coefficients are an attack surface, since an extreme one gives all people but a few a weight
of zero; each step says which coefficients it admits, and no node computes with others.
"""

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, TypeVar

import numpy as np

from fedstats.additive import Additive, Count, FixedSum, Limits, Sum
from fedstats.analyses.genotype_counts import calls_among, refuse_rare
from fedstats.analyses.linear_sums import SCAN_RESTS_ON, ScanParameters, scan_follows
from fedstats.analyses.logistic_null_step import NULL, fit_follows, null_follows
from fedstats.analyses.moments import MOMENTS, Scaling
from fedstats.analyses.prepared import Recent, bytes_of
from fedstats.analyses.standardise import COLUMN_BITS, CROSS_PRODUCTS, Columns, standardised
from fedstats.arrays import Bools, Counts, Fixed, Indices, Reals
from fedstats.certified import Certified
from fedstats.cohort import Cohort
from fedstats.errors import DisclosureRefused, Refused
from fedstats.kernels.newton import pair_indices
from fedstats.step import Along, local_step
from fedstats.study import Block, Floors, Model

if TYPE_CHECKING:
    from fedstats.kernels.logistic import LogisticPeople, LogisticSums
    from fedstats.kernels.packed import PackedColumns

S = TypeVar("S", bound=Additive)

#: Fraction bits of the columns and sums of round 0. Totals stay under 2 n = 2^22, so that 2^60 fits a word.
ROUND_ZERO_BITS = 38

#: Largest size of the null intercept: log odds of one case in 160,000 people.
LARGEST_NULL_INTERCEPT = 12.0
#: Largest Euclidean norm of the null's covariate effects: an odds ratio of 148 per standard deviation.
LARGEST_NULL_EFFECT = 5.0
#: Largest distance of a variant's covariate effects from the null's.
LARGEST_DISTANCE = 1.0
#: Largest effect of a genotype: an odds ratio of 3 million per allele.
LARGEST_GENOTYPE_EFFECT = 15.0
#: How far an intercept may lie from the null's beyond what the genotype's effect moves it.
LARGEST_INTERCEPT_SLACK = 2.0
#: Last round that nodes answer.
LAST_ROUND = 25


def _share_of_people(share: float, limits: Limits) -> float:
    return share * limits.people


# Weights are at most 1/4, residuals at most 1, dosages at most 2, and squares of a column sum to the people at most;
# Cauchy-Schwarz does the rest. 1.01 leaves room for what rounding adds to the squares.
_HALF = partial(_share_of_people, 0.505)
_ONCE = partial(_share_of_people, 1.01)
_TWICE = partial(_share_of_people, 2.0)


# --- null model -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NullAsk(Scaling):
    """Where the null model of one trait is evaluated; `null` are its coefficients, intercept first."""

    trait: int
    null: Annotated[Reals, Along("coefficient")]


@dataclass(frozen=True)
class NullSums(Additive):
    """Gradient of the log-likelihood, and the upper triangle of its negative Hessian."""

    score: Annotated[Reals, Sum("coefficient", bound=_ONCE)]
    information: Annotated[Reals, Sum("coefficient_pair", bound=_HALF)]


def admit_null(at: NullAsk, _floors: Floors) -> None:
    """Refuse null coefficients that no disease of people has, and that would single some of them out."""
    if abs(at.null[0]) > LARGEST_NULL_INTERCEPT:
        raise _isolating("the null intercept", LARGEST_NULL_INTERCEPT)
    if np.linalg.norm(at.null[1:]) > LARGEST_NULL_EFFECT:
        raise _isolating("the null effects of the covariates", LARGEST_NULL_EFFECT)


def _isolating(what: str, limit: float) -> Refused:
    return Refused(
        f"{what} must not exceed {limit:g} in size: weights of a model so extreme could single out people; "
        "nothing was computed",
        code="ISOLATING_BETA",
        hint="Check for a covariate that nearly decides the trait, and leave it out.",
    )


@local_step(NULL, admissible=admit_null, rests_on=(MOMENTS, CROSS_PRODUCTS, NULL), follows=null_follows)
def null_sums(cohort: Cohort, at: NullAsk) -> NullSums:
    """Score z'(y - mu) and information z'Wz of the covariates, with mu = 1 / (1 + exp(-z null))."""
    design, outcome = design_and_outcome(cohort, standardised(cohort, at), at.trait)
    residual, weight = residuals_and_weights(design, outcome, cohort.people, at.null)
    rows, columns = pair_indices(design.shape[1])
    information = (design * weight[:, None]).T @ design
    return NullSums(score=design.T @ residual, information=information[rows, columns])


def design_and_outcome(cohort: Cohort, columns: Columns, trait: int) -> tuple[Reals, Reals]:
    """Intercept and standardised covariates, shape (person, coefficient), and the trait as 0 and 1."""
    intercept = cohort.people.astype(np.float64)
    design = np.column_stack([intercept, np.ldexp(columns.covariates.astype(np.float64), -COLUMN_BITS)])
    return design, np.ascontiguousarray(cohort.traits[:, trait])


def residuals_and_weights(design: Reals, outcome: Reals, people: Bools, null: Reals) -> tuple[Reals, Reals]:
    """Residuals y - mu and weights mu (1 - mu) at the null model, zero for people who are out."""
    eta = design @ null
    small = np.exp(-np.abs(eta))
    mu = np.where(eta >= 0, 1.0, small) / (1.0 + small)
    return np.where(people, outcome - mu, 0.0), np.where(people, small / (1.0 + small) ** 2, 0.0)


# --- round 0: every variant at the null model -------------------------------------------------------------------------


@dataclass(frozen=True)
class RoundZeroAsk(NullAsk, ScanParameters):
    """The null fit, and the federation's counts: they admit the variants, and give each node the mean dosage."""


@dataclass(frozen=True)
class RoundZero(Additive):
    """Sums of the score test, missing calls at the mean, and genotypes of cases.

    Attributes
    ----------
    genotype_score
        Sum of g (y - mu).
    cross_information, genotype_information
        Sums of w g z and w g^2.
    genotype_covariate
        Sum of g z without weights, for collinearity.
    case_called, case_dosage
        Called genotypes of cases, and the sum of their dosages; those of controls are the rest.
    """

    genotype_score: Annotated[Fixed, FixedSum("variant", bound=_TWICE, fraction_bits=ROUND_ZERO_BITS)]
    cross_information: Annotated[Fixed, FixedSum("variant", "coefficient", bound=_HALF, fraction_bits=ROUND_ZERO_BITS)]
    genotype_information: Annotated[Fixed, FixedSum("variant", bound=_ONCE, fraction_bits=ROUND_ZERO_BITS)]
    genotype_covariate: Annotated[Fixed, FixedSum("variant", "covariate", bound=_TWICE, fraction_bits=ROUND_ZERO_BITS)]
    case_called: Annotated[Counts, Count("variant")]
    case_dosage: Annotated[Counts, Count("variant", bound=_TWICE)]


@dataclass(frozen=True)
class RoundZeroBySex(RoundZero):
    """The same on chromosome X, with male cases apart."""

    male_case_called: Annotated[Counts, Count("variant")]
    male_case_dosage: Annotated[Counts, Count("variant", bound=_TWICE)]


def admit_round_zero(at: RoundZeroAsk, floors: Floors) -> None:
    """Refuse rare variants, and null coefficients that could single people out."""
    admit_null(at, floors)
    refuse_rare(at.minor_count, at.carrier_nodes, floors)


#: Beside what a scan rests on, the sums that lead to the null fit.
_RESTS_ON = (*SCAN_RESTS_ON, NULL)


def _follows(at: RoundZeroAsk, model: Model, block: Block | None, certified: Certified) -> None:
    """Refuse scales, counts and a null fit other than those of the certified totals.

    Coefficients of variants are free within what `admit_round` allows about that null fit.
    """
    fit_follows(at, model, block, certified)
    scan_follows(at, model, block, certified)


@local_step("logistic_gwas/round_zero@2", admissible=admit_round_zero, rests_on=_RESTS_ON, follows=_follows)
def round_zero(cohort: Cohort, at: RoundZeroAsk) -> RoundZero:
    """Sums of the score test of every variant of the block."""
    (cases,) = calls_among(cohort, _cases(cohort, at))
    return RoundZero(**_score_sums(cohort, at), case_called=cases.called, case_dosage=cases.dosage)


@local_step(
    "logistic_gwas/round_zero_by_sex@1",
    admissible=admit_round_zero,
    rests_on=_RESTS_ON,
    follows=_follows,
    kinds=("x",),
)
def round_zero_by_sex(cohort: Cohort, at: RoundZeroAsk) -> RoundZeroBySex:
    """The same of a block on chromosome X."""
    who = _cases(cohort, at)
    cases, males = calls_among(cohort, who, who & cohort.male)
    return RoundZeroBySex(
        **_score_sums(cohort, at),
        case_called=cases.called,
        case_dosage=cases.dosage,
        male_case_called=males.called,
        male_case_dosage=males.dosage,
    )


def _cases(cohort: Cohort, at: NullAsk) -> Bools:
    return np.asarray(cohort.people & (cohort.traits[:, at.trait] == 1))


def _score_sums(cohort: Cohort, at: RoundZeroAsk) -> dict[str, Fixed]:
    """One pass of the linear kernel over residuals, weights and weighted covariates, each rounded once per person."""
    from fedstats.kernels import packed  # at the node only: it brings the compiler
    from fedstats.kernels.logistic import weighted_squares

    block = cohort.block()
    words = packed.genotype_words(block)
    columns, weight = _round_zero_columns(cohort, at)
    found = packed.called_and_missing_sums(block, words, columns)
    mean, k = at.mean, len(at.null)
    sums = found.imputed(mean)
    squares = weighted_squares(words.view(np.uint8), block.swap, weight)
    squares[found.lacking] += np.rint(mean[found.lacking] ** 2 * found.lacking_sums[:, 1]).astype(np.int64)
    return {
        "genotype_score": sums[:, 0].copy(),
        "cross_information": sums[:, 1 : k + 1].copy(),
        "genotype_information": squares,
        "genotype_covariate": sums[:, k + 1 :].copy(),
    }


_ROUND_ZERO: "Recent[tuple[PackedColumns, Fixed]]" = Recent()


def _round_zero_columns(cohort: Cohort, at: RoundZeroAsk) -> "tuple[PackedColumns, Fixed]":
    """Residual, weight, weighted covariates and covariates in fixed point, as columns; and everybody's weight."""
    columns = standardised(cohort, at)
    arrays = (cohort.people, cohort.traits, columns.covariates)
    return _ROUND_ZERO.get(arrays, bytes_of(at.trait, at.null), lambda: _computed_columns(cohort, columns, at))


def _computed_columns(cohort: Cohort, columns: Columns, at: RoundZeroAsk) -> "tuple[PackedColumns, Fixed]":
    from fedstats.kernels import packed  # as above

    design, outcome = design_and_outcome(cohort, columns, at.trait)
    residual, weight = residuals_and_weights(design, outcome, cohort.people, at.null)
    real = np.column_stack([residual, weight[:, None] * design])
    fixed = np.rint(np.ldexp(real, ROUND_ZERO_BITS)).astype(np.int64)
    together = np.column_stack([fixed, columns.covariates << (ROUND_ZERO_BITS - COLUMN_BITS)])
    return packed.packed_columns(together, cohort.people), fixed[:, 1].copy()


# --- rounds of fits: each variant at coefficients of its own ----------------------------------------------------------


@dataclass(frozen=True)
class RoundAsk(RoundZeroAsk):
    """Coefficients of each variant, and which variants leave people with a missing call out.

    Attributes
    ----------
    round
        Counts rounds of one kind from 1.
    effects, genotype_effects
        Coefficients of intercept and covariates, and of the dosage.
    dropped
        1 where people with a missing call are left out, 0 where their dosage is the mean.
    missing, missing_nodes
        People without a call, and nodes that have some: leaving them out is admitted for none or for enough.
    """

    round: int
    missing: Annotated[Counts, Along("variant")]
    missing_nodes: Annotated[Counts, Along("variant")]
    effects: Annotated[Reals, Along("variant", "coefficient")]
    genotype_effects: Annotated[Reals, Along("variant")]
    dropped: Annotated[Indices, Along("variant")]


@dataclass(frozen=True)
class RoundSums(Additive):
    """Gradient and negative Hessian of each variant's log-likelihood, in parts."""

    score: Annotated[Reals, Sum("variant", "coefficient", bound=_ONCE)]
    genotype_score: Annotated[Reals, Sum("variant", bound=_TWICE)]
    information: Annotated[Reals, Sum("variant", "coefficient_pair", bound=_HALF)]
    cross_information: Annotated[Reals, Sum("variant", "coefficient", bound=_HALF)]
    genotype_information: Annotated[Reals, Sum("variant", bound=_ONCE)]


def admit_round(at: RoundAsk, floors: Floors) -> None:
    """Refuse coefficients that leave the neighbourhood of the null model, and rounds without end."""
    admit_round_zero(at, floors)
    _refuse_few_missing(at, floors)
    if not 1 <= at.round <= LAST_ROUND:
        raise Refused(f"a fit takes at most {LAST_ROUND} rounds; nothing was computed", code="ISOLATING_BETA")
    if not admissible(at.null, at.effects, at.genotype_effects).all():
        raise Refused(
            f"a variant's coefficients must lie within {LARGEST_DISTANCE:g} standard deviations of the null model's "
            f"and {LARGEST_GENOTYPE_EFFECT:g} for the genotype; weights of others could single out people; "
            "nothing was computed",
            code="ISOLATING_BETA",
        )


def _refuse_few_missing(at: RoundAsk, floors: Floors) -> None:
    few = (at.missing < floors.min_missing) | (at.missing_nodes < floors.min_missing_nodes)
    refused = (at.dropped == 1) & (at.missing > 0) & few
    if refused.any():
        raise DisclosureRefused(
            f"{int(refused.sum())} variants have fewer than {floors.min_missing} missing calls or miss them at fewer "
            f"than {floors.min_missing_nodes} nodes, too few to leave those people out; nothing was released",
            code="FEW_MISSING",
        )


def admissible(null: Reals, effects: Reals, genotype_effects: Reals) -> Bools:
    """Which variants' coefficients nodes compute with, shape (variant,).

    Coefficients must be near the null model's, or all be zero, where everybody has the same weight. The intercept may
    lie anywhere between zero and the null's, where weights are more alike, and is beyond tied to the genotype's
    effect: coding the other allele moves it by twice that effect.
    """
    distance = np.linalg.norm(effects[:, 1:] - null[1:], axis=1)
    slack = 2 * np.abs(genotype_effects) + LARGEST_INTERCEPT_SLACK
    near = (
        (distance <= LARGEST_DISTANCE)
        & (np.abs(genotype_effects) <= LARGEST_GENOTYPE_EFFECT)
        & (effects[:, 0] >= min(null[0], 0.0) - slack)
        & (effects[:, 0] <= max(null[0], 0.0) + slack)
    )
    zero = (effects == 0).all(axis=1) & (genotype_effects == 0)
    return np.asarray(near | zero)


@dataclass(frozen=True)
class ApproachSums(Additive):
    """The same without the covariates' own information, which hardly differs from the null model's."""

    score: Annotated[Reals, Sum("variant", "coefficient", bound=_ONCE)]
    genotype_score: Annotated[Reals, Sum("variant", bound=_TWICE)]
    cross_information: Annotated[Reals, Sum("variant", "coefficient", bound=_HALF)]
    genotype_information: Annotated[Reals, Sum("variant", bound=_ONCE)]


@local_step("logistic_gwas/approach@1", admissible=admit_round, rests_on=_RESTS_ON, follows=_follows)
def approach(cohort: Cohort, at: RoundAsk) -> ApproachSums:
    """Score, and the genotypes' part of the information, of every variant of the block at its own coefficients."""
    return _released(ApproachSums, _sums_of_round(cohort, at, information=False))


@local_step("logistic_gwas/round@1", admissible=admit_round, rests_on=_RESTS_ON, follows=_follows)
def newton_round(cohort: Cohort, at: RoundAsk) -> RoundSums:
    """Score and information of every variant of the block at its own coefficients."""
    return _released(RoundSums, _sums_of_round(cohort, at))


def _released(kind: type[S], sums: "LogisticSums") -> S:
    """The sums that a release has, by name."""
    return kind(**{name: getattr(sums, name) for name in kind.schema()})


_PEOPLE: "Recent[LogisticPeople]" = Recent()


def _people_of_round(cohort: Cohort, at: RoundAsk) -> "LogisticPeople":
    """People and their design in tiles, once for all blocks and rounds."""
    from fedstats.kernels.logistic import logistic_people  # at the node only: it brings the compiler

    columns = standardised(cohort, at)

    def laid_out() -> "LogisticPeople":
        design, outcome = design_and_outcome(cohort, columns, at.trait)
        return logistic_people(cohort.people, design, outcome)

    return _PEOPLE.get((cohort.people, cohort.traits, columns.covariates), bytes_of(at.trait), laid_out)


def _sums_of_round(
    cohort: Cohort, at: RoundAsk, *, information: bool = True, likelihood: bool = False
) -> "LogisticSums":
    from fedstats.kernels.logistic import logistic_sums  # as above

    return logistic_sums(
        _people_of_round(cohort, at),
        cohort.block(),
        at.effects,
        at.genotype_effects,
        at.mean,
        at.dropped == 1,
        information=information,
        likelihood=likelihood,
    )


def _likelihood_bound(limits: Limits) -> float:
    # |eta| + log 2 a person: at most 44 from the intercept and 30 from the genotype; covariates, at most 6 in norm,
    # add 6 times the root of their number on average. 200 leaves room for 400 of them.
    return 200.0 * limits.people


@dataclass(frozen=True)
class LikelihoodSums(RoundSums):
    """The same with the log-likelihood, for those who stop where PLINK 2 stops."""

    log_likelihood: Annotated[Reals, Sum("variant", bound=_likelihood_bound)]


@local_step("logistic_gwas/round_with_likelihood@1", admissible=admit_round, rests_on=_RESTS_ON, follows=_follows)
def newton_round_with_likelihood(cohort: Cohort, at: RoundAsk) -> LikelihoodSums:
    """Score, information and log-likelihood of every variant of the block at its own coefficients."""
    return _released(LikelihoodSums, _sums_of_round(cohort, at, likelihood=True))
