"""Analyst: the methods by which people ask, the same over a network and in one process."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal, TypedDict, Unpack

from fedstats.errors import Failed
from fedstats.frontend.backend import BackendFactory, Events, no_events
from fedstats.frontend.job import (
    Job,
    Names,
    PeopleList,
    VariantList,
    earlier_people,
    listed_people,
    names_of,
    place_of,
    seconds_of,
    variants_of,
)
from fedstats.frontend.run import run_to_the_end
from fedstats.frontend.sinks import Result
from fedstats.frontend.tables import VariantTable
from fedstats.planning.noise_rules import LARGEST_DELTA
from fedstats.planning.request import AnalysisKind, Request, check_request
from fedstats.planning.setting_options import SettingOptions
from fedstats.study import LARGEST_PASS, Filters


class Common(TypedDict, total=False):
    """Keywords that every analysis takes."""

    privacy: Literal["masked", "plain", "paillier", "dp"]
    paillier_masks: bool
    epsilon: float
    delta: float | None
    ranges: Mapping[str, tuple[float, float]]
    project: str
    chr: str
    extract: VariantList | None
    exclude: VariantList | None
    keep: PeopleList | None
    remove: PeopleList | None
    people_as: str
    nodes: Names
    pass_variants: int
    wait: str | float
    out: str | Path | None
    resume: bool
    command: str
    events: Events


class Analyst:
    """Asks a federation; keyword names are the long flags of the command line with underscores.

    Lists of people and variants are given as such or as files. With `out` a run writes its files under that prefix;
    without it everything stays in memory.
    """

    def __init__(self, open_backend: BackendFactory) -> None:
        self._open_backend = open_backend

    def gwas(
        self,
        pheno: Names,
        *,
        covariates: Names = (),
        categorical: Names = (),
        local_covar: Names = (),
        model: Literal["auto", "linear", "logistic"] = "auto",
        test: Literal["wald", "score", "score-refit"] = "wald",
        missing: Literal["mean", "drop", "drop-strict"] = "mean",
        site_effects: Literal["none", "fixed"] = "none",
        trait_people: Literal["each", "common"] = "each",
        binary_coding: Literal["auto", "01", "12"] = "auto",
        missing_code: Literal["auto", "none", "-9"] = "auto",
        convergence: Literal["full", "plink"] = "full",
        maf: float | None = None,
        geno: float | None = None,
        hwe: float | None = None,
        hwe_pooled: float | None = None,
        plan_only: bool = False,
        **common: Unpack[Common],
    ) -> Any:  # Any: Associations for one trait given as text, a dict of them for a list
        """Association of every variant with one trait, or with several in one scan.

        With `plan_only` the plan is proposed to the nodes and written as OUT.ANALYSIS.plan.json, and nothing begins.

        Returns
        -------
        Associations, or a dict of them by trait where `pheno` is a list.

        Examples
        --------
        >>> result = federation.gwas("qt1", covariates=["age", "sex", "PC1-PC4"])  # doctest: +SKIP
        """
        job = _job(
            "gwas",
            names_of(pheno),
            {
                "covar": names_of(covariates),
                "categorical": names_of(categorical),
                "local_covar": names_of(local_covar),
                "model": model,
                "test": test,
                "missing": missing,
                "site_effects": site_effects,
                "trait_people": trait_people,
                "binary_coding": binary_coding,
                "missing_code": missing_code,
                "convergence": convergence,
                "filters": Filters(maf, geno, hwe, hwe_pooled),
            },
            common,
        )
        if plan_only:
            return self._run(replace(job[0], plan_only=True), job[1])
        results = self._run(*job)
        return results[job[0].request.pheno[0]] if isinstance(pheno, str) and "," not in pheno else results

    def freq(self, pheno: Names = (), *, covariates: Names = (), **common: Unpack[Common]) -> VariantTable:
        """Allele frequencies, of people with these traits and covariates where any are named."""
        table = "noised.afreq" if common.get("privacy") == "dp" else "afreq"
        return self._table("freq", pheno, covariates, common, table)

    def missing(self, pheno: Names = (), *, covariates: Names = (), **common: Unpack[Common]) -> VariantTable:
        """Missing calls per variant."""
        return self._table("missing", pheno, covariates, common, "vmiss")

    def hardy(self, pheno: Names = (), *, covariates: Names = (), **common: Unpack[Common]) -> dict[str, VariantTable]:
        """Hardy-Weinberg tests by table: "hardy", and "hardy.x" where there are variants on chromosome X."""
        return _tables(self._run(*_job("hardy", names_of(pheno), {"covar": names_of(covariates)}, common)))

    def _table(
        self, analysis: AnalysisKind, pheno: Names, covariates: Names, common: Common, table: str
    ) -> VariantTable:
        found = _tables(self._run(*_job(analysis, names_of(pheno), {"covar": names_of(covariates)}, common)))
        if table not in found:
            raise Failed(f"{analysis} made no table {table!r}", code="UNKNOWN_TABLE")
        return found[table]

    def _run(self, job: Job, events: Events) -> dict[str, Result]:
        check_request(job.request)
        with self._open_backend(job.request, job.place, events) as backend:
            return run_to_the_end(backend, job, events)


def _tables(results: Mapping[str, Result]) -> dict[str, VariantTable]:
    return {name: result for name, result in results.items() if isinstance(result, VariantTable)}


def _job(
    analysis: AnalysisKind,
    pheno: tuple[str, ...],
    asked: Mapping[str, Any],  # Any: fields of Request, whose check judges them
    common: Common,
) -> tuple[Job, Events]:
    """A job from what one analysis was asked and from what all have in common."""
    _known(common)
    request = Request(
        analysis,
        pheno,
        **asked,
        privacy=common.get("privacy", "masked"),
        setting=_setting(common),
        project=common.get("project", ""),
        chromosomes=common.get("chr", ""),
        nodes=names_of(common.get("nodes", ())),
        people_as=earlier_people(common.get("people_as", "")),
        pass_variants=common.get("pass_variants", LARGEST_PASS),
        wait_seconds=seconds_of(common.get("wait", "2h")),
    )
    people, listed = listed_people(common.get("keep"), common.get("remove"))
    place = place_of(common.get("out"), resume=common.get("resume", False))
    job = Job(
        request,
        people,
        variants_of(common.get("extract"), "--extract"),
        variants_of(common.get("exclude"), "--exclude"),
        place,
        common.get("command") or f"fedstats.{analysis}({', '.join(pheno)})",
        listed=listed,
    )
    return job, common.get("events", no_events)


def _setting(common: Common) -> SettingOptions:
    """Options of the privacy setting; under `dp` there is always a delta."""
    delta = common.get("delta")
    return SettingOptions(
        paillier_masks=common.get("paillier_masks", True),
        epsilon=float(common.get("epsilon", 0.0)),
        delta=(LARGEST_DELTA if common.get("privacy") == "dp" else 0.0) if delta is None else float(delta),
        ranges={name: (float(low), float(high)) for name, (low, high) in common.get("ranges", {}).items()},
    )


def _known(common: Mapping[str, object]) -> None:
    """Refuse misspelt keywords as Python does."""
    for name in common:
        if name not in Common.__annotations__:
            raise TypeError(f"unexpected keyword {name!r}; known are {', '.join(Common.__annotations__)}")
