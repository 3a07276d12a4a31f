"""fedstats demo: the whole thing on this machine, and how far the answer is from the pooled analysis."""

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fedstats.cli.output import Show, events, say

if TYPE_CHECKING:
    from fedstats.simulate.recipe import Recipe

TRAITS = ("q1", "b1")
#: With fewer people the smallest of three countries could not pay, from the budget of numbers a person of the policy,
#: for the logistic model: it takes four rounds of Newton's method, and there is room for a fifth.
LEAST_SAMPLES = 2000
COVARIATES = ("age", "sex", "PC1", "PC2", "PC3", "PC4")


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for data, agents and results.")] = Path("demo"),
    samples: Annotated[int, typer.Option(metavar="N", help=f"Number of people, {LEAST_SAMPLES:,} at least.")] = 6000,
    variants: Annotated[int, typer.Option(metavar="N", help="Number of variants.")] = 20_000,
    seed: Annotated[int, typer.Option(metavar="N", help="Where the random numbers start.")] = 1,
) -> None:
    """Simulate three countries, run three agents over TLS, compare a masked GWAS with the pooled analysis."""
    started = time.monotonic()
    recipe = _recipe(samples, variants, seed)
    if out.exists():
        _clear(out)
    files = _simulate(out, recipe)
    with _sandbox(out, files) as sandbox, events(as_json=False) as show:
        results = _gwas(sandbox, out, show)
    _show_loci(results, out / "data.truth.tsv")
    _compare(results, files)
    say(f"\nReport: {out / 'gwas.report.html'}   ({time.monotonic() - started:.0f} s in all)")


def _clear(out: Path) -> None:
    """Remove what an earlier demo left; never a folder that is something else."""
    from fedstats.errors import UsageError
    from fedstats.sandbox import processes
    from fedstats.sandbox.folder import open_sandbox

    if not (out / "data.truth.tsv").is_file() and any(out.iterdir()):
        raise UsageError(f"{out} is not empty and holds no earlier demo", code="FOLDER_IN_USE", hint="Pass --out DIR.")
    if (out / "sandbox" / "federation.toml").is_file():
        processes.stop(open_sandbox(out / "sandbox"))
    shutil.rmtree(out)


def _recipe(samples: int, variants: int, seed: int) -> "Recipe":
    """What to simulate; sizes that cannot be analysed are refused before anything is made."""
    from fedstats.errors import UsageError
    from fedstats.simulate.recipe import Recipe

    if samples < LEAST_SAMPLES:
        raise UsageError(
            f"--samples is {samples}, and a demo needs {LEAST_SAMPLES:,} people at least",
            code="BAD_RECIPE",
            hint="With fewer, policies would refuse a step of the logistic model: the smallest country has 7 of 30.",
        )
    recipe = Recipe(samples=samples, variants=variants, seed=seed)
    recipe.check()
    return recipe


def _simulate(out: Path, recipe: "Recipe") -> Path:
    from fedstats.simulate.simulation import simulate

    out.mkdir(parents=True, exist_ok=True)
    say(f"Simulating {recipe.samples:,} people x {recipe.variants:,} variants in three countries ...")
    simulate(out / "data", recipe)
    return out / "data"


@contextmanager
def _sandbox(out: Path, files: Path) -> Iterator[Any]:
    """Three agents, up while the block runs."""
    from fedstats.sandbox import processes
    from fedstats.sandbox.create import create

    made = create(
        out / "sandbox",
        bfile=files,
        pheno=Path(f"{files}.pheno.tsv"),
        covar=Path(f"{files}.covar.tsv"),
        site_column="site",
    )
    say("Starting three node agents (kernels are compiled on the first start of all) ...")
    try:
        processes.start(made.sandbox)
        say("\n  site   people   agent")
        for site in made.sites:
            say(f"  {site.name:<5} {site.people:>7,}   {made.sandbox.nodes[site.name]} over mutual TLS")
        yield made.sandbox
    finally:
        processes.stop(made.sandbox)


def _gwas(sandbox: Any, out: Path, show: Show) -> Mapping[str, Any]:
    from fedstats.client import connect

    say(f"\nMasked GWAS of {TRAITS[0]} (linear) and {TRAITS[1]} (logistic), covariates {', '.join(COVARIATES)} ...")
    command = (
        f"fedstats gwas --federation {sandbox.federation_file} --pheno {','.join(TRAITS)} "
        f"--covar age,sex,PC1-PC4 --out {out / 'gwas'}"
    )
    with connect(sandbox.federation_file) as client:
        found: Mapping[str, Any] = client.gwas(
            list(TRAITS), covariates=list(COVARIATES), out=out / "gwas", command=command, events=show
        )
    return found


def _show_loci(results: Mapping[str, Any], truth_file: Path) -> None:
    """Top loci of each trait beside the effects that were planted."""
    lines = [line.split("\t") for line in truth_file.read_text().splitlines()]
    header = lines[0]
    truth = [dict(zip(header, line, strict=True)) for line in lines[1:]]
    for trait, result in results.items():
        say(f"\n{trait}: lambda GC {result.lambda_gc:.3f}; top loci and what was planted within 250 kb")
        say("  locus            id          A1  beta     -log10 p   planted")
        planted = [line for line in truth if line["TRAIT"] == trait]
        for locus in result.summary.top[:6]:
            near = [line for line in planted if _is_near(line, locus)]
            told = ", ".join(f"{line['ID']} {float(line['BETA']):+.3f}" for line in near) or "-"
            place = f"{locus.chromosome}:{locus.position}"
            effect = f"{locus.effect_allele:<3} {locus.beta:+.4f}  {locus.minus_log10_p:>8.2f}"
            say(f"  {place:<16} {locus.name:<11} {effect}   {told}")


def _is_near(planted: Mapping[str, str], locus: Any) -> bool:
    return bool(planted["CHROM"] == locus.chromosome) and abs(int(planted["POS"]) - locus.position) <= 250_000


def _compare(results: Mapping[str, Any], files: Path) -> None:
    """The line that earns trust: the federation against one place that holds everything, in separate code."""
    import numpy as np

    from fedstats.sandbox import pooled

    say("\nThe same analysis on pooled data, in separate float64 code:")
    for trait, result in results.items():
        phenotypes, covariates = Path(f"{files}.pheno.tsv"), Path(f"{files}.covar.tsv")
        data = pooled.read_pooled(files, phenotypes, covariates, trait, list(COVARIATES))
        beta, estimated = result["BETA"], result["STATUS"] == "OK"
        expected = pooled.linear_betas(data) if trait == TRAITS[0] else pooled.logistic_betas(data)
        difference = np.nanmax(np.abs(beta - expected)[estimated])
        relative = np.nanmax((np.abs(beta - expected) / result["SE"])[estimated])
        say(f"  {trait}: max |Δbeta| against the pooled analysis = {difference:.1e}   ({relative:.1e} SE)")
