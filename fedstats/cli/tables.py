"""fedstats freq, hardy and missing: per-variant tables with plink2's columns."""

from collections.abc import Callable
from typing import Any

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
    OptionalPhenotypes,
    Out,
    PassVariants,
    PeopleAs,
    Privacy,
    Remove,
    Resume,
    Wait,
)


def _command(kind: str) -> Callable[..., Any]:
    """The command of one kind of table; all three take the same flags."""

    def command(  # noqa: PLR0913  # one parameter a flag: this is the command line
        federation: FederationFile,
        out: Out,
        pheno: OptionalPhenotypes = "",
        covar: Covariates = "",
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
        flags = locals()
        with runs.run(federation, flags) as session:
            getattr(session.client, kind)(pheno, covariates=covar, **session.keywords)
            runs.say_files(out)

    return command


freq = _command("freq")
hardy = _command("hardy")
missing = _command("missing")
