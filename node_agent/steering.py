"""Asks that rest on totals: refused, before any data are read, unless they follow from totals that were certified here.

Otherwise a coordinator that lies about a total could have any variant admitted, put any weight on a person, and show
two nodes two means. Where a run certifies nothing (see `fedstats.wire.passes.certifies`) the coordinator is trusted.
"""

from collections.abc import Iterable
from typing import Any

from fedstats.arrays import Indices
from fedstats.certified import not_the_total
from fedstats.errors import ProtocolRefused, RangeOverflow, UsageError
from fedstats.step import Step
from fedstats.study import Block, Model
from fedstats.wire.messages import Plan
from fedstats.wire.passes import certifies
from node_agent.certified_totals import CertifiedTotals

#: Variants of each block, None for a whole-cohort sum, and the parameters of the step.
Asked = Iterable[tuple[Indices | None, Any]]


def check_follows(totals: CertifiedTotals, plan: Plan, step: Step[Any, Any], model: Model, asked: Asked) -> None:
    """Refuse parameters that do not follow from the certified totals of a run.

    Raises
    ------
    ProtocolRefused
        Code UNCERTIFIED: they rest on a total that was not certified here. NOT_THE_TOTAL: another follows from it.
    """
    if step.follows is None or not certifies(plan):
        return
    certified = totals.of(plan.run, model, plan.study.twin(model))
    for variants, parameters in asked:
        block = None if variants is None else Block(variants)
        try:
            step.follows(parameters, model, block, certified)
        except (UsageError, RangeOverflow) as error:
            # Totals from which an honest coordinator would ask nothing more.
            raise refused_because(error) from error


def refused_because(error: UsageError | RangeOverflow) -> ProtocolRefused:
    """The refusal of asks for which the certified totals leave no room."""
    refusal = not_the_total("parameters")
    refusal.hint = error.message
    return refusal
