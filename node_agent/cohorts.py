"""Data sets bound to panels, and the cohorts of the models of a plan: a cache that may be dropped at any time."""

import hashlib
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fedstats.arrays import Bools, Indices
from fedstats.cohort import Cohort
from fedstats.dataset import Dataset, cohort_of
from fedstats.errors import ProtocolRefused, UsageError
from fedstats.genotypes import PackedBlock
from fedstats.lean_process import give_back_memory
from fedstats.planning.people_lists import read_people
from fedstats.planning.request import earlier_runs
from fedstats.planning.survey import column_of
from fedstats.scratch import slices
from fedstats.study import Model
from fedstats.wire.blobs import panel_from_bytes, variants_from_bytes
from fedstats.wire.messages import Plan
from node_agent.blob_folder import BlobFolder
from node_agent.cohort_people import Bits, CohortPeople, bitmap
from node_agent.datasets.load import LoadedDataset, RegisteredDataset
from node_agent.last_used import LastUsed
from node_agent.run_people import ANALYSED, COUNTED, RunPeople, Tags, person_tags

V = TypeVar("V")

#: Entries kept of each kind; a run needs one panel, one list, and a cohort a model.
_KEPT = 64


class _NoGenotypes:
    """No blocks at all."""

    def block(self, variants: Indices) -> PackedBlock:
        """Refuse: nothing that is asked before a panel came reads genotypes."""
        raise ProtocolRefused(f"{len(variants)} variants were asked before there was a panel", code="NO_BLOB")


@dataclass(frozen=True)
class BoundPanel:
    """A data set in the order of a panel, and all that is needed of the panel from then on.

    `chromosome` holds the code of each variant's, shape (panel variant,).
    """

    chromosome: npt.NDArray[np.uint8]
    loaded: LoadedDataset


