"""What a node says of its data while a run is planned: metadata and booleans, never a count of people.

Who learns what: the coordinator learns, per column that it names, whether the node has it, whether it is numeric,
whether it varies over enough people, which of the classes NA, -9, 0, 1, 2, other occur in a trait, and which levels
of a categorical column reach the node's floor; a level below the floor is not named.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

import numpy as np

from fedstats.arrays import Bools
from fedstats.dataset import Column, Dataset
from fedstats.documents import document
from fedstats.planning.ranges import candidates
from fedstats.planning.request import Request
from fedstats.study import Floors

#: Other column names that are offered where a column is not there.
NEAREST = 3
#: A categorical column with more levels than this is not listed; nobody wants 10,000 indicators.
MOST_LEVELS = 200


@document
@dataclass(frozen=True)
class Questions:
    """Columns that a request may need: names as typed, and the members of ranges."""

    traits: tuple[str, ...]
    covariates: tuple[str, ...]
    categorical: tuple[str, ...]


@document
@dataclass(frozen=True)
class ValueClasses:
    """Which values occur in a numeric column."""

    missing: bool = False
    minus_nine: bool = False
    zero: bool = False
    one: bool = False
    two: bool = False
    other: bool = False


@document
@dataclass(frozen=True)
class ColumnSurvey:
    """One column at one node.

    Attributes
    ----------
    varies
        At least `min_level` people have another value than the most common one.
    levels
        Of a categorical column, the levels that reach the floor, sorted as text.
    small_levels
        Some level has people, but fewer than the floor; it is not named.
    nearest
        Names of columns that look alike, where this one is not there.
    """

    present: bool
    numeric: bool = False
    varies: bool = False
    values: ValueClasses = field(default_factory=ValueClasses)
    levels: tuple[str, ...] = ()
    small_levels: bool = False
    nearest: tuple[str, ...] = ()


@document
@dataclass(frozen=True)
class Survey:
    """A node's metadata for one request, with the floors of its policy."""

    columns: dict[str, ColumnSurvey]
    floors: Floors
    loadings_sha256: str = ""


@document
@dataclass(frozen=True)
class Reason:
    """Why a model is not served: the rule and its limit, never how far the data are from it."""

    rule: str
    limit: float
    subject: str = ""


@document
@dataclass(frozen=True)
class ModelServe:
    """Whether a node serves one model.

    `same_people` names the first model of the study, of the same kind, that has exactly the same people here; itself
    where no other has. `too_close` names models, of the study or beside it, whose people differ from these by so few
    that they could be singled out by subtraction; how many they are, nobody says.
    """

    model: str
    same_people: str
    reasons: tuple[Reason, ...] = ()
    too_close: tuple[str, ...] = ()

    @property
    def serves(self) -> bool:
        """Whether no floor stands in the way."""
        return not self.reasons


@document
@dataclass(frozen=True)
class Serve:
    """What a node serves of a study, in the order of its models."""

    models: tuple[ModelServe, ...]


def questions_of(request: Request) -> Questions:
    """What to ask the nodes: every name as typed, and every member of what could be a range."""
    covariates = [name for typed in (*request.covar, *request.local_covar) for name in candidates(typed)]
    categorical = [name for typed in request.categorical for name in candidates(typed)]
    return Questions(request.pheno, _unique([*covariates, "sex"]), _unique(categorical))


def survey(dataset: Dataset, questions: Questions, floors: Floors, loadings_sha256: str = "") -> Survey:
    """Answer the questions at the node; a pure function of its data and policy.

    `loadings_sha256` is of the loadings that the node's PC columns were projected with, "" where unknown.
    """
    names = _unique([*questions.traits, *questions.covariates, *questions.categorical])
    columns = {name: _survey_of(dataset, name, floors, categorical=name in questions.categorical) for name in names}
    return Survey(columns, floors, loadings_sha256)


def _survey_of(dataset: Dataset, name: str, floors: Floors, *, categorical: bool) -> ColumnSurvey:
    column = column_of(dataset, name)
    if column is None:
        nearest = get_close_matches(name, list(dataset.columns), NEAREST, 0.5)
        return ColumnSurvey(present=False, nearest=tuple(nearest))
    reached, all_levels = _levels(column, floors) if categorical else ([], 0)
    return ColumnSurvey(
        present=True,
        numeric=column.numbers is not None,
        varies=_varies(column, floors),
        values=_classes(column),
        levels=tuple(reached),
        small_levels=len(reached) < all_levels,
    )


def _levels(column: Column, floors: Floors) -> tuple[list[str], int]:
    """Levels that reach the floor, none where there are too many, and how many there are in all."""
    values, counts = np.unique(column.text[~column.missing], return_counts=True)
    reached = values[counts >= floors.min_level].tolist() if len(values) <= MOST_LEVELS else []
    return reached, len(values)


def column_of(dataset: Dataset, name: str) -> Column | None:
    """The column of that name; `sex` is there where anybody's is known, from a table or the .fam file."""
    if name == "sex" and (dataset.sex != 0).any():
        numbers = np.where(dataset.sex == 0, np.nan, dataset.sex.astype(np.float64))
        return Column("sex", numbers, np.where(dataset.sex == 0, "", dataset.sex.astype(str)))
    return dataset.columns.get(name)


def _varies(column: Column, floors: Floors) -> bool:
    present = ~column.missing
    subject = column.numbers[present] if column.numbers is not None else column.text[present]
    _, counts = np.unique(subject, return_counts=True)
    return bool(len(counts) > 1 and counts.sum() - counts.max() >= floors.min_level)


def _classes(column: Column) -> ValueClasses:
    if column.numbers is None:
        return ValueClasses(missing=bool(column.missing.any()))
    numbers, missing = column.numbers, column.missing
    held: list[Bools] = [numbers == value for value in (-9, 0, 1, 2)]
    other = ~missing & ~np.logical_or.reduce(held)
    return ValueClasses(*(bool(who.any()) for who in (missing, *held, other)))


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))


def strictest(surveys: Mapping[str, Survey]) -> Floors:
    """The floors of a run: at each point the strictest policy among its nodes."""
    floors = [found.floors for found in surveys.values()]
    highest = {
        name: max(getattr(each, name) for each in floors)
        for name in (
            "min_people", "min_arm", "min_level", "min_nodes", "min_mac",
            "min_carrier_nodes", "min_missing", "min_missing_nodes",
        )
    }  # fmt: skip
    ratio = min(each.parameters_per_person for each in floors)
    return Floors(**highest, parameters_per_person=ratio, validation=any(each.validation for each in floors))
