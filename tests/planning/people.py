"""Small data sets in memory, and the surveys that nodes would give of them."""

from collections.abc import Mapping, Sequence

import numpy as np

from fedstats.dataset import Column, Dataset
from fedstats.genotypes import PackedBlock, pack
from fedstats.planning.request import Request
from fedstats.planning.survey import Survey, questions_of, survey
from fedstats.study import Floors

#: As in a validation run: everything is let through that concerns numbers of people.
OPEN = Floors(1, 1, 1, 3, 1, 1, 1, 1, 1.0, validation=True)


class NoGenotypes:
    """A source for tests that read none."""

    def block(self, variants: np.ndarray) -> PackedBlock:
        return pack(np.zeros((len(variants), 1), np.int8))


def column(name: str, values: Sequence[object]) -> Column:
    """A column as a reader makes it: numeric unless some value is text; None is missing."""
    text = np.array(["" if value is None else str(value) for value in values])
    if any(isinstance(value, str) for value in values):
        return Column(name, None, text)
    numbers = np.array([np.nan if value is None else float(value) for value in values])  # type: ignore[arg-type]
    return Column(name, numbers, text)


def dataset(columns: Mapping[str, Sequence[object]], sex: Sequence[int] | None = None) -> Dataset:
    """People with these columns; women and men in turn unless said."""
    people = len(next(iter(columns.values())))
    names = np.array([f"person{number}" for number in range(people)])
    sexes = np.array(sex if sex is not None else [2 - number % 2 for number in range(people)], np.int8)
    return Dataset(names, names, sexes, {n: column(n, v) for n, v in columns.items()}, NoGenotypes())


def surveys(
    request: Request, nodes: Mapping[str, Dataset], floors: Floors = OPEN, **loadings: str
) -> dict[str, Survey]:
    """What each node answers to the questions of a request."""
    questions = questions_of(request)
    return {name: survey(data, questions, floors, loadings.get(name, "")) for name, data in nodes.items()}


def alike(columns: Mapping[str, Sequence[object]], nodes: Sequence[str] = ("FI", "EE", "NO")) -> dict[str, Dataset]:
    """Nodes that all have the same data."""
    return {name: dataset(columns) for name in nodes}