@dataclass
class Cohorts:
    """What steps are given to work on.

    Attributes
    ----------
    registered
        Data sets by id, checked at start.
    blobs
        Panels and lists.
    key
        Secret of this node, under which the ledger names cohorts and people.
    earlier
        Who was in earlier runs.
    members
        Who was in earlier cohorts, by numbers that people keep.
    """

    registered: Mapping[str, RegisteredDataset]
    blobs: BlobFolder
    key: bytes = field(repr=False)
    earlier: RunPeople
    members: CohortPeople
    _cache: LastUsed[tuple[str, ...], Any] = field(default_factory=lambda: LastUsed(_KEPT), repr=False)

    def dataset(self, name: str) -> RegisteredDataset:
        """A data set by its id."""
        if name not in self.registered:
            known = ", ".join(self.registered)
            raise UsageError(f"there is no data set {name!r}; there is {known}", code="UNKNOWN_DATASET")
        return self.registered[name]

    def unbound(self, name: str) -> Dataset:
        """A data set without genotypes, for questions about people and columns."""
        found = self.dataset(name)
        people = found.fileset.people
        return Dataset(people.family_ids, people.individual_ids, found.sex, found.columns, _NoGenotypes())

    def bound(self, dataset: str, panel: str) -> BoundPanel:
        """A data set in the order of a panel that was put here."""

        def make() -> BoundPanel:
            read = panel_from_bytes(self.blobs.mapped(panel, "the variant panel"))
            give_back_memory()
            found = BoundPanel(read.chromosome, self.dataset(dataset).bind(read))
            del read
            give_back_memory()
            return found

        return self._kept(("bound", dataset, panel), make)

    def of_plan(self, plan: Plan) -> Dataset:
        """The data set of a plan."""
        return self.bound(plan.dataset, plan.panel).loaded.dataset

    def variants(self, plan: Plan) -> Indices:
        """Panel indices that a run may touch."""

        def make() -> Indices:
            size = len(self.bound(plan.dataset, plan.panel).chromosome)
            return variants_from_bytes(self.blobs.mapped(plan.variants, "the list of variants"), size)

        return self._kept(("variants", plan.panel, plan.variants), make)

    def allowed(self, plan: Plan, part: str = ANALYSED) -> Bools:
        """Who may be used by the models of a run, or by its accounting of columns, shape (person,)."""

        def make() -> Bools:
            lists, dataset = plan.request.people, self.of_plan(plan)
            people = read_people(self.blobs.read(lists, "the lists of people") if lists else b"")
            allowed, earlier = people.allowed(dataset), earlier_runs(plan.request.people_as)
            return allowed & self.earlier.among(earlier, self._tags(plan), part) if earlier else allowed

        key = ("allowed", part, plan.dataset, plan.panel, plan.request.people, plan.request.people_as)
        return self._kept(key, make)

    def keep_people(self, plan: Plan, digest: str) -> None:
        """Remember who is in a run, for runs that take the same people (`--people-as`), and who is in its cohorts."""
        tags = self._tags(plan)
        models = plan.study.scanned or plan.study.models
        used = np.any([self.cohort(plan, digest, model).people for model in models], axis=0)
        self.earlier.keep(plan.run, tags[used])
        self.earlier.keep(plan.run, tags[self.allowed(plan, COUNTED)], COUNTED)
        for model in plan.study.models:
            self.members.keep(self.name_of(plan, digest, model), self.bits(plan, digest, model))

    def bits(self, plan: Plan, digest: str, model: Model) -> Bits:
        """Who is in the cohort of a model, as a bitmap."""
        return bitmap(self.number_people(plan), self.cohort(plan, digest, model).people)

    def number_people(self, plan: Plan) -> Indices:
        """The number of every person of the data set; the first time outside of a transaction."""
        return self._kept(("numbers", plan.dataset), lambda: self.members.numbers(self._tags(plan)))

    def _tags(self, plan: Plan) -> Tags:
        return self._kept(("tags", plan.dataset), lambda: person_tags(self.key, self.unbound(plan.dataset)))

    def cohort(self, plan: Plan, digest: str, model: Model) -> Cohort:
        """The cohort of a model of a plan with this digest, without genotypes."""
        part = COUNTED if model.accounting else ANALYSED
        return self._kept(
            ("cohort", digest, model.id), lambda: cohort_of(self.of_plan(plan), model, self.allowed(plan, part))
        )

    def name_of(self, plan: Plan, digest: str, model: Model) -> str:
        """Keyed digest of who is in a cohort: the same people have the same name in every version of the data."""
        return self._kept(
            ("name", digest, model.id),
            lambda: people_name(self.key, self._sorted(plan), self.cohort(plan, digest, model).people),
        )

    def _sorted(self, plan: Plan) -> "SortedPeople":
        return self._kept(("sorted", plan.dataset), lambda: sorted_people(self.unbound(plan.dataset)))

    def check_columns(self, plan: Plan) -> None:
        """Refuse a plan that names columns which the data set lacks."""
        dataset = self.of_plan(plan)
        wanted = {column for model in (*plan.study.models, *plan.study.beside) for column in columns_of(model)}
        lacking = sorted(name for name in wanted if column_of(dataset, name) is None)
        if lacking:
            raise UsageError(f"the data set has no column {', '.join(map(repr, lacking))}", code="NO_COLUMN")

    def check_available(self, plan: Plan) -> None:
        """Refuse a list of variants with one that the data set lacks."""
        found, asked = self.bound(plan.dataset, plan.panel).loaded.availability, self.variants(plan)
        lacking = sum(int((~found.present_at(asked[part])).sum()) for part in slices(len(asked)))
        if lacking:
            raise ProtocolRefused(f"{lacking} variants of the run are not in the data set", code="NO_VARIANT")

    def _kept(self, key: tuple[str, ...], make: Callable[[], V]) -> V:
        # Nothing is held meanwhile: makers read blobs and people, for which the ledger is asked.
        found: V = self._cache.get(key, make)  # a key is made by one caller, of one type
        return found


def columns_of(model: Model) -> set[str]:
    """Columns that a model reads."""
    traits = {trait.name for trait in (*model.traits, *model.common)}
    return traits | {term.column for term in (*model.terms, *model.local_terms)}


@dataclass(frozen=True, eq=False)
class SortedPeople:
    """Everybody of a data set, sorted by identifiers: who they are in its file, and their identifiers as text."""

    rows: Indices
    texts: npt.NDArray[np.object_]


def sorted_people(dataset: Dataset) -> SortedPeople:
    """Sort the people of a data set; once, for every run names some of them."""
    pairs = zip(dataset.family_ids.tolist(), dataset.individual_ids.tolist(), strict=True)
    texts = [f"{family}\t{individual}" for family, individual in pairs]
    rows = np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)
    return SortedPeople(rows, np.array(texts, np.object_)[rows])


def people_name(key: bytes, everybody: SortedPeople, people: Bools) -> str:
    """HMAC-SHA256, in hexadecimal, of the sorted identifiers of some people."""
    chosen = everybody.texts[people[everybody.rows]]
    return hmac.new(key, "\n".join(chosen.tolist()).encode(), hashlib.sha256).hexdigest()
