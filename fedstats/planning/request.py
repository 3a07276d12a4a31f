"""Request: what an analyst asked for, as data; what it becomes is settled by `resolve`."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Literal, get_args, get_type_hints

from fedstats.documents import document
from fedstats.errors import FaultyInput
from fedstats.planning.noise_rules import noise_faults
from fedstats.planning.setting_options import SettingOptions
from fedstats.study import LARGEST_PASS, Filters

AnalysisKind = Literal["gwas", "freq", "hardy", "missing"]
ModelChoice = Literal["auto", "linear", "logistic"]
Privacy = Literal["masked", "plain", "paillier", "dp"]

#: Names of projects: short, and nothing that a log or a file name could stumble over.
PROJECT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}"


@document
@dataclass(frozen=True)
class Request:
    """What was asked, with names as they were typed; ranges and codings are still open.

    Attributes
    ----------
    covar, categorical, local_covar
        Column names or ranges such as "PC1-PC4"; `categorical` names columns of the other two.
    missing_code
        "auto" when nobody said; then a -9 in a quantitative trait is an error that asks.
    project
        Whose budgets are charged, "" for the federation's own.
    chromosomes
        As typed, "" for all: "1-22,X".
    people
        SHA-256 of the people lists of the run (see `people_lists`), "" without lists.
    people_as
        Earlier runs whose people are taken, "" for none: ids of runs or digests of plans, separated by commas.
    """

    analysis: AnalysisKind
    pheno: tuple[str, ...] = ()
    covar: tuple[str, ...] = ()
    categorical: tuple[str, ...] = ()
    local_covar: tuple[str, ...] = ()
    model: ModelChoice = "auto"
    test: Literal["wald", "score", "score-refit"] = "wald"
    missing: Literal["mean", "drop", "drop-strict"] = "mean"
    site_effects: Literal["none", "fixed"] = "none"
    trait_people: Literal["each", "common"] = "each"
    binary_coding: Literal["auto", "01", "12"] = "auto"
    missing_code: Literal["auto", "none", "-9"] = "auto"
    convergence: Literal["full", "plink"] = "full"
    privacy: Privacy = "masked"
    setting: SettingOptions = field(default_factory=SettingOptions)
    project: str = ""
    filters: Filters = field(default_factory=Filters)
    chromosomes: str = ""
    nodes: tuple[str, ...] = ()
    people: str = ""
    people_as: str = ""
    pass_variants: int = LARGEST_PASS
    wait_seconds: float = 7200.0

    @property
    def masked(self) -> bool:
        """Whether nodes agree on masks: not under plain, and under paillier unless they were switched off."""
        return self.privacy != "plain" and (self.privacy != "paillier" or self.setting.paillier_masks)


def earlier_runs(people_as: str) -> tuple[str, ...]:
    """The runs that `Request.people_as` names."""
    return tuple(people_as.split(",")) if people_as else ()


def check_request(request: Request) -> None:
    """See that a request makes sense by itself, before any node is asked.

    Raises
    ------
    FaultyInput
        Every fault that was found, each naming its flag.
    """
    faults = [
        *_choices(request),
        *_names(request),
        *_gwas_rules(request),
        *_unused_rules(request),
        *_filter_rules(request.filters),
        *_setting_rules(request),
        *noise_faults(request),
        *_limits(request),
    ]
    if faults:
        raise FaultyInput("the request", faults, code="BAD_REQUEST")


def _choices(request: Request) -> list[str]:
    hints = get_type_hints(Request)
    faults = []
    for entry in fields(Request):
        allowed = get_args(hints[entry.name])
        if not all(isinstance(choice, str) for choice in allowed) or not allowed:
            continue
        value = getattr(request, entry.name)
        if value not in allowed:
            listed = ", ".join(allowed)
            faults.append(f"--{entry.name.replace('_', '-')} is {value!r}; it can be one of {listed}")
    return faults


def _names(request: Request) -> list[str]:
    faults = []
    for flag in ("pheno", "covar", "categorical", "local_covar", "nodes"):
        names: Sequence[str] = getattr(request, flag)
        typed = f"--{flag.replace('_', '-')}"
        if any(not name.strip() for name in names):
            faults.append(f"{typed} holds an empty name")
        faults += [f"{typed} names {name!r} twice" for name in sorted({n for n in names if names.count(n) > 1})]
    faults += [f"{name!r} is both a trait and a covariate" for name in request.pheno if name in request.covar]
    faults += [f"trait {name!r} has a slash, which no file name can hold" for name in request.pheno if "/" in name]
    both = [name for name in request.covar if name in request.local_covar]
    faults += [f"{name!r} is in both --covar and --local-covar; choose one" for name in both]
    return faults


def _gwas_rules(request: Request) -> list[str]:
    faults = []
    if request.analysis == "gwas" and not request.pheno:
        faults.append("gwas needs at least one trait: --pheno NAME")
    if request.local_covar and request.site_effects != "fixed":
        faults.append("--local-covar gives every site a slope of its own, which needs --site-effects fixed")
    if request.analysis != "gwas" and (request.local_covar or request.site_effects != "none"):
        faults.append(f"--site-effects and --local-covar mean nothing to {request.analysis}")
    return faults


def _unused_rules(request: Request) -> list[str]:
    """Options that others leave nothing to do; those that only the traits can tell are judged by `unused_options`."""
    faults = []
    if request.binary_coding != "auto" and request.model == "linear":
        faults.append("--binary-coding is of no use with --model linear, which reads every trait as a number")
    # Noised linear models are score tests, too.
    if request.test != "wald" and request.model == "linear" and request.privacy != "dp":
        faults.append(f"--test {request.test} is of no use with --model linear, which has one test, the t test")
    if request.convergence != "full" and request.model == "linear":
        faults.append(f"--convergence {request.convergence} is of no use with --model linear, which does not iterate")
    if request.convergence != "full" and request.test == "score":
        faults.append(f"--convergence {request.convergence} is of no use with --test score, which fits no variant")
    return faults


def _filter_rules(filters: Filters) -> list[str]:
    faults = []
    for name, largest in (("maf", 0.5), ("geno", 1.0), ("hwe", 1.0), ("hwe_pooled", 1.0)):
        value = getattr(filters, name)
        if value is not None and not 0 <= value <= largest:
            faults.append(f"--{name.replace('_', '-')} {value:g} is not between 0 and {largest:g}")
    if filters.hwe is not None and filters.hwe_pooled is not None:
        faults.append("--hwe and --hwe-pooled exclude each other; --hwe is stratified by site")
    return faults


def _setting_rules(request: Request) -> list[str]:
    if request.setting.paillier_masks or request.privacy == "paillier":
        return []
    return [f"--paillier-masks off means nothing to --privacy {request.privacy}"]


def _limits(request: Request) -> list[str]:
    faults = []
    if not 1 <= request.pass_variants <= LARGEST_PASS:
        faults.append(f"--pass-variants {request.pass_variants} is not between 1 and {LARGEST_PASS}")
    if not all(re.fullmatch("[0-9a-f]{32}|[0-9a-f]{64}", run) for run in earlier_runs(request.people_as)):
        faults.append(f"--people-as {request.people_as!r} is no run: it is not 32 or 64 hexadecimal digits")
    if request.project and not re.fullmatch(PROJECT, request.project):
        faults.append(
            f"--project {request.project!r} is no name: up to 40 letters, digits, dots, hyphens and underscores"
        )
    if request.wait_seconds < 0:
        faults.append("--wait is negative")
    return faults
