"""Logistic regression of binary traits on every variant, with covariates: counting, score tests, full fits.

The answer is the pooled maximum of the likelihood (Wald), or the score test at the null model (`--test score`), or
the second everywhere and the first where it stands out (`score-refit`). Variants whose maximum lies at infinity get
the status SEPARATION: at once where cases or controls have one allele only, as in PLINK 2, and else when the effect
runs away.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from fedstats.analyses.association_rows import AssociationRows, arm_columns, scan_models
from fedstats.analyses.genotype_counts import CaseCounts, VariantTotals, count_variants, nobodys_cases
from fedstats.analyses.linear_design import LinearDesign, linear_design, site_warnings
from fedstats.analyses.linear_gwas import Treatment, treat_missing
from fedstats.analyses.logistic_fit import Candidates, Estimates, NullFit, fit_all
from fedstats.analyses.logistic_like_plink import fit_like_plink
from fedstats.analyses.logistic_null import fit_null
from fedstats.analyses.logistic_score import ScoreTests, complete_score_tests, score_tests
from fedstats.analyses.statuses import Codes, code_of_test, missing_code, status
from fedstats.analyses.variant_filters import filter_variants
from fedstats.analysis import analysis
from fedstats.arrays import Bools, Counts, Indices, Reals
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.kernels.tails import log10_p_of_z
from fedstats.rows import Note, Rows
from fedstats.study import Chunk, Model, Study

#: `score-refit` fits variants whose score test exceeds this in size: 0.3 % of those without effect.
REFIT_ABOVE = 3.0


@dataclass(frozen=True)
class LogisticDesign:
    """What is known of a model before its variants: its columns, and a null fit for each trait."""

    columns: LinearDesign
    fits: tuple[NullFit, ...]


@analysis("gwas/logistic", steps=("columns/", "logistic_gwas/"))
def logistic_gwas(federation: Federation, study: Study, chunks: Sequence[Chunk]) -> Iterator[Rows | Note]:
    """Rows of each trait, chunk by chunk.

    Raises
    ------
    UsageError
        The study asks for what logistic models do not have yet; a column is constant or collinear over the
        federation; covariates decide a trait.
    """
    _refuse_unknown(study)
    designs: dict[str, LogisticDesign] = {}
    examined: set[str] = set()
    for model in study.scanned:
        designs[model.id] = _design(federation, study, model, designs)
        if not examined.issuperset(trait.name for trait in model.traits):
            yield from site_warnings(study, designs[model.id].columns)
        examined.update(trait.name for trait in model.traits)
        yield from _null_notes(designs[model.id])
    yield from federation.map(lambda handle, chunk: scan_chunk(handle, study, designs, chunk), chunks)


def _refuse_unknown(study: Study) -> None:
    """Refuse designs and options that logistic models do not have, before anything is asked."""
    if any(model.site_effects or model.local_terms for model in study.scanned):
        raise UsageError(
            "effects of sites (--site-effects, --local-covar) are there for linear models only, so far",
            code="NO_SITE_EFFECTS",
            hint="Run binary traits with --model linear, or without this option.",
        )
    named = [trait.name for model in study.scanned for trait in model.traits if trait.kind != "binary"]
    if named:
        raise UsageError(
            f"logistic models need traits with two values; these have more: {', '.join(map(repr, sorted(set(named))))}",
            code="NOT_BINARY",
            hint="Use --model linear for them.",
        )


def _design(federation: Federation, study: Study, model: Model, known: Mapping[str, LogisticDesign]) -> LogisticDesign:
    """The design of a model: that of its twin where it is known, for its sums are the same, or else asked for."""
    twin = known.get(study.twin(model).id)
    if twin is None:
        return _with_nulls(federation, linear_design(federation, study, model))
    fits = tuple(replace(fit, model=model) for fit in twin.fits)
    return LogisticDesign(replace(twin.columns, model=model), fits)


def _with_nulls(federation: Federation, columns: LinearDesign) -> LogisticDesign:
    model = columns.model
    nulls = [fit_null(federation, columns, trait) for trait in range(len(model.traits))]
    return LogisticDesign(columns, tuple(NullFit(model, columns.scaling, null) for null in nulls))


def _null_notes(design: LogisticDesign) -> Iterator[Note]:
    model = design.columns.model
    for trait, fit in zip(model.traits, design.fits, strict=True):
        yield Note(
            code="NULL_MODEL",
            message=f"null model of {trait.name} ({model.kind}): converged in {fit.null.rounds} rounds",
            data={"trait": trait.name, "kind": model.kind, "rounds": fit.null.rounds},
        )


def scan_chunk(federation: Federation, study: Study, designs: dict[str, LogisticDesign], chunk: Chunk) -> Rows:
    """Rows of one chunk for every model of its kind."""
    return scan_models(study, chunk, lambda model: _scan_model(federation, study, designs[model.id], chunk))


def _scan_model(federation: Federation, study: Study, design: LogisticDesign, chunk: Chunk) -> Rows:
    columns, model = design.columns, design.columns.model
    cases = columns.description.cases(model)
    counted = count_variants(federation, model, chunk.blocks())
    kept, filtered = filter_variants(federation, study, model, counted)
    treatment = treat_missing(kept, study)
    names = [trait.name for trait in model.traits]
    rows = AssociationRows(kept, names, cases, len(study.nodes), _usual_test(study))
    chosen = np.flatnonzero(treatment.mean | treatment.drop)
    complete = treatment.drop | (treatment.mean & treatment.all_called & (kept.missing == 0))
    candidates = Candidates(kept.take(chosen), complete[chosen])
    _say_who_is_in(rows, treatment, complete)
    arms = []
    for trait, fit in enumerate(design.fits):
        found = _scan_trait(federation, study, fit, columns, candidates)
        _write(rows, trait, chosen, found)
        arms.append(arm_columns(kept, found.cases, chosen, int(cases[trait]), complete))
    return Rows({name: rows.table(trait, arms[trait]) for trait, name in enumerate(names)}, filtered)


def _say_who_is_in(rows: AssociationRows, treatment: Treatment, complete: Bools) -> None:
    """Columns about missing calls, the same for all traits."""
    totals = rows.totals
    used = treatment.mean | treatment.drop
    rows.columns["OBS_CT"][used] = np.where(complete, totals.called, totals.people)[used]
    rows.columns["MISSING"][complete | treatment.suppressed] = missing_code("drop")
    rows.columns["STATUS"][:, treatment.suppressed] = status("SUPPRESSED_CELL")


@dataclass(frozen=True, eq=False)
class _Scanned:
    """What is said of candidates for one trait: estimates and statuses, which test they got, genotypes of cases."""

    estimates: Estimates
    tests: Codes
    cases: CaseCounts


def _scan_trait(
    federation: Federation, study: Study, fit: NullFit, columns: LinearDesign, candidates: Candidates
) -> _Scanned:
    """Estimates and statuses of one trait; those of which counts alone say enough have no estimate."""
    if not len(candidates):
        nothing, no_codes = np.zeros(0), np.zeros(0, np.int8)
        return _Scanned(Estimates(nothing, nothing, no_codes), no_codes, nobodys_cases())
    tests = score_tests(federation, fit, columns, candidates)
    codes, separated = _degenerate(candidates, columns), _separated(candidates.totals, tests.cases)
    if study.test == "wald":
        codes = np.where((codes == status("OK")) & separated, status("SEPARATION"), codes).astype(np.int8)
    beta, error = np.full(len(codes), np.nan), np.full(len(codes), np.nan)
    kinds = np.full(len(codes), code_of_test(_usual_test(study)), np.int8)
    sound = np.flatnonzero(codes == status("OK"))
    if len(sound):
        found, kinds[sound] = _estimates(
            federation, study, fit, tests.at(sound), candidates.at(sound), separated[sound]
        )
        beta[sound], error[sound], codes[sound] = found.beta, found.standard_error, found.status
    return _Scanned(Estimates(beta, error, codes), kinds, tests.cases)


def _usual_test(study: Study) -> str:
    """The test of rows that do not say otherwise."""
    return "LOGISTIC_WALD" if study.test == "wald" else "LOGISTIC_SCORE"


def _degenerate(candidates: Candidates, columns: LinearDesign) -> Codes:
    """What counts alone say of each variant: too few people for the columns, or one genotype."""
    totals = candidates.totals
    people = np.where(candidates.dropped, totals.called, totals.people)
    checks = [people <= columns.column_count + 1, totals.called * totals.squares == totals.dosage**2]
    names = ["SAMPLE_CT<=PREDICTOR_CT", "CONST_OMITTED_ALLELE"]
    return np.select(checks, [status(name) for name in names], status("OK")).astype(np.int8)


def _separated(totals: VariantTotals, cases: CaseCounts) -> Bools:
    """Whether cases or controls have one allele only, which is PLINK 2's rule for separation."""
    controls_called, controls_dosage = totals.called - cases.called, totals.dosage - cases.dosage
    return _one_allele(cases.called, cases.dosage) | _one_allele(controls_called, controls_dosage)


