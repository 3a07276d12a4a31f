"""Noise for data sets in one process: what nodes would add under `dp`, for power studies and tests."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedstats.arrays import Ring
from fedstats.planning.setting_options import StepNoise
from fedstats.privacy.primitives.discrete_gaussian import discrete_gaussian
from fedstats.step import Step
from fedstats.study import Model
from fedstats.wire.noise import multiplier_of, share_of_noise, total_deviations


@dataclass(frozen=True)
class LocalNoise:
    """The noise of a plan over sites in this process; the same words get the same noise under one key."""

    plan: tuple[StepNoise, ...]
    sites: int
    key: bytes = field(repr=False)

    def deviations(self, step: Step[Any, Any], model: Model) -> Mapping[str, float]:
        """Standard deviation of the noise in every element of each field of a total, in its units."""
        return total_deviations(step, multiplier_of(self.plan, model.id, step.name), self.sites)

    def added(self, step: Step[Any, Any], model: Model, sizes: Mapping[str, int], words: Ring, site: int) -> Ring:
        """The words of one site with its share of the noise."""
        share = share_of_noise(step, sizes, multiplier_of(self.plan, model.id, step.name), self.sites)
        label = f"{step.name}|{model.id}|{site}|".encode()
        key = hashlib.blake2b(label + words.tobytes(), key=self.key, digest_size=32).digest()
        noised: Ring = words + discrete_gaussian(share.sigma, key).view(words.dtype)
        return noised
