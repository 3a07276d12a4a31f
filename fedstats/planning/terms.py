"""The columns of the design: ranges expanded, categories turned into indicators, and the rules that protect a site."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fedstats.errors import DisclosureRefused
from fedstats.planning.faults import Fault, listing
from fedstats.planning.ranges import members
from fedstats.planning.request import Request
from fedstats.planning.survey import ColumnSurvey, Survey
from fedstats.study import Floors, Term

Surveys = Mapping[str, Survey]

_PRINCIPAL_COMPONENT = re.compile(r"PC\d+")


@dataclass(frozen=True)
class Columns:
    """Names that were asked for, with ranges expanded."""

    covar: tuple[str, ...]
    local_covar: tuple[str, ...]
    categorical: frozenset[str]


def expand(request: Request, surveys: Surveys) -> Columns:
    """Columns by name: an exact column name wins, then ranges."""
    return Columns(
        _expanded(request.covar, surveys),
        _expanded(request.local_covar, surveys),
        frozenset(_expanded(request.categorical, surveys)),
    )


def _expanded(typed: Sequence[str], surveys: Surveys) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for name in typed:
        exact = any(_column(survey, name).present for survey in surveys.values())
        found.update(dict.fromkeys((name,) if exact else members(name) or (name,)))
    return tuple(found)


def _column(survey: Survey, name: str) -> ColumnSurvey:
    return survey.columns.get(name, ColumnSurvey(present=False))


def lacking(names: Sequence[str], surveys: Surveys) -> list[Fault]:
    """A fault for every column that some node does not have."""
    faults = []
    for name in names:
        without = [node for node, survey in surveys.items() if not _column(survey, name).present]
        if not without:
            continue
        nearest = dict.fromkeys(near for node in without for near in _column(surveys[node], name).nearest)
        hint = (
            f"Nearest names there: {', '.join(nearest)}." if nearest else "Run 'fedstats nodes' to see what is there."
        )
        verb = "have" if len(without) > 1 else "has"
        faults.append(Fault(f"{listing(without)} {verb} no column {name!r}", "NO_COLUMN", hint))
    return faults


def design_faults(columns: Columns, surveys: Surveys) -> list[Fault]:
    """What is wrong with covariates that every node has."""
    used = (*columns.covar, *columns.local_covar)
    faults = [_not_a_covariate(name) for name in sorted(columns.categorical - set(used))]
    numeric = [name for name in used if name not in columns.categorical]
    faults += [_text_fault(name, surveys) for name in numeric if _nodes_where(surveys, name, "numeric") < len(surveys)]
    faults += [_constant_fault(name) for name in numeric if not _nodes_where(surveys, name, "varies")]
    faults += _local_faults(columns, surveys)
    return faults + _unjoint(columns.covar, surveys)


def _nodes_where(surveys: Surveys, name: str, what: str) -> int:
    return sum(bool(getattr(_column(survey, name), what)) for survey in surveys.values())


def _not_a_covariate(name: str) -> Fault:
    return Fault(f"--categorical names {name!r}, which is no covariate", "NOT_A_COVARIATE", f"Add it: --covar {name}.")


def holds_text(name: str, surveys: Surveys) -> str:
    """Says at which nodes a column holds something else than numbers."""
    nodes = [node for node, survey in surveys.items() if not _column(survey, name).numeric]
    where = "every node" if len(nodes) == len(surveys) else listing(nodes)
    return f"holds text at {where}, and numbers are needed"


def _text_fault(name: str, surveys: Surveys) -> Fault:
    hint = f"Pass --categorical {name} to use its levels as indicators, or correct the table there."
    return Fault(f"column {name!r} {holds_text(name, surveys)}", "NOT_NUMERIC", hint)


def _constant_fault(name: str) -> Fault:
    hint = "Leave it out; for effects of the sites themselves use --site-effects fixed."
    return Fault(f"covariate {name!r} does not vary at any node", "COVARIATE_CONSTANT", hint)


def _local_faults(columns: Columns, surveys: Surveys) -> list[Fault]:
    faults = []
    for name in columns.local_covar:
        still = [node for node, survey in surveys.items() if not _column(survey, name).varies]
        if still and len(still) < len(surveys):
            message = f"--local-covar {name!r} does not vary at {listing(still)}, so it has no slope there"
            faults.append(Fault(message, "COVARIATE_CONSTANT", "Leave it out, or pass it as --covar."))
    return faults


def _unjoint(covar: Sequence[str], surveys: Surveys) -> list[Fault]:
    """Principal components of each site's own under one name confound: lambda was 5 where 1 was right."""
    components = [name for name in covar if _PRINCIPAL_COMPONENT.fullmatch(name)]
    loadings = {survey.loadings_sha256 for survey in surveys.values()}
    if not components or (len(loadings) == 1 and "" not in loadings):
        return []
    named = listing(components)
    return [
        Fault(
            f"{named}: the nodes' columns do not come from the same loadings (loadings_sha256 is missing or differs)",
            "PC_NOT_JOINT",
            "Project every site on common loadings and state their SHA-256 in node.toml, or give each site slopes of "
            f"its own: --local-covar {','.join(components)} --site-effects fixed.",
        )
    ]