def _one_allele(called: Counts, dosage: Counts) -> Bools:
    return np.asarray((dosage == 0) | (dosage == 2 * called))


def _estimates(
    federation: Federation, study: Study, fit: NullFit, tests: ScoreTests, candidates: Candidates, separated: Bools
) -> tuple[Estimates, Codes]:
    """Estimates by the study's test, and which test each candidate got.

    A score test needs no maximum, so that separated variants have one; where `score-refit` looks for theirs,
    the status says that there is none.
    """
    if study.test != "wald":
        tests = complete_score_tests(federation, fit, tests, candidates)
    sound = tests.status == status("OK")
    found = _one_step(tests, sound)
    refit = sound & (np.abs(found.beta) > _refit_above(study) * found.standard_error)
    chosen = np.flatnonzero(refit & ~separated)
    if len(chosen):
        found.put(chosen, _full_fits(federation, study, fit, candidates.at(chosen), tests.step[chosen]))
    hopeless = refit & separated
    found.beta[hopeless], found.standard_error[hopeless] = np.nan, np.nan
    found.status[hopeless] = status("SEPARATION")
    fitted = refit | (study.test == "wald")
    return found, np.where(fitted, code_of_test("LOGISTIC_WALD"), code_of_test("LOGISTIC_SCORE")).astype(np.int8)


