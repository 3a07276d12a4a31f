"""From a request and the nodes' metadata to studies: what is computed, of whom; pure, at the coordinator."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from fedstats.analysis import NOISED_SUFFIX
from fedstats.errors import DisclosureRefused, UsageError
from fedstats.planning.codings import decide, reading
from fedstats.planning.faults import Fault, raise_faults
from fedstats.planning.noise_rules import ranges_by_name
from fedstats.planning.request import Request
from fedstats.planning.survey import Survey
from fedstats.planning.terms import (
    Columns,
    design_faults,
    expand,
    holds_text,
    lacking,
    levels_of,
    protect_sites,
    protect_trait,
    terms_of,
)
from fedstats.planning.unused_options import unused_options, unused_ranges
from fedstats.rows import Note
from fedstats.study import KINDS, Floors, Model, Study, Term, Trait, VariantKind

ACCOUNTING_ID = "people"


@dataclass(frozen=True)
class Resolution:
    """Studies that answer a request, one per analysis, and what a reader of the log should know."""

    studies: tuple[Study, ...]
    notes: tuple[Note, ...]


def resolve(
    request: Request, kinds: Collection[VariantKind], surveys: Mapping[str, Survey], floors: Floors
) -> Resolution:
    """Settle everything that a request left open.

    Parameters
    ----------
    request
        What was asked; `check_request` found it in order.
    kinds
        Kinds of the variants that the run will touch.
    surveys
        Answer of every node of the run, by node.
    floors
        The strictest floors among them.

    Raises
    ------
    UsageError
        The request does not fit the data; all faults that were found.
    DisclosureRefused
        There are too few nodes, or a covariate would open one.
    """
    _enough_nodes(surveys, floors)
    columns = expand(request, surveys)
    used = (*request.pheno, *columns.covar, *columns.local_covar)
    raise_faults(lacking(used, surveys))
    traits, trait_faults = _traits(request, surveys)
    # What a trait has no use for is known when each of them is.
    unused, unused_notes = ([], []) if trait_faults else unused_options(request, traits)
    raise_faults([*trait_faults, *unused, *design_faults(columns, surveys)])
    protect_sites(columns, surveys, floors)
    for trait in traits:
        if trait.kind == "quantitative":
            protect_trait(trait.name, surveys, floors)
    raise_faults([_one_level(name) for name in sorted(columns.categorical) if len(levels_of(name, surveys)) < 2])
    design = _Design(request, columns, surveys, floors)
    notes = [Note("TRAIT_CODING", reading(trait)) for trait in traits]
    studies = _studies(design, traits, _in_order(kinds))
    notes += [*unused_notes, *unused_ranges(request, studies), *design.notes(kinds)]
    return Resolution(studies, tuple(notes))


def _enough_nodes(surveys: Mapping[str, Survey], floors: Floors) -> None:
    if len(surveys) < floors.min_nodes:
        raise DisclosureRefused(
            f"the run has {len(surveys)} nodes, and policies ask for at least {floors.min_nodes}",
            code="TOO_FEW_NODES",
            hint="Name more nodes in --nodes. Nothing was sent.",
        )


def _traits(request: Request, surveys: Mapping[str, Survey]) -> tuple[list[Trait], list[Fault]]:
    traits: list[Trait] = []
    faults: list[Fault] = []
    for name in request.pheno:
        decided = _decide(name, surveys, request)
        if isinstance(decided, Fault):
            faults.append(decided)
        else:
            traits.append(decided)
    return traits, faults


def _decide(name: str, surveys: Mapping[str, Survey], request: Request) -> Trait | Fault:
    answers = [survey.columns[name] for survey in surveys.values()]
    if not all(answer.numeric for answer in answers):
        hint = (
            "Correct the table there, or leave the node out with --nodes. Cases and controls are 1 and 0, or 2 and 1."
        )
        return Fault(f"trait {name!r} {holds_text(name, surveys)}", "NOT_NUMERIC", hint)
    decided = decide(name, [answer.values for answer in answers], request)
    if isinstance(decided, Trait) and decided.kind == "quantitative" and not any(a.varies for a in answers):
        return Fault(f"trait {name!r} has one value everywhere", "TRAIT_CONSTANT")
    return decided


def _one_level(name: str) -> Fault:
    return Fault(f"categorical {name!r} has fewer than two levels", "COVARIATE_CONSTANT", "Leave it out.")


def _in_order(kinds: Collection[VariantKind]) -> list[VariantKind]:
    return [kind for kind in KINDS if kind in kinds]


@dataclass(frozen=True)
class _Design:
    request: Request
    columns: Columns
    surveys: Mapping[str, Survey]
    floors: Floors

    def terms(self, kind: VariantKind, *, with_traits: bool) -> tuple[Term, ...]:
        """Covariates of models over variants of a kind: sex once on X, never on Y, where all are men."""
        terms = terms_of(self.columns.covar, self.columns, self.surveys)
        if kind == "y":
            return tuple(term for term in terms if term.column != "sex")
        if kind == "x" and with_traits and self.adds_sex():
            return (*terms, Term("sex", "sex"))
        return terms

    def local_terms(self, kind: VariantKind) -> tuple[Term, ...]:
        """Columns with slopes of each site's own."""
        terms = terms_of(self.columns.local_covar, self.columns, self.surveys)
        return tuple(term for term in terms if kind != "y" or term.column != "sex")

    def adds_sex(self) -> bool:
        """Whether sex is not among the covariates and varies at enough nodes."""
        given = "sex" in (*self.columns.covar, *self.columns.local_covar)
        return not given and self.nodes_with_both_sexes() >= self.floors.min_nodes

    def nodes_with_both_sexes(self) -> int:
        """Number of nodes where sex varies."""
        return sum(survey.columns["sex"].varies for survey in self.surveys.values())

    def notes(self, kinds: Collection[VariantKind]) -> list[Note]:
        """What was done about sex on X."""
        if "x" not in kinds or not self.request.pheno or "sex" in (*self.columns.covar, *self.columns.local_covar):
            return []
        if self.adds_sex():
            return [Note("SEX_ADDED", "sex was added as a covariate on chromosome X")]
        message = f"sex varies at fewer than {self.floors.min_nodes} nodes and is no covariate on chromosome X"
        return [Note("SEX_NOT_ADDED", message, warning=True)]