def terms_of(names: Sequence[str], columns: Columns, surveys: Surveys) -> tuple[Term, ...]:
    """Design columns: one a numeric column, one a level other than the first of a categorical column."""
    terms: list[Term] = []
    for name in names:
        if name in columns.categorical:
            levels = levels_of(name, surveys)
            terms += [Term(f"{name}={level}", name, level, indicator=True) for level in levels[1:]]
        else:
            terms.append(Term(name, name, indicator=_is_indicator(name, surveys)))
    return tuple(terms)


def _is_indicator(name: str, surveys: Surveys) -> bool:
    classes = [_column(survey, name).values for survey in surveys.values()]
    return not any(found.minus_nine or found.two or found.other for found in classes)


def levels_of(name: str, surveys: Surveys) -> tuple[str, ...]:
    """Levels of a categorical column over all nodes in natural order: 2 before 10, the first is the reference."""
    found = {level for survey in surveys.values() for level in _column(survey, name).levels}
    return tuple(sorted(found, key=_natural))


def _natural(text: str) -> list[tuple[int, int, str]]:
    pieces = [piece for piece in re.split(r"(\d+)", text) if piece]
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in pieces]


def protect_sites(columns: Columns, surveys: Surveys, floors: Floors) -> None:
    """See that no column lives at so few nodes that it opens one of them.

    Raises
    ------
    DisclosureRefused
        A covariate varies, or a level reaches the floor of people, at fewer than `min_nodes` nodes.
    """
    for name in columns.covar:
        if name in columns.categorical:
            _protect_levels(name, surveys, floors)
        elif _nodes_where(surveys, name, "varies") < floors.min_nodes:
            _refuse(f"covariate {name!r} varies at fewer than {floors.min_nodes} nodes", "COVARIATE_AT_FEW_NODES")


def protect_trait(name: str, surveys: Surveys, floors: Floors) -> None:
    """See that a quantitative trait does not live at so few nodes that its sums are theirs."""
    if _nodes_where(surveys, name, "varies") < floors.min_nodes:
        _refuse(f"trait {name!r} varies at fewer than {floors.min_nodes} nodes", "TRAIT_AT_FEW_NODES")


def _protect_levels(name: str, surveys: Surveys, floors: Floors) -> None:
    small = [node for node, survey in surveys.items() if _column(survey, name).small_levels]
    if small:
        _refuse(
            f"categorical {name!r} has a level with fewer than {floors.min_level} people at {listing(small)}",
            "SMALL_LEVEL",
        )
    for level in levels_of(name, surveys):
        reached = sum(level in _column(survey, name).levels for survey in surveys.values())
        if reached < floors.min_nodes:
            _refuse(
                f"level {level!r} of {name!r} has {floors.min_level} people or more at fewer than "
                f"{floors.min_nodes} nodes",
                "LEVEL_AT_FEW_NODES",
            )


def _refuse(message: str, code: str) -> None:
    hint = "It would open the sums of those nodes; nothing was sent. Leave it out, merge levels, "
    raise DisclosureRefused(message, code=code, hint=hint + "or use --site-effects fixed for effects of the sites.")
