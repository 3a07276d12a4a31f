"""Which local steps belong to which analysis: a plan for one analysis can ask for no step of another."""

from typing import Any

from fedstats.analysis import may_ask
from fedstats.errors import ProtocolRefused
from fedstats.step import STEPS, Step
from fedstats.study import Model, Study


def permitted_step(name: str, study: Study, model: Model) -> Step[Any, Any]:
    """The step of that name, if it belongs to the analysis of the study and to this kind of model.

    Raises
    ------
    ProtocolRefused
        Code UNKNOWN_STEP or STEP_NOT_ALLOWED.
    """
    if name not in STEPS:
        raise ProtocolRefused(f"this node has no step {name!r}; nothing was sent.", code="UNKNOWN_STEP")
    accounting = name.startswith("people/")
    belongs = may_ask(study.analysis, name)
    if not belongs or accounting != model.accounting or model.kind not in STEPS[name].kinds:
        raise ProtocolRefused(
            f"the step {name!r} does not belong to {study.analysis!r} on model {model.id!r}; nothing was sent.",
            code="STEP_NOT_ALLOWED",
        )
    return STEPS[name]


def model_of(study: Study, model_id: str) -> Model:
    """A model of a study by its id."""
    for model in study.models:
        if model.id == model_id:
            return model
    raise ProtocolRefused(f"the plan has no model {model_id!r}; nothing was sent.", code="UNKNOWN_MODEL")


def domain_of(model: Model) -> str:
    """What the lock on a cohort covers: counting who lacks which column, or everything else."""
    return "columns" if model.accounting else "genotypes"
