"""fedstats simulate: pooled data with traits, covariates and a known truth."""

import time
from pathlib import Path
from typing import Annotated

import typer


def simulate(  # one parameter a flag: this is the command line
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Prefix of the files to write.")],
    sites: Annotated[int, typer.Option(metavar="N", help="Number of sites.")] = 3,
    samples: Annotated[int, typer.Option(metavar="N", help="Number of people.")] = 6000,
    variants: Annotated[int, typer.Option(metavar="N", help="Number of variants.")] = 50_000,
    seed: Annotated[
        int, typer.Option(metavar="N", help="Where the random numbers start; the same seed gives the same files.")
    ] = 1,
    traits: Annotated[
        int, typer.Option(metavar="N", help="Number of quantitative traits; b1 and b2 are always there.")
    ] = 2,
    missing_rate: Annotated[float, typer.Option(metavar="X", help="Share of calls that are missing.")] = 0.005,
    trait_missing_rate: Annotated[
        float, typer.Option(metavar="X", help="Share of trait values that are missing.")
    ] = 0.0,
    fst: Annotated[float, typer.Option(metavar="X", help="Differentiation between sites.")] = 0.01,
    *,
    confounded: Annotated[bool, typer.Option("--confounded", help="Shares of cases differ between sites.")] = False,
    missing_by_trait: Annotated[bool, typer.Option("--missing-by-trait", help="Missing calls go with q1.")] = False,
    outlier: Annotated[bool, typer.Option("--outlier", help="One person lies 80 standard deviations out.")] = False,
    controls_only: Annotated[bool, typer.Option("--controls-only", help="The last site has no cases.")] = False,
) -> None:
    """Simulate a pooled PLINK 1 fileset with traits, covariates and known causal variants."""
    from fedstats.cli.output import say
    from fedstats.simulate.recipe import Recipe
    from fedstats.simulate.simulation import simulate as run

    started = time.monotonic()
    recipe = Recipe(
        sites=sites,
        samples=samples,
        variants=variants,
        seed=seed,
        traits=traits,
        missing_rate=missing_rate,
        trait_missing_rate=trait_missing_rate,
        fst=fst,
        confounded=confounded,
        missing_by_trait=missing_by_trait,
        outlier=outlier,
        controls_only=controls_only,
    )
    run(out, recipe)
    size = f"{samples:,} people x {variants:,} variants at {sites} sites"
    say(f"{size} in {time.monotonic() - started:.1f} s")
    say(f"  {out}.bed .bim .fam .pheno.tsv .covar.tsv .truth.tsv")
