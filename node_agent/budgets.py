"""Budgets: how much a project may ever be told of the same people. Arithmetic only; see `budget_records` for memory.

Every sum over people is an equation in their genotypes, and whoever holds as many equations as there are unknowns has
solved for them. Two things are counted, for each set of people and all sets that share people with it:

- columns (the intercept, covariates, traits) that were ever multiplied into genotypes, at most
  `parameters_per_person` for each person;
- numbers that were ever given of one variant, whatever they are made of, at most `numbers_per_person` for each
  person of the sum: rounds of Newton's method bring new numbers of old columns.

What was asked before is free: it is the same equation. The limits are those of `tests/attacks/test_inversion.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from fedstats.additive import layout
from fedstats.errors import DisclosureRefused
from fedstats.step import Q, S, Step
from fedstats.study import Model

COLUMNS, NUMBERS = "columns", "numbers"
INTERCEPT = "the intercept"

Numbers = npt.NDArray[np.int64]
"""Numbers that were given of each variant, shape (variant,)."""


@dataclass(frozen=True)
class Spending:
    """What would be spent on some people, of what they allow.

    Attributes
    ----------
    own, shared
        Columns or numbers of these people; and of all people who share somebody with them, together.
    people, reach
        How many these people are; and how many all of them are, together.
    """

    own: int
    shared: int
    people: int
    reach: int

    def share(self, limit: float) -> float:
        """The part of the limit that is spent, 1 where nothing is left."""
        return max(self.own / max(self.people, 1), self.shared / max(self.reach, 1)) / limit


def columns_of(model: Model) -> frozenset[str]:
    """The columns that a model has multiplied into genotypes, by what they are made of: their names are anybody's."""
    if model.accounting:
        return frozenset()
    terms = {f"covariate {term.column} {term.level}" for term in (*model.terms, *model.local_terms)}
    traits = {f"trait {trait.name} {trait.coding} {trait.missing_code}" for trait in model.traits}
    return frozenset({INTERCEPT, *terms, *traits})


def numbers_of(step: Step[Q, S], model: Model, parameters: Q) -> int:
    """Numbers that one release of a step holds of each variant; 0 where it touches no genotype."""
    if not step.genotypes:
        return 0
    sizes = {**model.sizes, **step.sizes(model, parameters, None), "variant": 1}
    return sum(prod(slot.shape) for slot in layout(step.release, sizes) if "variant" in slot.field.dims)


def company(promised: Sequence[int], nodes: int) -> int:
    """People whom honest nodes add to a sum at least, besides this one's: what hides this node's people among others.

    Parameters
    ----------
    promised
        The smallest number of people that each other node of the run answers for, as the roster has it.
    nodes
        All nodes of the run; a third of them may tell their own sums to whoever asks, and be the largest.
    """
    honest = nodes - 1 - nodes // 3
    return sum(sorted(promised)[:honest])


def check_columns(spending: Spending, limit: float, project: str, model: Model) -> None:
    """Refuse a model whose columns would give its people's genotypes away.

    Raises
    ------
    DisclosureRefused
        Code BUDGET_COLUMNS, naming the rule and its limit, never how much is left.
    """
    if spending.share(limit) > 1:
        raise DisclosureRefused(
            f"policy rule parameters_per_person: with model {model.id}, project {project!r} would have multiplied more "
            f"columns into genotypes than {limit:g} for each person, in all of its models that share people; nothing "
            "was sent.",
            code="BUDGET_COLUMNS",
            hint="Columns that were asked before are free; with --trait-people common, traits share covariates.",
        )


def check_numbers(spending: Sequence[Spending], limit: float, project: str, step: str) -> None:
    """Refuse a sum that would give more numbers of a variant than its people allow.

    Raises
    ------
    DisclosureRefused
        Code BUDGET_NUMBERS, naming the rule and its limit.
    """
    if any(one.share(limit) > 1 for one in spending):
        raise DisclosureRefused(
            f"policy rule numbers_per_person: with {step}, project {project!r} would have been given more numbers of "
            f"a variant than {limit:g} for each person, in all of its models that share people; nothing of this step "
            "was sent.",
            code="BUDGET_NUMBERS",
            hint="Fewer covariates take fewer numbers, and so do score tests (--test score or score-refit) of binary "
            "traits; sums that were given before are free.",
        )
