"""Kernels are compiled and loaded before the agent says that it is ready, not while the first run waits."""

import importlib
import pkgutil

import fedstats.analyses


def load_steps() -> None:
    """Import every analysis, so that the closed table of steps is complete."""
    for module in pkgutil.iter_modules(fedstats.analyses.__path__, "fedstats.analyses."):
        importlib.import_module(module.name)


def warm_kernels() -> None:
    """Load all steps; where kernels offer to warm up, do so."""
    load_steps()
    kernels = importlib.import_module("fedstats.kernels")
    warm_up = getattr(kernels, "warm_up", None)
    if warm_up is not None:
        warm_up()
