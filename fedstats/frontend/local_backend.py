"""LocalFederation: several data sets in this process, asked exactly as a federation is; no network, no protection.

For teaching, power studies and tests: the same planning, analyses, fixed-point code and result tables as over the
network.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices
from fedstats.dataset import Dataset, People
from fedstats.documents import digest
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.frontend.analyst import Analyst
from fedstats.frontend.backend import Backend, Events, Place, Provenance
from fedstats.frontend.local_noise import LocalNoise
from fedstats.kept_kernels import forget_old_kernels
from fedstats.local import LocalSite, LocalSums
from fedstats.planning.faults import Fault, raise_faults
from fedstats.planning.panel import PRESENT, Panel
from fedstats.planning.request import Request
from fedstats.planning.serve import serve
from fedstats.planning.setting_options import StepNoise
from fedstats.planning.survey import Questions, Serve, Survey, survey
from fedstats.study import Floors, Study
from fedstats.wire.noise import noise_of

#: Nothing is protected in one process, so nothing is withheld: every floor is one.
NO_FLOORS = Floors(1, 1, 1, 1, 1, 1, 1, 1, parameters_per_person=1.0)

Availability = Mapping[str, npt.NDArray[np.uint8]]


@dataclass
class LocalBackend:
    """A backend over data sets in memory."""

    datasets: Mapping[str, Dataset]
    panel: Panel
    available: Availability
    floors: Floors = NO_FLOORS
    exact_floats: bool = False
    federation_name: str = "local"
    banners: Sequence[str] = ()
    noise_key: bytes = field(default=b"", repr=False)
    _people: People = field(default_factory=People)
    _noise: dict[str, tuple[StepNoise, ...]] = field(default_factory=dict)

    @property
    def nodes(self) -> tuple[str, ...]:
        """Names of the data sets."""
        return tuple(self.datasets)

    def survey(self, questions: Questions) -> Mapping[str, Survey]:
        """Each data set's metadata; whoever holds all data knows whether PC columns are joint."""
        return {name: survey(data, questions, self.floors, "local") for name, data in self.datasets.items()}

    def availability(self) -> Availability:
        """Codes of `fedstats.planning.panel` by data set."""
        return {name: self.available[name] for name in self.datasets}

    def serve(self, study: Study, request: Request, people: People, variants: Indices) -> Mapping[str, Serve]:
        """What each data set serves."""
        if request.people_as:
            raise UsageError(
                "--people-as takes the people of an earlier run, and nothing here remembers any",
                code="UNKNOWN_RUN",
                hint="Give the same traits and covariates, or --keep a list of people.",
            )
        self._people = people
        kinds, size = self.panel.kinds, request.pass_variants
        self._noise[digest(study)] = noise_of(study, request.setting, kinds, variants, size)
        return {name: serve(data, study, self.floors, people.allowed(data)) for name, data in self.datasets.items()}

    def plan(self, study: Study) -> bytes:  # noqa: ARG002  # nobody is asked
        """Refused: nothing is proposed in one process."""
        raise UsageError(
            "--plan-only proposes a plan to nodes, and in one process there are none",
            code="NO_EFFECT",
            hint="Leave it out, or connect to a federation.",
        )

    def federation(self, study: Study) -> Federation:
        """Sums in this process, noised as nodes would where a study is of noised totals."""
        sites = [LocalSite(data, self._people.allowed(data)) for data in self.datasets.values()]
        plan = self._noise.get(digest(study), ())
        noise = LocalNoise(plan, len(sites), self.noise_key) if plan else None
        return LocalSums(sites, exact_floats=self.exact_floats, noise_source=noise)

    def provenance(self) -> Provenance:
        """Nothing was sent."""
        return Provenance("local", nodes=self.nodes)


class LocalFederation(Analyst):
    """Data sets in this process with the methods of a federation.

    Parameters
    ----------
    cohorts
        Data sets by name of their site.
    panel
        The variants that their genotypes are ordered by.
    availability
        By site, a code of `fedstats.planning.panel` per variant; without it every site has every variant.
    exact_floats
        Add releases as floats, without the fixed-point code: for naive comparisons.
    floors
        Floors as a policy would have them; none unless given.
    noise_seed
        Which noise there is with `privacy="dp"`: another seed is other noise; at random unless given.
    """

    def __init__(
        self,
        cohorts: Mapping[str, Dataset],
        panel: Panel,
        *,
        availability: Availability | None = None,
        exact_floats: bool = False,
        floors: Floors = NO_FLOORS,
        noise_seed: int | None = None,
    ) -> None:
        forget_old_kernels()
        key = os.urandom(32) if noise_seed is None else noise_seed.to_bytes(32, "big", signed=True)
        everything = np.full(len(panel), PRESENT, np.uint8)
        available = availability or dict.fromkeys(cohorts, everything)

        @contextmanager
        def open_backend(request: Request, place: Place, events: Events) -> Iterator[Backend]:  # noqa: ARG001
            chosen = {name: cohorts[name] for name in _asked(request, place, cohorts)}
            yield LocalBackend(chosen, panel, available, floors, exact_floats, noise_key=key)

        super().__init__(open_backend)


def _asked(request: Request, place: Place, cohorts: Mapping[str, Dataset]) -> Sequence[str]:
    """Names of the data sets that a request is about."""
    if place.resume:
        raise UsageError(
            "--resume goes on with an interrupted run, and a run in one process keeps no state to go on from",
            code="NO_EFFECT",
            hint="Leave it out, and run the analysis again.",
        )
    known = ", ".join(cohorts)
    unknown = [name for name in request.nodes if name not in cohorts]
    raise_faults([Fault(f"there is no site {name!r}; the sites are {known}", "UNKNOWN_NODE") for name in unknown])
    return request.nodes or tuple(cohorts)
