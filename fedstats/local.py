"""LocalFederation: several cohorts in this process, the same analyses, the same codec, no protection.

For teaching, power studies and tests. Sums are encoded to integers, added modulo 2^64 and decoded as over the network,
so a result here is bit for bit the result of real nodes with the same people; `exact_floats` adds floats instead.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from fedstats.additive import Limits
from fedstats.arrays import Bools, Ring
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset, cohort_of, with_block
from fedstats.federation import Federation
from fedstats.fixed_point import decode, encode
from fedstats.rows import Rows
from fedstats.step import Q, S, Step
from fedstats.study import Block, Chunk, Model


@dataclass(frozen=True)
class LocalSite:
    """One site of a local federation: its data and the people that the run may use."""

    dataset: Dataset
    allowed: Bools


class Noise(Protocol):
    """Noise as nodes would add it, for power studies and tests."""

    def deviations(self, step: Step[Any, Any], model: Model) -> Mapping[str, float]:
        """Standard deviation of the noise in every element of each field of a total, in its units."""
        ...

    def added(self, step: Step[Any, Any], model: Model, sizes: Mapping[str, int], words: Ring, site: int) -> Ring:
        """The words of one site with its share of the noise."""
        ...


@dataclass
class LocalSums:
    """A `Federation` over sites in this process.

    Attributes
    ----------
    sites
        The sites, in the order in which they are added.
    exact_floats
        Add releases as floats, without the fixed-point code: for naive comparisons.
    noise_source
        What noises the words of every site, None for exact totals.
    """

    sites: Sequence[LocalSite]
    exact_floats: bool = False
    noise_source: Noise | None = None
    limits: Limits = field(default_factory=Limits)
    _cohorts: dict[tuple[int, str], Cohort] = field(default_factory=dict)

    @property
    def exact(self) -> bool:
        """Totals carry no noise unless it was asked for."""
        return self.noise_source is None

    def noise(self, step: Step[Any, Any], model: Model) -> Mapping[str, float]:
        """Deviation of the noise in each field of a total."""
        if self.noise_source is None:
            return dict.fromkeys(step.release.schema(), 0.0)
        return self.noise_source.deviations(step, model)

    def sum(self, step: Step[Q, S], model: Model, parameters: Q) -> S:
        """The total over all sites."""
        return self._total(step, model, parameters, None)

    def each(self, step: Step[Q, S], model: Model, asks: Iterable[tuple[Block, Q]]) -> Iterator[tuple[Block, S]]:
        """The total over all sites for each block."""
        for block, parameters in asks:
            yield block, self._total(step, model, parameters, block)

    def map(self, function: Callable[[Federation, Chunk], Rows], chunks: Sequence[Chunk]) -> Iterator[Rows]:
        """Rows of each chunk, one after another."""
        for chunk in chunks:
            yield function(self, chunk)

    def _total(self, step: Step[Q, S], model: Model, parameters: Q, block: Block | None) -> S:
        sizes = step.sizes(model, parameters, block)
        releases = [step(self._cohort(i, model, block), parameters) for i in range(len(self.sites))]
        if self.exact_floats:
            total = releases[0]
            for release in releases[1:]:
                total = total + release
            return total
        words = [encode(release, sizes, self.limits) for release in releases]
        if self.noise_source is not None:
            words = [self.noise_source.added(step, model, sizes, one, site) for site, one in enumerate(words)]
        added: Ring = sum(words[1:], words[0])
        return decode(added, step.release, sizes, self.limits)

    def _cohort(self, index: int, model: Model, block: Block | None) -> Cohort:
        site = self.sites[index]
        key = (index, model.id)
        if key not in self._cohorts:
            self._cohorts[key] = cohort_of(site.dataset, model, site.allowed)
        cohort = self._cohorts[key]
        return cohort if block is None else with_block(cohort, site.dataset, block.variants)
