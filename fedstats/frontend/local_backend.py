"""LocalFederation: several data sets in this process, asked exactly as a federation is; no network, no protection.

For teaching, power studies and tests: the same planning, analyses, fixed-point code and result tables as over the
network.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Indices
from fedstats.dataset import Dataset, People
from fedstats.errors import UsageError
from fedstats.federation import Federation
from fedstats.frontend.analyst import Analyst
from fedstats.frontend.backend import Backend, Events, Place, Provenance
from fedstats.local import LocalSite, LocalSums
from fedstats.planning.panel import PRESENT, Panel
from fedstats.planning.request import Request
from fedstats.planning.serve import serve
from fedstats.planning.survey import Questions, Serve, Survey, survey
from fedstats.study import Floors, Study

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
    _people: People = field(default_factory=People)

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

    def serve(self, study: Study, request: Request, people: People, variants: Indices) -> Mapping[str, Serve]:  # noqa: ARG002
        """What each data set serves."""
        if request.people_as:
            raise UsageError(
                "--people-as takes the people of an earlier run, and nothing here remembers any",
                code="UNKNOWN_RUN",
                hint="Give the same traits and covariates, or --keep a list of people.",
            )
        self._people = people
        return {name: serve(data, study, self.floors, people.allowed(data)) for name, data in self.datasets.items()}

    def federation(self, study: Study) -> Federation:  # noqa: ARG002  # sums are the same for every study
        """Sums in this process."""
        sites = [LocalSite(data, self._people.allowed(data)) for data in self.datasets.values()]
        return LocalSums(sites, exact_floats=self.exact_floats)

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
    """

    def __init__(
        self,
        cohorts: Mapping[str, Dataset],
        panel: Panel,
        *,
        availability: Availability | None = None,
        exact_floats: bool = False,
        floors: Floors = NO_FLOORS,
    ) -> None:
        everything = np.full(len(panel), PRESENT, np.uint8)
        available = availability or dict.fromkeys(cohorts, everything)

        @contextmanager
        def open_backend(request: Request, place: Place, events: Events) -> Iterator[Backend]:  # noqa: ARG001
            chosen = {name: cohorts[name] for name in request.nodes or cohorts}
            yield LocalBackend(chosen, panel, available, floors, exact_floats)

        super().__init__(open_backend)
