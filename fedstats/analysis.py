"""Analyses, and the closed table of their names.

An analysis runs at the coordinator: a plan that asks a federation for sums and turns them into rows.
"""

from collections.abc import Callable, Iterator, Sequence

from fedstats.federation import Federation
from fedstats.rows import Note, Rows
from fedstats.step import STEPS
from fedstats.study import Chunk, Study

Plan = Callable[[Federation, Study, Sequence[Chunk]], Iterator[Rows | Note]]
ANALYSES: dict[str, Plan] = {}

#: By analysis, the beginnings of the names of the steps that its plan asks for; a node runs no other for it.
STEPS_OF: dict[str, tuple[str, ...]] = {}


def analysis(name: str, *, steps: tuple[str, ...] = ()) -> Callable[[Plan], Plan]:
    """Register a plan under the name by which policies allow it, with the steps that it may ask for.

    Counting people and genotypes belongs to every analysis; `steps` names what comes on top: ("linear_gwas/",).
    """

    def register(plan: Plan) -> Plan:
        if name in ANALYSES:
            raise ValueError(f"two analyses are called {name!r}")
        ANALYSES[name] = plan
        STEPS_OF[name] = ("people/", "genotypes/counts", "genotypes/hardy_strata", *steps)
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
