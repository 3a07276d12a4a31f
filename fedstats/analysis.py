"""Analyses, and the closed table of their names.

An analysis runs at the coordinator: a plan that asks a federation for sums and turns them into rows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.step import STEPS, Step
from fedstats.study import Block, Chunk, Model, Study

Plan = Callable[[Federation, Study, Sequence[Chunk]], Iterator[Rows | Note]]
ANALYSES: dict[str, Plan] = {}

#: By analysis, the beginnings of the names of the steps that its plan asks for; a node runs no other for it.
STEPS_OF: dict[str, tuple[str, ...]] = {}


@dataclass(frozen=True)
class Expected:
    """A sum that an analysis of noised totals is going to ask, so many times; whole cohorts have no block."""

    model: Model
    step: Step[Any, Any]
    block: Block | None = None
    times: int = 1

    @property
    def sizes(self) -> dict[str, int]:
        """Lengths of the dimensions of one release."""
        return self.model.sizes | ({} if self.block is None else {"variant": len(self.block)})

    def elements(self, dims: tuple[str, ...]) -> int:
        """Number of elements of a field that runs along some dimensions."""
        return prod(self.sizes[dim] for dim in dims)


#: All sums of a study over some chunks, before any of them is asked.
Schedule = Callable[[Study, Sequence[Chunk]], Sequence[Expected]]

#: Analyses whose totals carry noise, and what each will ask; under other privacy settings nodes refuse them.
NOISED: dict[str, Schedule] = {}

#: What follows the name of an analysis that does the same with noised totals.
NOISED_SUFFIX = "-noised"


def analysis(name: str, *, steps: tuple[str, ...] = (), noised: Schedule | None = None) -> Callable[[Plan], Plan]:
    """Register a plan under the name by which policies allow it, with the steps that it may ask for.

    Counting people and genotypes belongs to every analysis of exact totals; `steps` names what comes on top:
    ("linear_gwas/",). An analysis of `noised` totals asks for `steps` alone, and says beforehand for how many.
    """
    counting = () if noised else ("people/", "genotypes/counts", "genotypes/hardy_strata")

    def register(plan: Plan) -> Plan:
        if name in ANALYSES:
            raise ValueError(f"two analyses are called {name!r}")
        ANALYSES[name] = plan
        STEPS_OF[name] = (*counting, *steps)
        if noised:
            NOISED[name] = noised
        return plan

    return register


def may_ask(analysis_name: str, step: str) -> bool:
    """Whether an analysis may ask for a step."""
    return step.startswith(STEPS_OF.get(analysis_name, ()))


def steers(step: str, study: Study) -> bool:
    """Whether totals of a step decide what a study asks for later, so that nodes certify them."""
    return any(
        step in later.rests_on and may_ask(study.analysis, later.name) and later.asked(study)
        for later in list(STEPS.values())
    )
