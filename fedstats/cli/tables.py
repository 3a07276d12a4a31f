"""fedstats freq, hardy and missing: per-variant tables with plink2's columns."""

from collections.abc import Callable
from typing import Any

from fedstats.cli import runs
from fedstats.cli.runs import (
    Chromosomes,
    Delta,
    Epsilon,
    Exclude,
    Extract,
    FederationFile,
    Json,
    Keep,
    Nodes,
    OptionalCovariates,
    OptionalPhenotypes,
    Out,
    PaillierMasks,
    PassVariants,
    PeopleAs,
    Privacy,
    Project,
    Ranges,
    Remove,
    Resume,
    Wait,
)


def _command(kind: str, summary: str) -> Callable[..., Any]:
    """The command of one kind of table; all three take the same flags."""

    def command(
        federation: FederationFile,
        out: Out,
        chromosomes: Chromosomes = "",
        extract: Extract = None,
        exclude: Exclude = None,
        pheno: OptionalPhenotypes = "",
        covar: OptionalCovariates = "",
        keep: Keep = None,
        remove: Remove = None,
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
        json: Json = False,
    ) -> None:
        with runs.run(federation, locals()) as session:
            found = getattr(session.client, kind)(pheno, covariates=covar, **session.keywords)
        runs.say_tables(found if isinstance(found, dict) else {found.name: found})
        runs.say_files(session, out)

    command.__doc__ = summary
    return command


freq = _command("freq", "Allele frequencies, as plink2 --freq.")
hardy = _command("hardy", "Hardy-Weinberg tests, as plink2 --hardy.")
missing = _command("missing", "Missing calls per variant, as plink2 --missing.")
