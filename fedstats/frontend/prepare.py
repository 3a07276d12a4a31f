"""Planning a run: survey the nodes, settle studies, and have every node sign what it serves, before any sum."""

from dataclasses import dataclass, replace

from fedstats.errors import UsageError
from fedstats.frontend.backend import Backend
from fedstats.frontend.job import Job
from fedstats.frontend.variants import Chosen, choose, kinds_of, without_kinds
from fedstats.planning.distance import Serves, keep_apart, refuse_close, with_beside
from fedstats.planning.grouping import group
from fedstats.planning.noise_rules import MOST_NOISED_VARIANTS
from fedstats.planning.people_lists import people_digest
from fedstats.planning.request import Request, check_request
from fedstats.planning.resolve import resolve
from fedstats.planning.selection import select
from fedstats.planning.setting_options import SettingOptions
from fedstats.planning.survey import questions_of, strictest
from fedstats.rows import Note
from fedstats.study import Study


@dataclass(frozen=True, eq=False)
class Prepared:
    """One study that every node has agreed to serve, with its variants."""

    study: Study
    chosen: Chosen


@dataclass(frozen=True, eq=False)
class Preparation:
    """What a run is going to do.

    `left_out` counts variants by the option that left them out; `notes` are for the log.
    """

    request: Request
    studies: tuple[Prepared, ...]
    left_out: dict[str, int]
    notes: tuple[Note, ...]


def prepare(backend: Backend, job: Job) -> Preparation:
    """Plan a job with the nodes; whatever is wrong is found here, before anything is computed."""
    request = replace(job.request, people=people_digest(job.people))
    check_request(request)
    selection = select(backend.panel, request.chromosomes, extract=job.extract, exclude=job.exclude)
    surveys = backend.survey(questions_of(request))
    chosen = choose(selection.variants, backend.availability())
    if request.privacy == "dp":
        _few_and_named(job, chosen)
    resolution = resolve(request, kinds_of(backend.panel, chosen.variants), surveys, strictest(surveys))
    notes = [Note("SELECTION", warning, warning=True) for warning in selection.warnings]
    notes += [*_said_of_lists(job), *resolution.notes]
    if request.privacy == "dp":
        notes.append(_said_of_noise(request.setting))
    job = replace(job, request=request)
    served = _kept_apart(backend, job, resolution.studies, chosen, notes)
    studies = [_agreed(backend, job, study, serves, chosen, notes) for study, serves in served]
    return Preparation(request, tuple(studies), dict(selection.left_out), tuple(notes))


def _said_of_lists(job: Job) -> list[Note]:
    """A list that changes nothing, as a script may make one."""
    if job.listed.get("remove") != 0:
        return []
    return [Note("EMPTY_LIST", "--remove names nobody and changes nothing", warning=True)]


def _said_of_noise(setting: SettingOptions) -> Note:
    """What every reader of noised results must know."""
    return Note(
        code="NOISED",
        message=(
            f"every number carries noise: this run spends epsilon {setting.epsilon:g} at delta {setting.delta:g} of "
            "what its project may ever spend. SE, P and lambda GC count the noise; NOISE_SD is its part of SE. "
            "The same question again has the same answer; others cost anew."
        ),
        warning=True,
    )


def _few_and_named(job: Job, chosen: Chosen) -> None:
    """Refuse noised sums over variants that nobody chose, or over so many that noise would leave nothing."""
    if job.extract is None:
        raise UsageError(
            "--privacy dp needs --extract: a list of variants that was made before anybody looked at these data",
            code="NO_EXTRACT",
        )
    if len(chosen.variants) > MOST_NOISED_VARIANTS:
        raise UsageError(
            f"{len(chosen.variants):,} variants are too many for noised sums, the limit is {MOST_NOISED_VARIANTS:,}",
            code="TOO_MANY_VARIANTS",
            hint="Noise grows with the root of their number. Give --extract a shorter list.",
        )


def _kept_apart(
    backend: Backend, job: Job, studies: tuple[Study, ...], chosen: Chosen, notes: list[Note]
) -> list[tuple[Study, Serves]]:
    """The studies with what nodes serve of them; asked again where models had to be given common people."""
    studies = with_beside(studies)
    while True:
        serves = [backend.serve(study, job.request, job.people, chosen.variants) for study in studies]
        apart = keep_apart(studies, serves)
        if apart.studies == studies:
            return list(zip(studies, serves, strict=True))
        # Traits only ever join, so this ends.
        notes += apart.notes
        studies = apart.studies


def _agreed(backend: Backend, job: Job, study: Study, serves: Serves, chosen: Chosen, notes: list[Note]) -> Prepared:
    """The study as every node serves it; nodes are asked again where their answers changed it."""
    grouped = group(study, refuse_close(study, serves))
    notes += grouped.notes
    kept = without_kinds(chosen, backend.panel, grouped.dropped, len(study.nodes))
    if grouped.study != study:
        group(grouped.study, backend.serve(grouped.study, job.request, job.people, kept.variants))
    return Prepared(grouped.study, kept)
