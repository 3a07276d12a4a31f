"""Mistakes that an author of an analysis can make; the type checker must find each line that says so. Never run."""

import numpy as np

from fedstats.analyses.logistic_steps import NullAsk, null_sums
from fedstats.federation import Federation
from fedstats.study import Model


def right(federation: Federation, model: Model, ask: NullAsk) -> float:
    return float(federation.sum(null_sums, model, ask).score[0])


def misspelt_statistic(federation: Federation, model: Model, ask: NullAsk) -> object:
    return federation.sum(null_sums, model, ask).scoer  # error: has no attribute "scoer"; maybe "score"?


def misspelt_parameter() -> NullAsk:
    return NullAsk(bta=np.zeros(3))  # error: Unexpected keyword argument "bta"


def wrong_parameters(federation: Federation, model: Model) -> object:
    return federation.sum(null_sums, model, np.zeros(3))  # error: Cannot infer value of type parameter "Q" of "sum"
