"""What the report's Methods say of each study, in sentences that can go into a paper."""

from collections.abc import Collection, Iterator

from fedstats.analyses.logistic_gwas import REFIT_ABOVE
from fedstats.analysis import NOISED, NOISED_SUFFIX
from fedstats.planning.faults import listing
from fedstats.study import Filters, Study

_KINDS = {"gwas/linear": "linear", "gwas/logistic": "logistic"}
_MISSING = {
    "mean": "Missing genotypes were replaced by the mean dosage over all sites.",
    "drop": (
        "Missing genotypes were left out variant by variant, or replaced by the mean dosage over all sites where so "
        "few were missing that leaving them out would have shown whose (column MISSING)."
    ),
    "drop-strict": (
        "Missing genotypes were left out variant by variant; variants where so few were missing that this would have "
        "shown whose have no result."
    ),
}
_ALLELE = "The effect allele is ALT."


def methods(study: Study, nodes: int, chosen_by: Collection[str] = ()) -> str:
    """The paragraph of one study over a number of nodes; `chosen_by` are options that chose its variants beforehand."""
    return " ".join([*_chosen(chosen_by), *_sentences(study, nodes)])


def _chosen(options: Collection[str]) -> Iterator[str]:
    if options:
        yield f"Variants were chosen beforehand ({listing([f'--{option}' for option in options])})."


def _sentences(study: Study, nodes: int) -> Iterator[str]:
    kind = _KINDS.get(study.analysis.removesuffix(NOISED_SUFFIX))
    if study.analysis in NOISED:
        yield from _noised(kind, nodes)
        return
    if kind is None:
        yield f"Counts were summed over {nodes} sites; no individual data left a site."
        return
    yield (
        f"Each variant was tested by {_test(study, kind)} with the same answer as on pooled data: {nodes} sites "
        "sent sums over their people only."
    )
    yield from _fits(study, kind)
    yield from _site_effects(study)
    yield _MISSING[study.missing]
    yield from _left_out(study)
    yield _ALLELE


def _noised(kind: str | None, nodes: int) -> Iterator[str]:
    tested = f"Variants were tested by score tests of {kind} regression" if kind else "Alleles were counted"
    yield (
        f"{tested} on sums over {nodes} sites that carry discrete Gaussian noise (differential privacy, accounted in "
        "zCDP). Traits and covariates were clipped to declared ranges; standard errors and P count the noise."
    )
    yield _ALLELE


def _test(study: Study, kind: str) -> str:
    if kind == "linear":
        return "linear regression"
    return "logistic regression" if study.test == "wald" else "the score test of logistic regression"


def _fits(study: Study, kind: str) -> Iterator[str]:
    """How logistic models were fitted, where not each in full."""
    if kind != "logistic":
        return
    if study.test == "score":
        yield "Effects are one step from the model without the variant."
    if study.test == "score-refit":
        yield (
            f"Variants with a score statistic beyond ±{REFIT_ABOVE:g} were fitted in full and have Wald tests (column "
            "TEST); other effects are one step from the model without the variant."
        )
    if study.convergence == "plink":
        yield (
            "Fits followed PLINK 2's iterations and stopped where it stops; those whose iterations left what sites "
            "compute with converged in full."
        )


def _site_effects(study: Study) -> Iterator[str]:
    models = [model for model in study.scanned if model.site_effects]
    if not models:
        return
    slopes = list(dict.fromkeys(term.name for model in models for term in model.local_terms))
    own = f"an intercept and slopes for {listing(slopes)}" if slopes else "an intercept"
    yield f"Every site had {own} of its own, eliminated at the site."


def _left_out(study: Study) -> Iterator[str]:
    passed = list(_filters(study.filters))
    if passed:
        yield f"Variants were kept that, among the analysed people of all sites, have {listing(passed)}."
    floors = study.floors
    yield (
        f"Variants with fewer than {floors.min_mac} minor alleles, or carriers at fewer than "
        f"{floors.min_carrier_nodes} sites, were not tested."
    )


def _filters(filters: Filters) -> Iterator[str]:
    """What a variant must have to pass."""
    if filters.geno is not None:
        yield f"at most {100 * filters.geno:g} % missing genotypes"
    if filters.maf is not None:
        yield f"a minor allele frequency of at least {filters.maf:g}"
    if filters.hwe is not None:
        yield f"a Hardy-Weinberg P of at least {filters.hwe:g}, stratified by site"
    if filters.hwe_pooled is not None:
        yield f"an exact Hardy-Weinberg P of at least {filters.hwe_pooled:g}, sites pooled"
