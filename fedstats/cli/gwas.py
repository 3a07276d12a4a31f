"""fedstats gwas: association of every variant with one or more traits."""

from pathlib import Path
from typing import Annotated

import typer

from fedstats.cli import runs
from fedstats.cli.runs import (
    Chromosomes,
    Covariates,
    Exclude,
    Extract,
    FederationFile,
    Json,
    Keep,
    Nodes,
    Out,
    PassVariants,
    PeopleAs,
    Phenotypes,
    Privacy,
    Remove,
    Resume,
    Wait,
)


def gwas(  # one parameter a flag: this is the command line
    federation: FederationFile,
    pheno: Phenotypes,
    out: Out,
    covar: Covariates = "",
    categorical: Annotated[str, typer.Option(help="Covariates whose levels become indicators.")] = "",
    local_covar: Annotated[str, typer.Option(help="Covariates with a slope of their own at every site.")] = "",
    model: Annotated[str, typer.Option(help="auto, linear or logistic.")] = "auto",
    test: Annotated[str, typer.Option(help="wald, score or score-refit (logistic).")] = "wald",
    missing: Annotated[str, typer.Option(help="Missing calls: mean, drop (as plink2) or drop-strict.")] = "mean",
    site_effects: Annotated[str, typer.Option(help="none, or fixed: an intercept of its own at every site.")] = "none",
    trait_people: Annotated[
        str, typer.Option(help="each: its own people per trait; common: those of all.")
    ] = "each",
    binary_coding: Annotated[str, typer.Option(help="auto, 01 or 12.")] = "auto",
    missing_code: Annotated[str, typer.Option(help="none, or -9: what a trait of -9 means.")] = "auto",
    convergence: Annotated[str, typer.Option(help="full, or plink: stop where plink2 stops (logistic).")] = "full",
    maf: Annotated[float | None, typer.Option(help="Least minor allele frequency.")] = None,
    geno: Annotated[float | None, typer.Option(help="Largest share of missing calls.")] = None,
    hwe: Annotated[float | None, typer.Option(help="Least Hardy-Weinberg p-value, stratified by site.")] = None,
    hwe_pooled: Annotated[float | None, typer.Option(help="The same without strata, as plink2 --hwe.")] = None,
    chromosomes: Chromosomes = "",
    extract: Extract = None,
    exclude: Exclude = None,
    keep: Keep = None,
    remove: Remove = None,
    people_as: PeopleAs = "",
    nodes: Nodes = "",
    privacy: Privacy = "masked",
    pass_variants: PassVariants = 65_536,
    wait: Wait = "2h",
    *,
    resume: Resume = False,
    json: Json = False,
) -> None:
    """Association of every variant with one or more traits."""
    with runs.run(federation, locals()) as session:
        results = session.client.gwas(
            [name.strip() for name in pheno.split(",")],
            covariates=covar,
            categorical=categorical,
            local_covar=local_covar,
            model=model,
            test=test,
            missing=missing,
            site_effects=site_effects,
            trait_people=trait_people,
            binary_coding=binary_coding,
            missing_code=missing_code,
            convergence=convergence,
            maf=maf,
            geno=geno,
            hwe=hwe,
            hwe_pooled=hwe_pooled,
            **session.keywords,
        )
        runs.say_associations(results)
        runs.say_files(out)
