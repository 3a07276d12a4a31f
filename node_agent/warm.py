"""Kernels are compiled and loaded before the agent says that it is ready, not while the first run waits.

Every registered step runs once on a handful of invented people. Its numbers mean nothing and go nowhere.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, get_type_hints

import numpy as np
import structlog

import fedstats.analyses
from fedstats.cohort import Cohort
from fedstats.genotypes import pack
from fedstats.kept_kernels import forget_old_kernels
from fedstats.lean_process import load_compiler_alone
from fedstats.step import STEPS, Step, parameter_dims
from fedstats.study import Model, Term, Trait

_PEOPLE, _VARIANTS = 16, 4
_MODEL = Model("warm", "autosome", (Trait("b", "binary", "01"),), (Term("c", "c"),))
_SCALARS: Mapping[Any, Any] = {float: 1.0, int: 0, bool: False}  # Any: types as keys

_log = structlog.get_logger("warm")


def load_steps() -> None:
    """Import every analysis, so that the closed table of steps is complete."""
    for module in pkgutil.iter_modules(fedstats.analyses.__path__, "fedstats.analyses."):
        importlib.import_module(module.name)


def warm_kernels() -> None:
    """Load all steps, and run each once on invented people."""
    load_steps()
    load_compiler_alone()
    forget_old_kernels()
    cohort = _invented()
    for step in STEPS.values():
        try:
            with np.errstate(all="ignore"):
                step(cohort, _parameters(step))
        except Exception as error:  # noqa: BLE001  # invented parameters may fit no step; then it compiles when asked
            _log.debug("warm.skipped", step=step.name, error=type(error).__name__)


def _invented() -> Cohort:
    person = np.arange(_PEOPLE)
    dosages = np.array([(person + row) % 3 for row in range(_VARIANTS)], np.int8)
    dosages[0, 0] = -1
    return Cohort(
        people=np.ones(_PEOPLE, np.bool_),
        covariates=np.linspace(-1, 1, _PEOPLE)[:, None],
        traits=(person % 2).astype(np.float64)[:, None],
        site=np.zeros((_PEOPLE, 0)),
        male=person % 4 < 2,
        genotypes=pack(dosages),
    )


def _parameters(step: Step[Any, Any]) -> Any:  # Any: each step has a class of its own
    """Parameters of the right types and shapes: ones, and zeros for indices and counts."""
    sizes = {**_MODEL.sizes, "variant": _VARIANTS}
    hints, dims = get_type_hints(step.parameters), parameter_dims(step.parameters)
    values = {}
    for entry in fields(step.parameters):
        if entry.name not in dims:
            values[entry.name] = _SCALARS[hints[entry.name]]
            continue
        shape = tuple(sizes.get(dim, 1) for dim in dims[entry.name])
        dtype = np.dtype(hints[entry.name].__args__[1].__args__[0])
        values[entry.name] = np.ones(shape, dtype) if dtype == np.float64 else np.zeros(shape, dtype)
    return step.parameters(**values)
