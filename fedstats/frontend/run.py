"""One run, from a job to results: plan, count people, compute, write. Independent of where the nodes are."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import fedstats.analyses  # noqa: F401  # registers every analysis
from fedstats.analyses.people_accounting import count_people, only_everyone
from fedstats.analysis import ANALYSES
from fedstats.errors import NodeUnreachable
from fedstats.frontend.backend import Backend, Event, Events, RosterShrinks, no_events
from fedstats.frontend.job import Job
from fedstats.frontend.prepare import Preparation, Prepared, prepare
from fedstats.frontend.progress import Progress
from fedstats.frontend.provenance import Outcome, Taken, run_record
from fedstats.frontend.reporting import Reporter
from fedstats.frontend.sinks import Result, Sinks
from fedstats.frontend.variants import panel_columns
from fedstats.lean_process import give_back_memory
from fedstats.rows import Note
from fedstats.study import chunks

#: What was freed after a chunk and may stay for the next, in bytes.
_MAY_STAY_FREE = 64 << 20


def run_request(backend: Backend, job: Job, events: Events = no_events) -> dict[str, Result]:
    """Do what a job asks; results by trait, or by table for the other analyses.

    Raises
    ------
    FedstatsError
        With the exit code of its class. No table is left behind, but for finished passes of a run whose node was
        lost: those are in files whose names say `partial`, and the run can be resumed.
    """
    started = time.monotonic()
    with Reporter(backend, job, events) as reporter:
        preparation = prepare(backend, job)
        give_back_memory(above=_MAY_STAY_FREE)
        reporter.planned(preparation)
        if job.plan_only:
            reporter.proposed(preparation)
            return {}
        outcome = Outcome(preparation)
        sinks = _sinks(backend, job, preparation)
        with _kept_or_abandoned(sinks, reporter):
            for prepared in preparation.studies:
                _compute(backend, prepared, sinks, outcome, reporter)
            reporter.fallen_out(outcome)
            sinks.finish()
            outcome.seconds = time.monotonic() - started
            record = run_record(backend, job, outcome)
            results = {name: sink.result(record) for name, sink in sinks.open.items()}
            # Tables without the record of how they came about are taken back, too.
            reporter.finished(results, sinks, outcome, record)
    return results


def run_to_the_end(backend: Backend, job: Job, events: Events = no_events) -> dict[str, Result]:
    """`run_request`, and again on the survivors where nodes are lost for good and the others may go on."""
    while True:
        before = backend.nodes
        try:
            return run_request(backend, job, events)
        except RosterShrinks as lost:
            if len(backend.nodes) >= len(before):
                raise
            gone = [node for node in before if node not in backend.nodes]
            for node in gone:
                events(Event("node", {"node": node, "state": "left out", "message": lost.message}))


def _sinks(backend: Backend, job: Job, preparation: Preparation) -> Sinks:
    traits = {
        trait.name: trait.kind
        for prepared in preparation.studies
        for model in prepared.study.scanned
        for trait in model.traits
        if prepared.study.analysis.startswith("gwas/")
    }
    asked = {name: traits[name] for name in job.request.pheno if name in traits}
    return Sinks(job.place.out, asked, panel_columns(backend.panel), noised=job.request.privacy == "dp")


@contextmanager
def _kept_or_abandoned(sinks: Sinks, reporter: Reporter) -> Iterator[None]:
    """Leave no half table behind; passes that were finished when a node was lost are kept as partial."""
    try:
        yield
    except NodeUnreachable as error:
        sinks.abandon(keep_rows=not isinstance(error, RosterShrinks))
        reporter.withdraw()
        raise
    except BaseException:
        sinks.abandon(keep_rows=False)
        reporter.withdraw()
        raise


def _compute(backend: Backend, prepared: Prepared, sinks: Sinks, outcome: Outcome, reporter: Reporter) -> None:
    study = prepared.study
    federation = backend.federation(study)
    if study.accounting is not None:
        outcome.people[study.analysis] = (study.accounting, count_people(federation, study.accounting))
        reporter.people(*outcome.people[study.analysis])
    size = reporter.job.request.pass_variants
    pieces = chunks(backend.panel.kinds, prepared.chosen.variants, size)
    progress = Progress(study.analysis, pieces, reporter.events)
    for found in ANALYSES[study.analysis](federation, replace(study, models=study.scanned), pieces):
        if isinstance(found, Note):
            outcome.notes.append(found)
            reporter.note(found)
        else:
            sinks.append(found.tables)
            give_back_memory(above=_MAY_STAY_FREE)
            outcome.filtered.setdefault(study.analysis, Taken()).add(found.filtered)
            if found.people and study.analysis not in outcome.people:
                outcome.people[study.analysis] = (study.scanned[0], only_everyone(found.people))
                reporter.people(*outcome.people[study.analysis])
            progress.advance()
    progress.finish()
