"""fedstats gwas: association of every variant with one or more traits."""

from typing import Annotated

from fedstats.cli import runs
from fedstats.cli.runs import (
    MODEL,
    PEOPLE,
    VARIANTS,
    Chromosomes,
    Covariates,
    Delta,
    Epsilon,
    Exclude,
    Extract,
    FederationFile,
    Json,
    Keep,
    Nodes,
    Out,
    PaillierMasks,
    PassVariants,
    PeopleAs,
    Phenotypes,
    PlanOnly,
    Privacy,
    Project,
    Ranges,
    Remove,
    Resume,
    Wait,
    option,
)

Categorical = Annotated[str, option("--categorical", "NAMES", MODEL, "Covariates whose levels become indicators.")]
LocalCovariates = Annotated[
    str, option("--local-covar", "NAMES", MODEL, "Covariates with a slope of their own at every site.")
]
Model = Annotated[str, option("--model", "auto|linear|logistic", MODEL, "auto: logistic for binary traits.")]
Test = Annotated[str, option("--test", "wald|score|score-refit", MODEL, "Test of logistic models.")]
Missing = Annotated[
    str,
    option("--missing", "mean|drop|drop-strict", MODEL, "Missing calls: the mean of all sites, or dropped as plink2."),
]
SiteEffects = Annotated[
    str, option("--site-effects", "none|fixed", MODEL, "fixed: an intercept of its own at every site.")
]
Convergence = Annotated[
    str, option("--convergence", "full|plink", MODEL, "plink: stop where plink2 stops (logistic models).")
]
BinaryCoding = Annotated[
    str, option("--binary-coding", "auto|01|12", MODEL, "What cases and controls are called in the tables.")
]
MissingCode = Annotated[
    str, option("--missing-code", "auto|none|-9", MODEL, "What a -9 in a quantitative trait means; auto asks.")
]
Maf = Annotated[float | None, option("--maf", "X", VARIANTS, "Least minor allele frequency.")]
Geno = Annotated[float | None, option("--geno", "X", VARIANTS, "Largest share of missing calls.")]
Hwe = Annotated[float | None, option("--hwe", "P", VARIANTS, "Least Hardy-Weinberg p-value, stratified by site.")]
HwePooled = Annotated[float | None, option("--hwe-pooled", "P", VARIANTS, "The same without strata, as plink2 --hwe.")]
TraitPeople = Annotated[
    str,
    option("--trait-people", "each|common", PEOPLE, "each trait of its own people, or all of those whom all have."),
]

#: Flags of this command alone, whose names in Python are theirs.
_OWN = (
    *("categorical", "local_covar", "model", "test", "missing", "site_effects", "convergence", "binary_coding"),
    *("missing_code", "maf", "geno", "hwe", "hwe_pooled", "trait_people", "plan_only"),
)


def gwas(  # one parameter a flag: this is the command line
    federation: FederationFile,
    pheno: Phenotypes,
    out: Out,
    covar: Covariates = "",
    categorical: Categorical = "",
    local_covar: LocalCovariates = "",
    model: Model = "auto",
    test: Test = "wald",
    missing: Missing = "mean",
    site_effects: SiteEffects = "none",
    convergence: Convergence = "full",
    binary_coding: BinaryCoding = "auto",
    missing_code: MissingCode = "auto",
    chromosomes: Chromosomes = "",
    extract: Extract = None,
    exclude: Exclude = None,
    maf: Maf = None,
    geno: Geno = None,
    hwe: Hwe = None,
    hwe_pooled: HwePooled = None,
    keep: Keep = None,
    remove: Remove = None,
    trait_people: TraitPeople = "each",
    people_as: PeopleAs = "",
    nodes: Nodes = "",
    privacy: Privacy = "masked",
    paillier_masks: PaillierMasks = "on",
    epsilon: Epsilon = 0.0,
    delta: Delta = None,
    ranges: Ranges = None,
    project: Project = "",
    pass_variants: PassVariants = 100_000,
    wait: Wait = "2h",
    *,
    resume: Resume = False,
    plan_only: PlanOnly = False,
    json: Json = False,
) -> None:
    """Association of every variant with one or more traits."""
    with runs.run(federation, locals()) as session:
        traits = [name.strip() for name in pheno.split(",")]
        results = session.client.gwas(traits, covariates=covar, **session.also(_OWN), **session.keywords)
    if not plan_only:
        runs.say_associations(results)
    runs.say_files(session, out)
