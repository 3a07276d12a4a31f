"""The noise of a run, as coordinator and nodes derive it alike from the plan: how much, and what it costs.

A plan says how many times one person's part the noise of each step is (`StepNoise`). It is chosen so that all sums that
the analysis is going to ask together cost what the plan may spend. The noise of a total is shared out: each node adds
1 / honest of the variance, so that those taken to be honest (`zcdp.honest_nodes`) already add what privacy needs.

The plan's split: a sum gets a part of the budget in proportion to the Euclidean length of what one person can change in
it, which makes the sum of all noise variances, each against one person's part, least.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from fedstats.additive import Field, Limits, layout, total_words
from fedstats.analysis import NOISED, Expected
from fedstats.arrays import Indices, Reals
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.planning.setting_options import SettingOptions, StepNoise
from fedstats.privacy.primitives.discrete_gaussian import LARGEST_SIGMA
from fedstats.privacy.zcdp import honest_nodes, rho_of, rho_of_shares
from fedstats.step import Step
from fedstats.study import Study, chunks

#: Noise must leave totals within their bounds, which leave room for three times the people of the largest study.
_LARGEST_MULTIPLIER = Limits().people / 4


def plan_noise(expected: Sequence[Expected], nodes: int, epsilon: float, delta: float) -> tuple[StepNoise, ...]:
    """The noise with which all these sums together cost epsilon at delta.

    Raises
    ------
    UsageError
        Code TOO_NOISY: so little budget for so many sums would drown any study.
    """
    budget = rho_of(epsilon, delta)
    lengths: dict[tuple[str, str], float] = {}
    for one in expected:
        key = (one.model.id, one.step.name)
        lengths[key] = lengths.get(key, 0.0) + one.times * _length(one)
    whole = sum(lengths.values())
    # rho_i = times * length^2 / (2 multiplier^2), and rho_i : budget = (times * length) : whole.
    found = {key: sqrt(_largest_length(expected, key) * whole / (2 * budget)) for key in lengths}
    _refuse_drowning(found.values(), epsilon)
    for _ in range(4):
        cost = sum(
            one.times * release_rho(one.step, one.sizes, found[one.model.id, one.step.name], nodes) for one in expected
        )
        # Shares of few units cost a little more than one source of noise would.
        found = {key: multiplier * sqrt(max(1.0, cost / budget)) * (1 + 1e-12) for key, multiplier in found.items()}
    return tuple(StepNoise(model, step, multiplier) for (model, step), multiplier in found.items())


def _refuse_drowning(multipliers: Iterable[float], epsilon: float) -> None:
    if any(multiplier > _LARGEST_MULTIPLIER for multiplier in multipliers):
        raise UsageError(
            f"epsilon {epsilon:g} is so little for so many sums that noise would drown any study",
            code="TOO_NOISY",
            hint="Ask for fewer variants or traits, or give a larger --epsilon.",
        )


def noise_of(
    study: Study, options: SettingOptions, kinds: npt.NDArray[np.uint8], variants: Indices, pass_variants: int
) -> tuple[StepNoise, ...]:
    """The noise of a study, as its plan is to say it; none for analyses of exact totals.

    Parameters
    ----------
    study, options
        What is computed, and what it may spend.
    kinds, variants, pass_variants
        Kind of every variant of the panel, which of them the run touches, and how many of them in a pass.
    """
    if study.analysis not in NOISED:
        return ()
    expected = NOISED[study.analysis](study, chunks(kinds, variants, pass_variants))
    return plan_noise(expected, len(study.nodes), options.epsilon, options.delta)


def _length(one: Expected) -> float:
    """Euclidean length of the most that one person changes in a release, in units of the noise's multiplier."""
    schema = bounded_schema(one.step)
    return sqrt(sum(one.elements(field.dims) / field.coarseness**2 for field in schema.values()))


def _largest_length(expected: Sequence[Expected], key: tuple[str, str]) -> float:
    return max(_length(one) for one in expected if (one.model.id, one.step.name) == key)


def bounded_schema(step: Step[Any, Any]) -> Mapping[str, Field]:
    """The fields of a release, of each of which it is known how much one person can change.

    Raises
    ------
    ProtocolRefused
        Code NOT_BOUNDED: no noise could hide a person in some field.
    """
    schema: Mapping[str, Field] = step.release.schema()
    if any(field.person <= 0 or field.representation != "fixed" for field in schema.values()):
        raise ProtocolRefused(
            f"no bound is known of what one person changes in {step.name!r}, so that no noise could hide a person; "
            "nothing was sent.",
            code="NOT_BOUNDED",
        )
    return schema


@dataclass(frozen=True, eq=False)
class ShareOfNoise:
    """What one node adds to the words of one release, and what the release costs.

    Attributes
    ----------
    sigma
        Parameter of the discrete Gaussian of each word, shape (word,).
    rho
        What the release tells of one person, the colluding nodes' shares left out.
    """

    sigma: Reals
    rho: float


def share_of_noise(step: Step[Any, Any], sizes: Mapping[str, int], multiplier: float, nodes: int) -> ShareOfNoise:
    """One node's share of the noise of a release."""
    honest = honest_nodes(nodes)
    slots = layout(step.release, sizes)
    sigma, squares, smallest = np.empty(total_words(slots)), 0.0, inf
    bounded_schema(step)
    for slot in slots:
        unit = slot.field.person * 2.0 ** (slot.field.fraction_bits or 0)
        share = multiplier * slot.field.coarseness * unit / sqrt(honest)
        sigma[slot.first_word : slot.first_word + slot.words] = share
        squares += slot.words / (multiplier * slot.field.coarseness) ** 2
        smallest = min(smallest, share if slot.words else inf)
    if sigma.size and not 0 < sigma.max() <= LARGEST_SIGMA:
        raise ProtocolRefused("the plan's noise is outside what can be drawn; nothing was sent.", code="TOO_NOISY")
    return ShareOfNoise(sigma, rho_of_shares(sqrt(squares), len(sigma), smallest, honest))


def release_rho(step: Step[Any, Any], sizes: Mapping[str, int], multiplier: float, nodes: int) -> float:
    """What one release tells of one person."""
    return share_of_noise(step, sizes, multiplier, nodes).rho


def multiplier_of(noise: Sequence[StepNoise], model: str, step: str) -> float:
    """The plan's noise of a step on a model.

    Raises
    ------
    ProtocolRefused
        Code NOT_BOUNDED: the plan has none.
    """
    for one in noise:
        if (one.model, one.step) == (model, step):
            return one.multiplier
    raise ProtocolRefused(
        f"the plan has no noise for {step!r} on model {model!r}; nothing was sent.", code="NOT_BOUNDED"
    )


def total_deviations(step: Step[Any, Any], multiplier: float, nodes: int) -> dict[str, float]:
    """Standard deviation of the noise of all nodes in every element of each field of a total, in its units."""
    factor = multiplier * sqrt(nodes / honest_nodes(nodes))
    return {name: factor * field.coarseness * field.person for name, field in bounded_schema(step).items()}