def _studies(design: _Design, traits: Sequence[Trait], kinds: Sequence[VariantKind]) -> tuple[Study, ...]:
    request = design.request
    suffix = NOISED_SUFFIX if request.privacy == "dp" else ""
    if request.analysis != "gwas":
        return (_study(design, request.analysis + suffix, (tuple(traits),), kinds),)
    by_analysis = {
        "gwas/linear": [trait for trait in traits if trait.kind == "quantitative"],
        "gwas/logistic": [trait for trait in traits if trait.kind == "binary"],
    }
    if by_analysis["gwas/logistic"] and request.site_effects == "fixed":
        raise UsageError(
            "--site-effects fixed is there for linear models only, so far",
            code="NO_SITE_EFFECTS",
            hint="Run binary traits with --model linear, or without site effects.",
        )
    if suffix and all(by_analysis.values()):
        raise UsageError(
            "binary and quantitative traits in one noised run would spend its budget twice",
            code="MIXED_TRAITS",
            hint="Run them apart, each with an --epsilon of its own, or all with --model linear.",
        )
    studies = tuple(
        _study(design, name + suffix, _groups(request, chosen), kinds) for name, chosen in by_analysis.items() if chosen
    )
    if request.trait_people == "each":
        return studies
    return tuple(_on_common_people(study, traits) for study in studies)


def _groups(request: Request, traits: Sequence[Trait]) -> tuple[tuple[Trait, ...], ...]:
    """One group for common people; else one a trait, which planning joins where the people are the same."""
    return (tuple(traits),) if request.trait_people == "common" else tuple((trait,) for trait in traits)


def _on_common_people(study: Study, traits: Sequence[Trait]) -> Study:
    """The study on people who have the traits of the request's other studies, too."""
    own = {trait.name for model in study.models for trait in model.traits}
    others = sorted((trait for trait in traits if trait.name not in own), key=lambda trait: trait.name)
    models = (model if model.accounting else replace(model, common=tuple(others)) for model in study.models)
    return replace(study, models=tuple(models))


def _study(design: _Design, analysis: str, groups: Sequence[tuple[Trait, ...]], kinds: Sequence[VariantKind]) -> Study:
    models = [_model(design, kind, number, group) for kind in kinds for number, group in enumerate(groups)]
    traits = tuple(trait for group in groups for trait in group)
    accounting = Model(
        ACCOUNTING_ID,
        "autosome",
        traits,
        (*design.terms("autosome", with_traits=bool(traits)), *design.local_terms("autosome")),
        accounting=True,
    )
    request = design.request
    noised = request.privacy == "dp"
    # Who lacks what is counted exactly, so not beside noised sums; and where nobody can lack anything, by every step.
    counted = not noised and bool(accounting.traits or accounting.terms)
    return Study(
        analysis=analysis,
        models=(*models, accounting) if counted else tuple(models),
        nodes=tuple(design.surveys),
        missing=request.missing,
        test=request.test,
        convergence=request.convergence,
        floors=design.floors,
        filters=request.filters,
        ranges=_ranges(request, models) if noised else {},
    )


def _ranges(request: Request, models: Sequence[Model]) -> dict[str, tuple[float, float]]:
    """Declared ranges of all columns of the models.

    Raises
    ------
    UsageError
        Some column has none.
    """
    columns = {column for model in models for column in (*_numbers_of(model), "sex")}
    found = ranges_by_name(request.setting.ranges, columns)
    lacking = [name for model in models for name in _numbers_of(model) if name not in found]
    if lacking:
        names = ", ".join(map(repr, dict.fromkeys(lacking)))
        raise UsageError(
            f"noised sums need the range of every column, and nobody gave that of {names}",
            code="NO_RANGE",
            hint=f"Declare it from what is known of the measurement, not from the data: --range {lacking[0]}=LOW:HIGH.",
        )
    return found


def _numbers_of(model: Model) -> list[str]:
    """Columns of a model that are read as numbers of any size."""
    terms = [term.column for term in model.terms if not term.indicator and term.column != "sex"]
    return [*terms, *(trait.name for trait in model.traits if trait.kind == "quantitative")]


def _model(design: _Design, kind: VariantKind, number: int, traits: tuple[Trait, ...]) -> Model:
    return Model(
        id=f"{kind[0]}{number}",
        kind=kind,
        traits=traits,
        terms=design.terms(kind, with_traits=bool(traits)),
        local_terms=design.local_terms(kind),
        site_effects=design.request.site_effects == "fixed",
    )