def _full_fits(federation: Federation, study: Study, fit: NullFit, candidates: Candidates, start: Reals) -> Estimates:
    if study.convergence == "plink":
        return fit_like_plink(federation, fit, candidates, start)
    return fit_all(federation, fit, candidates, start)


def _refit_above(study: Study) -> float:
    """Size of the score statistic above which a variant gets a full fit: all, those that stand out, or none."""
    return {"wald": -1.0, "score": np.inf, "score-refit": REFIT_ABOVE}[study.test]


def _one_step(tests: ScoreTests, sound: Bools) -> Estimates:
    beta = np.where(sound, tests.step[:, -1], np.nan)
    return Estimates(beta, np.sqrt(np.where(sound, tests.variance, np.nan)), tests.status.copy())


def _write(rows: AssociationRows, trait: int, positions: Indices, found: _Scanned) -> None:
    # Y and MT were fitted as 0 and 2; reported is the effect of one allele in 0 and 1.
    unit = 2.0 if rows.totals.kind in ("y", "mt") else 1.0
    of = found.estimates
    z = of.beta / of.standard_error
    values = {"BETA": unit * of.beta, "SE": unit * of.standard_error, "STAT": z, "LOG10P": log10_p_of_z(z)}
    for name, column in {**values, "TEST": found.tests, "STATUS": of.status}.items():
        rows.columns[name][trait, positions] = column
